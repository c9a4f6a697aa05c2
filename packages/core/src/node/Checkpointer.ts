/**
 * Writes what applying has changed to the state store: every interval, whenever enough has gathered, and on close.
 *
 * Invariant: a checkpoint is never ahead of the own durable log. A leader applies what its followers have made durable
 * before its own disk has; such a checkpoint, after a power loss, would hold entries that the log lacks.
 */
import { Clock, Duration, Effect, type Scope } from "effect"
import type { StorageFailed } from "../DistKvError.ts"
import type { LogIndex } from "../domain/Position.ts"
import type { StateMachine } from "../state/StateMachine.ts"
import { StateStore } from "../StateStore.ts"

export interface CheckpointerOptions {
  readonly machine: StateMachine
  readonly durableIndex: () => LogIndex
  readonly interval: Duration.Duration
  readonly bytes: number
  /** Told of each checkpoint that has succeeded. */
  readonly succeeded: () => void
}

export interface Checkpointer {
  readonly counters: { count: number; seconds: number }
  /** Runs for ever; fails with the first checkpoint that fails. */
  readonly run: Effect.Effect<never, StorageFailed>
  /**
   * Writes what is left, for a close; gives up where the log's disk does not follow within a second, and where the node
   * has failed meanwhile: nothing may be written any more.
   */
  readonly last: (hasFailed: () => boolean) => Effect.Effect<void, StorageFailed>
}

/** How often the conditions are looked at within an interval. */
const looksPerInterval = 10

export const make = Effect.fnUntraced(function*(
  options: CheckpointerOptions
): Effect.fn.Return<Checkpointer, never, StateStore | Scope.Scope> {
  const { bytes, durableIndex, interval, machine, succeeded } = options
  const store = yield* StateStore
  const clock = yield* Clock.Clock
  const counters = { count: 0, seconds: 0 }
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e9
  const pause = clock.sleep(Duration.millis(Duration.toMillis(interval) / looksPerInterval))

  // A snapshot that is being installed is a checkpoint of its own.
  const mayBegin = () => machine.isDirty && !machine.isFrozen && !machine.isReplacing
  const follows = (index: LogIndex) => durableIndex() >= index

  const write = Effect.gen(function*() {
    const checkpoint = machine.freeze()
    const { index } = checkpoint.meta.applied
    while (!follows(index)) yield* pause
    const began = now()
    yield* Effect.uninterruptible(Effect.andThen(store.checkpoint(checkpoint), Effect.sync(() => machine.thaw())))
    counters.count++
    succeeded()
    counters.seconds += now() - began
  })

  const run = Effect.gen(function*() {
    while (true) {
      // The last checkpoint of a closing node may be under way beside this loop.
      for (let i = 0; i < looksPerInterval && (!mayBegin() || machine.dirtyBytes < bytes); i++) yield* pause
      if (mayBegin()) yield* write
    }
  })

  const last = Effect.fnUntraced(function*(hasFailed: () => boolean) {
    if (!mayBegin()) return
    for (let i = 0; i < looksPerInterval && !follows(machine.applied); i++) yield* pause
    // While this waited, the loop may have begun one.
    if (mayBegin() && follows(machine.applied) && !hasFailed()) yield* write
  })

  return { counters, run, last }
})
