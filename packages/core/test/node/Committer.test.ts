import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber } from "effect"
import type { Term } from "../../src/domain/Position.ts"
import { LogStore } from "../../src/LogStore.ts"
import * as Committer from "../../src/node/Committer.ts"
import type { Persisted } from "../../src/state/NodeMessage.ts"

const limit = Duration.seconds(10)
const noHardState = { hardState: { term: 1 as Term, votedFor: null }, entries: [] }

/** A clock that stands still until it is told, and wakes a sleeper only when its turn comes. */
class HandClock {
  private ms = 0
  private readonly sleepers: Array<() => void> = []

  readonly clock: Clock.Clock = {
    currentTimeMillisUnsafe: () => this.ms,
    currentTimeMillis: Effect.sync(() => this.ms),
    currentTimeNanosUnsafe: () => BigInt(this.ms) * 1_000_000n,
    currentTimeNanos: Effect.sync(() => BigInt(this.ms) * 1_000_000n),
    monotonicTimeNanosUnsafe: () => BigInt(this.ms) * 1_000_000n,
    monotonicTimeNanos: Effect.sync(() => BigInt(this.ms) * 1_000_000n),
    sleep: () => Effect.callback((resume) => void this.sleepers.push(() => resume(Effect.void)))
  }

  /** So much time passes, then everyone who sleeps wakes once, as after the process was stopped. */
  pass(ms: number): Effect.Effect<void> {
    return Effect.andThen(
      Effect.sync(() => {
        this.ms += ms
        for (const wake of this.sleepers.splice(0)) wake()
      }),
      settled
    )
  }
}

/** Every fiber that can go on has done so. */
const settled = Effect.forEach(Array.from({ length: 5 }), () => Effect.yieldNow, { discard: true })

/** A committer whose store finishes a write when told, and not before. */
const make = Effect.gen(function*() {
  const finish: Array<() => void> = []
  const persisted: Array<Persisted> = []
  const store = LogStore.of({
    recover: Effect.die("not asked for"),
    saveIdentity: () => Effect.die("not asked for"),
    write: () => Effect.callback((resume) => void finish.push(() => resume(Effect.void))),
    compact: () => Effect.die("not asked for"),
    read: () => Effect.succeed([]),
    spaceLeft: Effect.succeed(null)
  })
  const hand = new HandClock()
  const committer = yield* Committer.make(limit, (message) => persisted.push(message)).pipe(
    Effect.provideService(LogStore, store),
    Effect.provideService(Clock.Clock, hand.clock)
  )
  yield* Effect.forkScoped(committer.run)
  const watch = yield* Effect.forkScoped(Effect.provideService(committer.watch, Clock.Clock, hand.clock))
  // A write cannot be interrupted: what is still under way has to end before the committer can.
  yield* Effect.addFinalizer(() => Effect.sync(() => finish.forEach((end) => end())))
  yield* settled
  return { committer, finish, hand, persisted, watch }
})

describe("Committer", () => {
  it.effect("gives a commit up that was found under way for its whole time", () =>
    Effect.gen(function*() {
      const { committer, hand, watch } = yield* make
      committer.submit(1, noHardState)
      yield* settled
      for (let look = 0; look < 10; look++) yield* hand.pass(1000)
      assert.isUndefined(watch.pollUnsafe())
      yield* hand.pass(1000)
      const error = yield* Effect.flip(Fiber.join(watch))
      assert.match(error.message, /a log commit has taken more than 10000 ms/)
    }))

  it.effect("goes on after the process was stopped in the middle of a commit, however long", () =>
    Effect.gen(function*() {
      const { committer, finish, hand, persisted, watch } = yield* make
      committer.submit(1, noHardState)
      yield* settled
      yield* hand.pass(3_600_000)
      assert.isUndefined(watch.pollUnsafe())
      finish[0]?.()
      yield* settled
      assert.deepStrictEqual(persisted, [{
        _tag: "Persisted",
        number: 1,
        hardState: noHardState.hardState,
        last: null
      }])
      for (let look = 0; look < 30; look++) yield* hand.pass(1000)
      assert.isUndefined(watch.pollUnsafe())
    }))

  it.effect("does not add up commits that follow each other without a pause", () =>
    Effect.gen(function*() {
      const { committer, finish, hand, watch } = yield* make
      committer.submit(1, noHardState)
      for (let number = 2; number < 30; number++) {
        yield* settled
        committer.submit(number, noHardState)
        yield* hand.pass(1000)
        finish[number - 2]?.()
      }
      assert.isUndefined(watch.pollUnsafe())
    }))
})
