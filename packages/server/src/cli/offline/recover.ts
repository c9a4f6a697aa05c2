/** Makes a new cluster of one node from its own data, once the quorum of its old one is lost for good. */
import { type Member, Offline } from "@distkv/core"
import { LmdbStorage } from "@distkv/storage-lmdb"
import { Effect, Layer } from "effect"
import { connect } from "node:net"
import { failed } from "../ExitStatus.ts"
import { formatHostPort, parseHostPort } from "../HostPort.ts"
import { noteLine, printJson, printLine } from "../Output.ts"
import { checkThere, makeBeside, putInPlace } from "./directories.ts"
import { fillDirectory } from "./restore.ts"

interface Flags {
  readonly dataDir: string
  readonly markFile: string | undefined
  readonly json: boolean
}

/** How long a member may take to answer, in milliseconds. */
const patienceMs = 3000

/** Whether an SSH server answers at a member's address: that member may be alive, and with it the old cluster. */
const answers = ({ address }: Member): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) => {
    const at = parseHostPort(address)
    if (at === undefined || at.port === 0) return resume(Effect.succeed(false))
    const socket = connect({ host: at.host, port: at.port })
    const settle = (alive: boolean) => {
      socket.destroy()
      resume(Effect.succeed(alive))
    }
    socket.setTimeout(patienceMs, () => settle(false))
    socket.on("error", () => settle(false))
    socket.on("close", () => settle(false))
    socket.once("data", (bytes) => settle(bytes.subarray(0, 4).toString("latin1") === "SSH-"))
    return Effect.sync(() => socket.destroy())
  })

export const recover = (flags: Flags) =>
  Effect.scoped(Effect.gen(function*() {
    const { dataDir, markFile } = flags
    yield* checkThere(dataDir)
    const storage = LmdbStorage.layer({ directory: dataDir, markFile, reserveBytes: 0, existing: true })
    const made = yield* makeBeside(dataDir, "recovering")
    const done = yield* Effect.gen(function*() {
      const { found } = yield* Offline.foundLog
      const { identity } = found
      if (identity === null || identity.clusterId === null) {
        return yield* failed(`${dataDir} belongs to no cluster: there is nothing to recover`)
      }
      const { applied, keys, membership, next, revision } = yield* Offline.remains
      const others = membership.members.filter(({ id }) => id !== identity.nodeId)
      const self = membership.members.find(({ id }) => id === identity.nodeId)
      const alive = yield* Effect.filter(others, answers, { concurrency: "unbounded" })
      if (alive.length > 0) {
        const names = alive.map(({ address, id }) => `${id} at ${address}`).join(", ")
        return yield* failed(
          `${names} still ${
            alive.length === 1 ? "answers" : "answer"
          }: the old cluster may live on, and there would be ` +
            "two. Stop every other member first, or remove what is lost with distkv member remove"
        )
      }
      const address = self?.address ??
        formatHostPort({ host: "127.0.0.1", port: identity.raftPort ?? 12000 }) as Member["address"]
      const first = { nodeId: identity.nodeId, address, raftPort: identity.raftPort }
      const { clusterId } = yield* fillDirectory(made, first, Effect.mapError(next, (error) => failed(error.message)))
      return { oldClusterId: identity.clusterId, clusterId, nodeId: identity.nodeId, applied, keys, revision, others }
    }).pipe(
      Effect.provide(Layer.fresh(storage)),
      Effect.mapError((error) => error._tag === "CommandFailed" ? error : failed(error.message))
    )
    const kept = yield* putInPlace(made, dataDir, `before-recovery-${done.oldClusterId.slice(0, 8)}`, true)
    const revision = done.revision + Offline.revisionGap
    if (flags.json) {
      return yield* printJson({
        dataDir,
        kept,
        nodeId: done.nodeId,
        clusterId: done.clusterId,
        oldClusterId: done.oldClusterId,
        applied: String(done.applied.index),
        keys: done.keys,
        revision: String(revision)
      })
    }
    yield* printLine(
      `${done.nodeId} is cluster ${done.clusterId} now, with ${done.keys} ${
        done.keys === 1 ? "key" : "keys"
      } at revision ` +
        `${revision}: everything that its log held, up to entry ${done.applied.index}`
    )
    yield* noteLine(`The old directory is kept as ${kept}.`)
    if (done.others.length > 0) {
      const names = done.others.map(({ id }) => id).join(", ")
      yield* noteLine(
        `Never start ${names} with their old directories: they join this cluster as new nodes, with empty ones.`
      )
    }
  }))
