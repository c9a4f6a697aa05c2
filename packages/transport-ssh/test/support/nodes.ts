/** Nodes with real sockets and directories of their own. */
import { Transport } from "@distkv/core"
import { Keys, SshTransport, type SshTransportOptions } from "@distkv/transport-ssh"
import { Context, Effect, Layer, Logger, References } from "effect"
import { temporaryDirectory } from "./keys.ts"

/** One node's transport, its own service, its directory, its key, and what it logged. */
export interface SshNode {
  readonly dir: string
  readonly key: Keys.NodeKey
  readonly transport: Transport["Service"]
  readonly ssh: SshTransport["Service"]
  readonly logged: ReadonlyArray<string>
}

type Options = Omit<SshTransportOptions, "dataDir">

/** Loopback timings: a peer that says nothing for 300 ms is gone. */
export const quick = { electionTimeout: 300, heartbeat: 60, keyPollInterval: 20 } as const

export const makeNode = Effect.fnUntraced(function*(dir: string, options: Options = {}) {
  const { key } = yield* Keys.init(dir, options)
  const logged: Array<string> = []
  const logger = Logger.make<unknown, void>(({ message }) => void logged.push(String(message)))
  const layer = SshTransport.layer({ dataDir: dir, ...quick, ...options }).pipe(
    Layer.provide([Logger.layer([logger]), Layer.succeed(References.MinimumLogLevel, "Debug")])
  )
  const context = yield* Layer.build(layer)
  const node: SshNode = {
    dir,
    key,
    transport: Context.get(context, Transport),
    ssh: Context.get(context, SshTransport),
    logged
  }
  return node
})

/** A node in a fresh directory that trusts nobody but itself. */
export const makeAlone = Effect.fnUntraced(function*(options: Options = {}) {
  return yield* makeNode(yield* temporaryDirectory, options)
})

/** Nodes in fresh directories, each of which trusts all the others. */
export const makeNodes = Effect.fnUntraced(function*(count: number, options: Options = {}) {
  const dirs = yield* Effect.forEach(Array.from({ length: count }), () => temporaryDirectory)
  const keys = yield* Effect.forEach(dirs, (dir, i) => Keys.init(dir, { ...options, comment: `n${i + 1}` }))
  for (const dir of dirs) for (const { key } of keys) yield* Keys.authorize(dir, key.line)
  return yield* Effect.forEach(dirs, (dir) => makeNode(dir, options))
})

export const makePair = Effect.fnUntraced(function*(options: Options = {}) {
  const [one, other] = yield* makeNodes(2, options)
  if (one === undefined || other === undefined) return yield* Effect.die("two nodes were asked for")
  return [one, other] as const
})
