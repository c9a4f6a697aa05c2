/** A consistent copy of the whole store as a stream of bytes, for a backup. */
import { Duration, Effect, Stream } from "effect"
import { Overloaded, type ReadError, type Shutdown, StorageFailed } from "../DistKvError.ts"
import type { LogIndex } from "../domain/Position.ts"
import type { StoredSnapshot } from "../StateStore.ts"
import type { RaftNode } from "./RaftNode.ts"

/** What is handed over at once. */
const pieceBytes = 64 * 1024
/** How often it is looked whether a checkpoint has come. */
const lookEvery = Duration.millis(20)

/**
 * The snapshot of the first checkpoint that holds everything up to the index that `barrier` answers: what was
 * acknowledged before the call is in it. It is built into a file first, so a slow reader holds nothing up.
 */
export const backup = (
  node: RaftNode,
  barrier: Effect.Effect<LogIndex, ReadError>
): Stream.Stream<Uint8Array, ReadError> =>
  Stream.unwrap(Effect.gen(function*() {
    const index = yield* barrier
    const { machine } = node.state
    while (machine.checkpointed < index) {
      yield* alive(node)
      yield* Effect.sleep(lookEvery)
    }
    const snapshot = yield* Effect.catchTag(
      node.stateStore.snapshot(node.state.clusterId),
      "SnapshotUnwritten",
      ({ message }) => Effect.fail(new Overloaded({ message, retryAfterMs: 1000 }))
    )
    if (snapshot === null) return yield* new StorageFailed({ message: "there is no checkpoint to copy" })
    return bytesOf(node, snapshot)
  }))

const alive = (node: RaftNode): Effect.Effect<void, Shutdown | StorageFailed> =>
  Effect.suspend(() => {
    const refusal = node.refusal()
    return refusal === null ? Effect.void : Effect.fail(refusal)
  })

const bytesOf = (node: RaftNode, snapshot: StoredSnapshot): Stream.Stream<Uint8Array, ReadError> =>
  Stream.unfold(0, (offset) =>
    Effect.gen(function*() {
      yield* alive(node)
      if (offset >= snapshot.id.bytes) return undefined
      const bytes = yield* Effect.mapError(
        snapshot.read(offset, pieceBytes),
        ({ message }) => new Overloaded({ message, retryAfterMs: 1000 })
      )
      return [bytes, offset + bytes.length] as const
    }))
