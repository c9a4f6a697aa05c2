/** Looks at the disk's free space: each second, and sooner when much may have been written since. */
import { Duration, Effect, Queue } from "effect"
import type { StorageFailed } from "../DistKvError.ts"
import { LogStore } from "../LogStore.ts"
import type { NodeState } from "../roles/NodeState.ts"
import type { NodeMessage } from "../state/NodeMessage.ts"

/** How often the disk's free space is looked at. */
const spaceEvery = Duration.seconds(1)
/**
 * Or as soon as a commit may have used this part of the space that was left then: what is written to the log is written
 * to the state too, and a disk can fill faster than once a second.
 */
const partsOfSpace = 8

export interface SpaceWatch {
  /** The log has grown by so many bytes. */
  readonly written: (bytes: number) => void
  /** Runs for ever; tells the node when its disk reserve is reached, or free again. */
  readonly run: (state: NodeState) => Effect.Effect<never, StorageFailed>
}

export const make = Effect.fnUntraced(function*(
  offer: (message: NodeMessage) => void
): Effect.fn.Return<SpaceWatch, never, LogStore> {
  const store = yield* LogStore
  const looks = yield* Queue.sliding<true>(1)
  let lookAfter = Number.POSITIVE_INFINITY
  return {
    written: (bytes) => {
      lookAfter -= bytes
      if (lookAfter <= 0) Queue.offerUnsafe(looks, true)
    },
    run: (state) =>
      Effect.gen(function*() {
        while (true) {
          const left = yield* store.spaceLeft
          if (left === null) return yield* Effect.never
          const full = left <= 0
          // Also where it is enough for writes: it may not be for a snapshot.
          if (full !== state.diskFull || left !== state.spaceLeft) offer({ _tag: "SpaceChanged", full, bytes: left })
          if (full) {
            yield* Effect.sleep(spaceEvery)
            continue
          }
          lookAfter = left / partsOfSpace
          yield* Effect.raceFirst(Effect.sleep(spaceEvery), Queue.take(looks))
          lookAfter = Number.POSITIVE_INFINITY
        }
      })
  }
})
