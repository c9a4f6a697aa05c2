/** The laws of the `StateStore` port about the history, and about damage. */
import { Effect, Exit } from "effect"
import type { Key } from "../../domain/Entry.ts"
import {
  checkpoint,
  event,
  everything,
  keysIn,
  law,
  meta,
  metadataIn,
  metadataOf,
  opened,
  previous,
  rev,
  row,
  rowsOf
} from "./StateSamples.ts"
import type { StateStoreLaw } from "./StateSamples.ts"
import { expectEqual, expectStorageFailed, LawBroken, reading } from "./StoreLaw.ts"

export const stateHistoryLaws: ReadonlyArray<StateStoreLaw> = [
  law(
    "an event is found by its revision, or by one before it that has none",
    (harness) =>
      opened(harness, (store) =>
        Effect.gen(function*() {
          const first = [event(2), event(3, 0), event(3, 1), event(3, 2), event(7)]
          const second = Array.from(
            { length: 500 },
            (_, i) => event(8 + i, 0, { entry: row("key0", new Uint8Array(900)), previous: previous(7 + i) })
          )
          yield* store.checkpoint(checkpoint(7, new Map(), { history: first }))
          yield* store.checkpoint(checkpoint(507, new Map(), { history: second }))
          const find = (revision: number) => reading(() => store.eventAtUnsafe(rev(revision)))
          for (const [asked, found] of [[0, 0], [2, 0], [3, 1], [4, 4], [7, 4]] as const) {
            yield* expectEqual(`at ${asked}`, yield* find(asked), first[found])
          }
          for (let i = 0; i < 500; i += 7) yield* expectEqual(`at ${8 + i}`, yield* find(8 + i), second[i])
          yield* expectEqual("beyond the last", yield* find(508), undefined)
        }))
  ),

  law(
    "events at and below the compact revision are gone, also those of the same checkpoint",
    (harness) =>
      Effect.gen(function*() {
        const events = Array.from(
          { length: 300 },
          (_, i) => event(i + 1, 0, { entry: row("key0", new Uint8Array(700)), previous: previous(i) })
        )
        yield* opened(harness, (store) => store.checkpoint(checkpoint(300, new Map(), { history: events })))
        yield* opened(harness, (store) =>
          Effect.gen(function*() {
            const find = (revision: number) => reading(() => store.eventAtUnsafe(rev(revision)))
            yield* expectEqual("first before", yield* find(1), events[0])
            yield* store.checkpoint(checkpoint(300, new Map(), { meta: meta(300, { compactRevision: rev(120) }) }))
            for (const asked of [0, 1, 120, 121]) yield* expectEqual(`at ${asked}`, yield* find(asked), events[120])
            const cutAtOnce = [event(301), event(302), event(303)]
            yield* store.checkpoint({
              meta: meta(303, { compactRevision: rev(302) }),
              rows: new Map(),
              history: cutAtOnce,
              sessions: []
            })
            yield* expectEqual("first kept", yield* find(1), cutAtOnce[2])
            yield* store.checkpoint(checkpoint(303, new Map(), { meta: meta(303, { compactRevision: rev(303) }) }))
            yield* expectEqual("none kept", yield* find(1), undefined)
          }))
        const reopened = opened(harness, (store) => reading(() => store.eventAtUnsafe(rev(1))))
        yield* expectEqual("when opened again", yield* reopened, undefined)
      })
  ),

  law(
    "a revision may have thousands of events, of which the first is found",
    (harness) =>
      opened(harness, (store) =>
        Effect.gen(function*() {
          const removed = Array.from(
            { length: 10_000 },
            (_, i) => event(5, i, { entry: null, previous: previous(4, { version: i + 1 }) })
          )
          yield* store.checkpoint(checkpoint(6, new Map(), { history: [event(4), ...removed, event(6)] }))
          const find = (revision: number) => reading(() => store.eventAtUnsafe(rev(revision)))
          yield* expectEqual("at 5", yield* find(5), removed[0])
          yield* expectEqual("at 6", yield* find(6), event(6))
          yield* store.checkpoint(checkpoint(6, new Map(), { meta: meta(6, { compactRevision: rev(5) }) }))
          yield* expectEqual("after the cut", yield* find(1), event(6))
        }))
  ),

  law("a damaged row is StorageFailed, never an absent or altered row", (harness) =>
    Effect.gen(function*() {
      if (harness.damage === null) return
      const rows = Array.from({ length: 50 }, (_, i) => row(`key${i + 10}`, "value of some length"))
      yield* opened(harness, (store) => store.checkpoint(checkpoint(1, rowsOf(rows))))
      yield* harness.damage("key20" as Key)
      yield* opened(harness, (store) =>
        Effect.gen(function*() {
          yield* expectStorageFailed("the row", reading(() => store.getUnsafe("key20" as Key)))
          yield* expectStorageFailed("the row without its value", metadataIn(store, "key20"))
          yield* expectStorageFailed("a scan over it", keysIn(store, {}))
          const sound = yield* reading(() => store.getUnsafe("key21" as Key))
          if (sound === undefined) {
            return yield* new LawBroken({ message: "a sound row beside the damaged one is gone" })
          }
        }))
    })),

  law(
    "who asks for no value need not find a damaged one, but never sees damaged metadata",
    (harness) =>
      Effect.gen(function*() {
        if (harness.damage === null) return
        const large = row("key", new Uint8Array(300_000).fill(7), { modRevision: rev(5), version: 3, leaseId: rev(4) })
        yield* opened(harness, (store) => store.checkpoint(checkpoint(1, rowsOf([large]))))
        yield* harness.damage(large.key)
        yield* opened(harness, (store) =>
          Effect.gen(function*() {
            yield* expectStorageFailed("the row", reading(() => store.getUnsafe(large.key)))
            yield* expectStorageFailed("a scan over it", keysIn(store, {}))
            const metadata = yield* Effect.exit(metadataIn(store, large.key))
            if (Exit.isSuccess(metadata)) yield* expectEqual("metadata", metadata.value, metadataOf(large))
            else yield* expectStorageFailed("metadata", metadata)
            const found = yield* Effect.exit(reading(() => [...store.scanUnsafe({ ...everything, keysOnly: true })]))
            if (Exit.isSuccess(found)) {
              yield* expectEqual("keys only", found.value, [{ ...large, value: new Uint8Array(0) }])
            } else yield* expectStorageFailed("keys only", found)
          }))
      })
  )
]
