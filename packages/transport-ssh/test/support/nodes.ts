/** Nodes with real sockets and directories of their own. */
import { Transport } from "@distkv/core"
import { Keys, SshTransport, type SshTransportOptions } from "@distkv/transport-ssh"
import { Context, Effect, Layer } from "effect"
import { temporaryDirectory } from "./keys.ts"

/** One node's transport, its own service, its directory and its key. */
export interface SshNode {
  readonly dir: string
  readonly key: Keys.NodeKey
  readonly transport: Transport["Service"]
  readonly ssh: SshTransport["Service"]
}

/** Loopback timings: a peer that says nothing for 300 ms is gone. */
export const quick = { electionTimeout: 300, heartbeat: 60, keyPollInterval: 20 } as const

export const makeNode = Effect.fnUntraced(function*(
  dir: string,
  options: Omit<SshTransportOptions, "dataDir"> = {}
) {
  const { key } = yield* Keys.init(dir, options)
  const context = yield* Layer.build(SshTransport.layer({ dataDir: dir, ...quick, ...options }))
  const node: SshNode = {
    dir,
    key,
    transport: Context.get(context, Transport),
    ssh: Context.get(context, SshTransport)
  }
  return node
})

/** Nodes in fresh directories, each of which trusts all the others. */
export const makeNodes = Effect.fnUntraced(function*(
  count: number,
  options: Omit<SshTransportOptions, "dataDir"> = {}
) {
  const dirs = yield* Effect.forEach(Array.from({ length: count }), () => temporaryDirectory)
  const keys = yield* Effect.forEach(dirs, (dir, i) => Keys.init(dir, { ...options, comment: `n${i + 1}` }))
  for (const dir of dirs) for (const { key } of keys) yield* Keys.authorize(dir, key.line)
  return yield* Effect.forEach(dirs, (dir) => makeNode(dir, options))
})
