/** The laws of the `LogStore` port about compaction, and about a log that begins anew after a snapshot. */
import { Effect } from "effect"
import type { LogEntry } from "../../domain/LogEntry.ts"
import type { LogId, Term } from "../../domain/Position.ts"
import type { LogStore } from "../../LogStore.ts"
import { at, entries, expectLog, founded, hard, identity, law, opened, unlimited, write } from "./LogSamples.ts"
import type { LogStoreHarness, LogStoreLaw } from "./LogSamples.ts"
import { expectEqual, expectStorageFailed } from "./StoreLaw.ts"

const id = (term: number, index: number): LogId => ({ term: term as Term, index: at(index) })

type Store = LogStore["Service"]

const covered = (harness: LogStoreHarness, last: LogId) => harness.cover?.(last) ?? Effect.void

const compact = (harness: LogStoreHarness, store: Store, to: LogId) =>
  Effect.andThen(covered(harness, to), store.compact(to.index))

const reset = (harness: LogStoreHarness, store: Store, base: LogId, written: ReadonlyArray<LogEntry> = []) =>
  Effect.andThen(covered(harness, base), store.write({ hardState: null, reset: base, entries: written }))

const log = [...entries(1, 1, 30), ...entries(3, 31, 60)]

export const logCompactionLaws: ReadonlyArray<LogStoreLaw> = [
  law("a compacted log begins after what was dropped, and goes on at its end", (harness) =>
    Effect.gen(function*() {
      const more = entries(4, 61, 65)
      yield* founded(harness, (store) =>
        Effect.gen(function*() {
          yield* write(store, log)
          yield* compact(harness, store, id(3, 40))
          yield* expectLog("compacted", store, log.slice(40), id(3, 40))
          yield* expectEqual("from before", yield* store.read(at(1), at(42), unlimited), log.slice(40, 42))
          yield* expectEqual("only before", yield* store.read(at(1), at(40), unlimited), [])
          yield* write(store, more)
        }))
      yield* opened(harness, (store) => expectLog("opened again", store, [...log.slice(40), ...more], id(3, 40)))
    })),

  law(
    "the term before the first entry is remembered, also where it is another one than that of the first",
    (harness) =>
      Effect.gen(function*() {
        yield* founded(harness, (store) => Effect.andThen(write(store, log), compact(harness, store, id(1, 30))))
        yield* opened(harness, (store) => expectLog("opened again", store, log.slice(30), id(1, 30)))
      })
  ),

  law(
    "a log can be compacted to its end and again, and what is dropped already may be dropped again",
    (harness) =>
      Effect.gen(function*() {
        yield* founded(harness, (store) =>
          Effect.gen(function*() {
            yield* write(store, log)
            yield* compact(harness, store, id(1, 10))
            yield* compact(harness, store, id(3, 60))
            yield* store.compact(at(20))
            yield* expectLog("compacted", store, [], id(3, 60))
            yield* expectStorageFailed("before the first index", write(store, entries(4, 60, 61)))
            yield* expectStorageFailed("beyond the end", store.compact(at(61)))
          }))
        yield* opened(harness, (store) =>
          Effect.gen(function*() {
            yield* expectLog("opened again", store, [], id(3, 60))
            yield* write(store, entries(4, 61, 62), hard(4, "n1"))
            yield* expectLog("gone on", store, entries(4, 61, 62), id(3, 60))
          }))
      })
  ),

  law("after a compaction the end of the log is replaced as before", (harness) =>
    Effect.gen(function*() {
      yield* founded(harness, (store) =>
        Effect.gen(function*() {
          yield* write(store, log)
          yield* compact(harness, store, id(1, 30))
          yield* write(store, entries(5, 31, 33))
        }))
      yield* opened(harness, (store) => expectLog("opened again", store, entries(5, 31, 33), id(1, 30)))
    })),

  law(
    "compactions and writes that run at once leave the log that one after another would",
    (harness) =>
      Effect.gen(function*() {
        const long = entries(1, 1, 5000)
        const steps = Array.from({ length: 40 }, (_, i) => entries(2, 5001 + 3 * i, 5003 + 3 * i))
        yield* founded(harness, (store) =>
          Effect.gen(function*() {
            yield* write(store, long)
            yield* covered(harness, id(1, 4990))
            const compactions = [1000, 4000, 3000, 4990].map((to) => store.compact(at(to)))
            yield* Effect.all([...compactions, ...steps.map((step) => write(store, step))], {
              concurrency: "unbounded",
              discard: true
            })
          }))
        yield* opened(
          harness,
          (store) => expectLog("opened again", store, [...long.slice(4990), ...steps.flat()], id(1, 4990))
        )
      })
  ),

  law(
    "a log that begins anew keeps nothing of the old one but identity, term and vote",
    (harness) =>
      Effect.gen(function*() {
        yield* founded(harness, (store) =>
          Effect.gen(function*() {
            yield* write(store, log, hard(3, "n2"))
            yield* reset(harness, store, id(7, 100))
            yield* expectLog("ahead of the old end", store, [], id(7, 100))
            yield* expectStorageFailed("a hole", write(store, entries(7, 102, 102)))
            yield* write(store, entries(7, 101, 103))
          }))
        yield* opened(harness, (store) =>
          Effect.gen(function*() {
            const { hardState, identity: owner } = yield* store.recover
            yield* expectEqual("hard state", hardState, hard(3, "n2"))
            yield* expectEqual("identity", owner, identity)
            yield* expectLog("opened again", store, entries(7, 101, 103), id(7, 100))
          }))
      })
  ),

  law(
    "a log may begin anew before its old end, with its first entries in the same step",
    (harness) =>
      Effect.gen(function*() {
        yield* founded(harness, (store) =>
          Effect.gen(function*() {
            yield* write(store, log)
            yield* reset(harness, store, id(2, 35), entries(2, 36, 37))
            const hole = store.write({ hardState: null, reset: id(2, 35), entries: entries(2, 37, 37) })
            yield* expectStorageFailed("a hole after it", hole)
          }))
        yield* opened(harness, (store) => expectLog("opened again", store, entries(2, 36, 37), id(2, 35)))
      })
  ),

  law(
    "a log that begins anew before its old end keeps nothing of what came after",
    (harness) =>
      Effect.gen(function*() {
        yield* founded(harness, (store) =>
          Effect.gen(function*() {
            yield* write(store, log)
            yield* reset(harness, store, id(2, 35))
            yield* expectLog("before its old end", store, [], id(2, 35))
            yield* expectStorageFailed("a hole", write(store, entries(2, 37, 37)))
          }))
        yield* opened(harness, (store) =>
          Effect.gen(function*() {
            yield* expectLog("opened again", store, [], id(2, 35))
            yield* write(store, entries(4, 36, 37))
            yield* expectLog("gone on", store, entries(4, 36, 37), id(2, 35))
          }))
      })
  )
]
