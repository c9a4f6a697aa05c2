/** The laws of the `LogStore` port, to be run on every implementation. */
import { Effect, Fiber } from "effect"
import type { Command } from "../../domain/Command.ts"
import type { ClusterId } from "../../domain/Identity.ts"
import type { LogEntry } from "../../domain/LogEntry.ts"
import { logStart } from "../../domain/Position.ts"
import { logCompactionLaws } from "./LogCompactionLaws.ts"
import {
  at,
  entries,
  entry,
  expectLog,
  founded,
  hard,
  identity,
  law,
  opened,
  put,
  unlimited,
  write
} from "./LogSamples.ts"
import type { LogStoreLaw } from "./LogSamples.ts"
import { draws, expectEqual, expectStorageFailed } from "./StoreLaw.ts"

export type { LogStoreHarness, LogStoreLaw } from "./LogSamples.ts"

const identityLaws: ReadonlyArray<LogStoreLaw> = [
  law(
    "a log that was never used is empty, and has neither identity nor hard state",
    (harness) =>
      opened(harness, (store) =>
        Effect.gen(function*() {
          const expected = { identity: null, hardState: null, base: logStart, first: 1, last: 0, terms: [] }
          yield* expectEqual("recovered", yield* store.recover, expected)
          yield* expectEqual("entries", yield* store.read(at(1), at(10), unlimited), [])
        }))
  ),

  law(
    "the first identity comes with an initial hard state, both found when opened again",
    (harness) =>
      Effect.gen(function*() {
        yield* founded(harness, () => Effect.void)
        const recovered = yield* opened(harness, (store) => store.recover)
        yield* expectEqual("recovered", recovered, {
          identity,
          hardState: hard(0, null),
          base: logStart,
          first: 1,
          last: 0,
          terms: []
        })
      })
  ),

  law(
    "an identity saved again replaces the one before, and leaves the rest alone",
    (harness) =>
      Effect.gen(function*() {
        const clustered = { ...identity, founding: false, clusterId: "fedcba9876543210fedcba9876543210" as ClusterId }
        yield* founded(harness, (store) => write(store, entries(3, 1, 2), hard(3, "n2")))
        yield* opened(harness, (store) => Effect.andThen(store.recover, store.saveIdentity(clustered)))
        yield* opened(harness, (store) =>
          Effect.gen(function*() {
            const recovered = yield* store.recover
            yield* expectEqual("identity", recovered.identity, clustered)
            yield* expectEqual("hard state", recovered.hardState, hard(3, "n2"))
            yield* expectLog("log", store, entries(3, 1, 2))
          }))
      })
  )
]

const writingLaws: ReadonlyArray<LogStoreLaw> = [
  law("what a write wrote is there when opened again", (harness) =>
    Effect.gen(function*() {
      yield* founded(harness, (store) => write(store, entries(1, 1, 3), hard(1, "n1")))
      yield* opened(harness, (store) =>
        Effect.gen(function*() {
          yield* expectEqual("hard state", (yield* store.recover).hardState, hard(1, "n1"))
          yield* expectLog("log", store, entries(1, 1, 3))
        }))
    })),

  law(
    "a write without a hard state keeps the one before, a write without entries keeps the log",
    (harness) =>
      Effect.gen(function*() {
        yield* founded(harness, (store) =>
          Effect.gen(function*() {
            yield* write(store, entries(1, 1, 1), hard(1, "n1"))
            yield* write(store, entries(1, 2, 2))
            yield* write(store, [], hard(7, null))
            yield* write(store, [])
            yield* expectLog("log", store, entries(1, 1, 2))
          }))
        yield* opened(harness, (store) =>
          Effect.gen(function*() {
            yield* expectEqual("hard state", (yield* store.recover).hardState, hard(7, null))
            yield* expectLog("log", store, entries(1, 1, 2))
          }))
      })
  ),

  law("entries that are replaced are gone with all that followed them", (harness) =>
    Effect.gen(function*() {
      const expected = [...entries(1, 1, 3), ...entries(2, 4, 5)]
      yield* founded(harness, (store) =>
        Effect.gen(function*() {
          yield* write(store, entries(1, 1, 300))
          yield* write(store, entries(2, 4, 5), hard(2, null))
          yield* expectLog("after the write", store, expected)
          yield* expectEqual("beyond the end", yield* store.read(at(6), at(300), unlimited), [])
        }))
      yield* opened(harness, (store) => expectLog("when opened again", store, expected))
    })),

  law("a write may replace the whole log, also by a shorter one", (harness) =>
    Effect.gen(function*() {
      yield* founded(harness, (store) =>
        Effect.andThen(write(store, entries(1, 1, 20)), write(store, entries(5, 1, 1), hard(5, null))))
      yield* opened(harness, (store) =>
        expectLog("log", store, entries(5, 1, 1)))
    })),

  law("a write that would leave a hole fails and changes nothing", (harness) =>
    Effect.gen(function*() {
      const hole = [entry(1, 3), entry(1, 5)]
      yield* founded(harness, (store) =>
        Effect.gen(function*() {
          yield* write(store, entries(1, 1, 2))
          yield* expectStorageFailed("after the end", write(store, entries(1, 4, 4), hard(9, "n9")))
          yield* expectStorageFailed("before the first index", write(store, entries(1, 0, 1)))
          yield* expectStorageFailed("within the write", write(store, hole))
        }))
      yield* opened(harness, (store) =>
        Effect.gen(function*() {
          yield* expectEqual("hard state", (yield* store.recover).hardState, hard(0, null))
          yield* expectLog("log", store, entries(1, 1, 2))
        }))
    })),

  law("writes that run at once take effect in the order of their calls", (harness) =>
    Effect.gen(function*() {
      const steps = Array.from(
        { length: 60 },
        (_, i) => ({ hardState: hard(i + 1, "n1"), entries: [entry(i + 1, i + 1)] })
      )
      const truncations = [entries(61, 31, 40), entries(62, 36, 36), entries(62, 37, 50)]
      yield* founded(harness, (store) =>
        Effect.all(
          [...steps.map((step) => store.write(step)), ...truncations.map((part) => write(store, part))],
          { concurrency: "unbounded", discard: true }
        ))
      yield* opened(harness, (store) =>
        Effect.gen(function*() {
          const kept = steps.slice(0, 30).flatMap((step) => step.entries)
          yield* expectLog("log", store, [...kept, ...entries(61, 31, 35), ...entries(62, 36, 50)])
          yield* expectEqual("hard state", (yield* store.recover).hardState, hard(60, "n1"))
        }))
    })),

  law(
    "a write whose caller is interrupted is done whole or not at all, and the next one is right",
    (harness) =>
      Effect.gen(function*() {
        yield* founded(harness, (store) =>
          Effect.gen(function*() {
            for (let round = 0; round < 10; round++) {
              const fiber = yield* Effect.forkChild(write(store, entries(1, 1, 40), hard(1, "n1")), {
                startImmediately: true
              })
              yield* Fiber.interrupt(fiber)
              const { hardState, last } = yield* store.recover
              yield* expectEqual("all or nothing", [last, hardState?.term], last === 0 ? [0, 0] : [40, 1])
            }
            yield* write(store, entries(2, 1, 3), hard(2, null))
          }))
        yield* opened(harness, (store) => expectLog("log", store, entries(2, 1, 3)))
      })
  )
]

const readingLaws: ReadonlyArray<LogStoreLaw> = [
  law(
    "a read gives the entries asked for, bounded by bytes but never none",
    (harness) =>
      founded(harness, (store) =>
        Effect.gen(function*() {
          const log = entries(1, 1, 9)
          const size = log[0]!.record.length
          yield* write(store, log)
          const read = (from: number, to: number, bytes: number) => store.read(at(from), at(to), bytes)
          yield* expectEqual("both ends included", yield* read(3, 5, unlimited), log.slice(2, 5))
          yield* expectEqual("one", yield* read(9, 9, unlimited), log.slice(8))
          yield* expectEqual("beyond the last", yield* read(8, 99, unlimited), log.slice(7))
          yield* expectEqual("after the last", yield* read(10, 99, unlimited), [])
          yield* expectEqual("exactly three fit", yield* read(2, 9, 3 * size), log.slice(1, 4))
          yield* expectEqual("almost three fit", yield* read(2, 9, 3 * size - 1), log.slice(1, 3))
          yield* expectEqual("none fits", yield* read(2, 9, 1), log.slice(1, 2))
        }))
  ),

  law(
    "entries that were read stay as they are, whatever is read or written afterwards",
    (harness) =>
      founded(harness, (store) =>
        Effect.gen(function*() {
          const log = entries(1, 1, 50)
          yield* write(store, log)
          const early = yield* store.read(at(1), at(50), unlimited)
          yield* write(store, entries(2, 1, 80))
          for (let index = 1; index <= 80; index++) yield* store.read(at(index), at(index), 1)
          yield* expectEqual("read before", early, log)
        }))
  ),

  law("records of every size come back byte for byte", (harness) =>
    Effect.gen(function*() {
      const sizes = [0, 1, 200, 1300, 1900, 4000, 4096, 8000, 65_536, 1_048_576]
      const commands: ReadonlyArray<Command> = [
        { _tag: "NoOp" },
        ...sizes.map((size) => put(new Uint8Array(size).fill(size)))
      ]
      const log = commands.map((command, i) => entry(2, i + 1, command))
      yield* founded(harness, (store) => write(store, log))
      yield* opened(harness, (store) => expectLog("log", store, log))
    })),

  law("the terms of a log are found again, however they are spread", (harness) =>
    Effect.gen(function*() {
      const draw = draws(7)
      const log: Array<LogEntry> = []
      for (let term = 1; log.length < 700; term += 1 + draw(3)) {
        const run = draw(4) === 0 ? draw(200) + 1 : draw(3) + 1
        for (let i = 0; i < run; i++) log.push(entry(term, log.length + 1))
      }
      yield* founded(harness, (store) => write(store, log))
      yield* opened(harness, (store) => expectLog("log", store, log))
    })),

  law(
    "a damaged record is StorageFailed, never another record and never a shorter log",
    (harness) =>
      Effect.gen(function*() {
        if (harness.damage === null) return
        yield* founded(harness, (store) => write(store, entries(1, 1, 100)))
        yield* harness.damage(at(50))
        // A store may look at every record when it is opened, and then it does not open.
        const looked = opened(harness, (store) =>
          Effect.gen(function*() {
            const recovered = yield* Effect.result(store.recover)
            if (recovered._tag === "Success") yield* expectEqual("last index", recovered.success.last, 100)
            yield* expectStorageFailed("the record", store.read(at(50), at(50), unlimited))
            yield* expectStorageFailed("a range with the record", store.read(at(1), at(100), unlimited))
          }))
        yield* Effect.catchTag(looked, "StorageFailed", () => Effect.void)
      })
  )
]

/** Every law of the port. */
export const logStoreLaws: ReadonlyArray<LogStoreLaw> = [
  ...identityLaws,
  ...writingLaws,
  ...readingLaws,
  ...logCompactionLaws
]
