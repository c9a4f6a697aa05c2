/** Makes the first node of a new cluster from a backup. */
import { type Address, type NodeId, NodeId as NodeIdSchema, Offline } from "@distkv/core"
import { LmdbStorage } from "@distkv/storage-lmdb"
import { Keys } from "@distkv/transport-ssh"
import { Effect, Layer, Schema, type Scope } from "effect"
import { open } from "node:fs/promises"
import { type CommandFailed, failed, misused } from "../ExitStatus.ts"
import { noteLine, printJson, printLine } from "../Output.ts"
import { checkWithoutData, makeBeside, onFiles, putInPlace } from "./directories.ts"

interface Flags {
  readonly dataDir: string
  readonly nodeId: string | undefined
  readonly raft: string
  readonly file: string
  readonly json: boolean
}

/** The node that a new cluster begins with. */
export interface FirstNode {
  readonly nodeId: NodeId
  readonly address: Address
  readonly raftPort: number | null
}

const pieceBytes = 256 * 1024

const asFailure = (error: { readonly message: string }): CommandFailed => failed(error.message)

/** Fills a directory, which has at most keys, with the first node of a new cluster and the entries of a snapshot. */
export const fillDirectory = Effect.fnUntraced(function*(
  directory: string,
  first: FirstNode,
  next: Effect.Effect<Uint8Array | null, CommandFailed>
) {
  const { key } = yield* Effect.mapError(Keys.init(directory), asFailure)
  const { address, nodeId, raftPort } = first
  const incarnation = yield* Offline.drawIncarnation
  const clusterId = yield* Offline.drawClusterId
  const self = { id: nodeId, incarnation, publicKey: key.publicKey, address, http: null }
  const header = yield* Offline.beginFrom({ nodeId, incarnation, clusterId, founding: false, raftPort }, self, next)
    .pipe(
      Effect.provide(Layer.fresh(LmdbStorage.layer({ directory, reserveBytes: 0 }))),
      Effect.scoped,
      Effect.mapError((error) =>
        error._tag === "MalformedSnapshot" ? failed(`the backup is damaged: ${error.message}`) : asFailure(error)
      )
    )
  return { header, clusterId }
})

/** The pieces of a file, then null. */
const piecesOf = (
  file: string
): Effect.Effect<Effect.Effect<Uint8Array | null, CommandFailed>, CommandFailed, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      onFiles(`${file} cannot be read`, () => open(file, "r")),
      (handle) => Effect.promise(() => handle.close())
    ),
    (handle) =>
      onFiles(`${file} cannot be read`, async () => {
        const { buffer, bytesRead } = await handle.read(new Uint8Array(pieceBytes), 0, pieceBytes)
        return bytesRead === 0 ? null : buffer.subarray(0, bytesRead)
      })
  )

export const restore = (flags: Flags) =>
  Effect.scoped(Effect.gen(function*() {
    const { dataDir, file, raft } = flags
    if (flags.nodeId !== undefined && !Schema.is(NodeIdSchema)(flags.nodeId)) {
      return yield* misused(`--node-id must be 1 to 64 of A-Z a-z 0-9 . _ -, not ${JSON.stringify(flags.nodeId)}`)
    }
    yield* checkWithoutData(dataDir)
    const next = yield* piecesOf(file)
    const made = yield* makeBeside(dataDir, "restoring")
    const nodeId = flags.nodeId === undefined ? yield* Offline.drawNodeId : flags.nodeId
    const first = { nodeId, address: raft as Address, raftPort: null }
    const { clusterId, header } = yield* fillDirectory(made, first, next)
    yield* putInPlace(made, dataDir, "before-restore", false)
    const revision = header.revision + Offline.revisionGap
    if (flags.json) {
      return yield* printJson({ dataDir, nodeId, clusterId, keys: header.keys, revision: String(revision) })
    }
    yield* printLine(
      `restored ${header.keys} ${header.keys === 1 ? "key" : "keys"} as cluster ${clusterId}, revision ${revision}`
    )
    yield* noteLine(`start it with: distkv start --data-dir ${dataDir} --raft ${raft}`)
    yield* noteLine("The other nodes join it with empty directories: distkv start --data-dir DIR --join " + raft)
  }))
