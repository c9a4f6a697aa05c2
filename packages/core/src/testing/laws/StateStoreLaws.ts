/** The laws of the `StateStore` port, to be run on every implementation. */
import { Effect, Fiber } from "effect"
import type { Key } from "../../domain/Entry.ts"
import type { SessionId } from "../../domain/Position.ts"
import { sessionKey, type SessionRow } from "../../domain/SessionRow.ts"
import { stateHistoryLaws } from "./StateHistoryLaws.ts"
import {
  checkpoint,
  event,
  everything,
  keysIn,
  law,
  membership,
  meta,
  metadataIn,
  metadataOf,
  opened,
  previous,
  rev,
  row,
  rowsOf
} from "./StateSamples.ts"
import type { StateStoreLaw, Store } from "./StateSamples.ts"
import { stateScanLaws } from "./StateScanLaws.ts"
import { stateSnapshotLaws } from "./StateSnapshotLaws.ts"
import { expectEqual, reading } from "./StoreLaw.ts"

export type { StateStoreHarness, StateStoreLaw } from "./StateSamples.ts"

const checkpointLaws: ReadonlyArray<StateStoreLaw> = [
  law(
    "a state that was never checkpointed has no position, no rows and no events",
    (harness) =>
      opened(harness, (store) =>
        Effect.gen(function*() {
          yield* expectEqual("position", yield* store.recover, null)
          yield* expectEqual("row", yield* reading(() => store.getUnsafe("a" as Key)), undefined)
          yield* expectEqual("rows", yield* keysIn(store, {}), [])
          yield* expectEqual("event", yield* reading(() => store.eventAtUnsafe(rev(0))), undefined)
        }))
  ),

  law("a checkpoint is found whole when opened again", (harness) =>
    Effect.gen(function*() {
      const kept = row("a", "1", { createRevision: rev(2), modRevision: rev(5), version: 3, leaseId: rev(4) })
      const events = [
        event(5, 0, { previous: previous(4) }),
        event(6, 0, { key: kept.key, entry: null, previous: previous(5, { version: 3, leaseId: rev(4) }) })
      ]
      const where = meta(6, { compactRevision: rev(3), historyBytes: 77, historyCutBytes: 11, keys: 1, membership })
      yield* opened(harness, (store) =>
        store.checkpoint({ meta: where, rows: rowsOf([kept]), history: events, sessions: [] }))
      yield* opened(harness, (store) =>
        Effect.gen(function*() {
          yield* expectEqual("position", yield* store.recover, where)
          yield* expectEqual(
            "row",
            yield* reading(() =>
              store.getUnsafe("a" as Key)
            ),
            kept
          )
          yield* expectEqual("rows", yield* reading(() => [...store.scanUnsafe(everything)]), [kept])
          yield* expectEqual("put", yield* reading(() => store.eventAtUnsafe(rev(4))), events[0])
          yield* expectEqual("delete", yield* reading(() => store.eventAtUnsafe(rev(6))), events[1])
        }))
    })),

  law(
    "a checkpoint changes what it names and nothing else",
    (harness) =>
      opened(harness, (store) =>
        Effect.gen(function*() {
          const [a, b, c] = [row("a", "1"), row("b", "1"), row("c", "1")]
          yield* store.checkpoint(checkpoint(1, rowsOf([a, b, c])))
          const changed = row("b", "2", { modRevision: rev(2), version: 2 })
          yield* store.checkpoint(checkpoint(2, rowsOf([changed], ["a", "never there"])))
          yield* expectEqual("rows", yield* reading(() => [...store.scanUnsafe(everything)]), [changed, c])
          yield* expectEqual("deleted", yield* reading(() => store.getUnsafe("a" as Key)), undefined)
          yield* store.checkpoint(checkpoint(3, rowsOf([a])))
          yield* expectEqual("set again", yield* reading(() => store.getUnsafe("a" as Key)), a)
          yield* expectEqual("without its value", yield* metadataIn(store, "b"), metadataOf(changed))
          yield* expectEqual("none without its value", yield* metadataIn(store, "never there"), undefined)
        }))
  ),

  law(
    "reads show no checkpoint before it has succeeded, and all of it afterwards",
    (harness) =>
      opened(harness, (store) =>
        Effect.gen(function*() {
          const keys = Array.from({ length: 2000 }, (_, i) => `key${i}`)
          const states = [1, 2].map((n) => keys.map((key) => row(key, `${n}`)))
          yield* store.checkpoint(checkpoint(1, rowsOf(states[0]!)))
          const fiber = yield* Effect.forkChild(store.checkpoint(checkpoint(2, rowsOf(states[1]!))))
          while (fiber.pollUnsafe() === undefined) {
            const seen = yield* reading(() => ["key0", "key1999"].map((key) => store.getUnsafe(key as Key)?.value))
            const scanned = yield* reading(() => [...store.scanUnsafe({ ...everything, prefix: "key199" })][9]?.value)
            // The reads are one turn, in which the checkpoint cannot succeed; it was asked for before them.
            if (fiber.pollUnsafe() === undefined) {
              yield* expectEqual("while it runs", [...seen, scanned], [0, 1, 2].map(() => states[0]![0]!.value))
            }
            yield* Effect.yieldNow
          }
          yield* Fiber.join(fiber)
          const rows = yield* reading(() =>
            new Map(Array.from(store.scanUnsafe(everything), (entry) => [entry.key, entry]))
          )
          yield* expectEqual("afterwards", keys.map((key) => rows.get(key as Key)), states[1])
        }))
  ),

  law("checkpoints that run at once take effect in the order of their calls", (harness) =>
    Effect.gen(function*() {
      const numbers = Array.from({ length: 30 }, (_, i) => i + 1)
      const steps = numbers.map((n) =>
        checkpoint(n, rowsOf([row("last", `${n}`), row(`own ${n}`, "")]), { history: [event(n)] })
      )
      yield* opened(harness, (store) =>
        Effect.forEach(steps, (step) => store.checkpoint(step), { concurrency: "unbounded", discard: true }))
      yield* opened(harness, (store) =>
        Effect.gen(function*() {
          yield* expectEqual("position", yield* store.recover, meta(30))
          yield* expectEqual(
            "row",
            yield* reading(() =>
              store.getUnsafe("last" as Key)
            ),
            row("last", "30")
          )
          yield* expectEqual("rows", (yield* keysIn(store, {})).length, 31)
        }))
    }))
]

const sessionLaws: ReadonlyArray<StateStoreLaw> = [
  law(
    "rows of sessions are kept as they are, in order of their bytes, until they are replaced or removed",
    (harness) =>
      Effect.gen(function*() {
        const sessionRow = (session: number, block: number, more: ReadonlyArray<number>): SessionRow => {
          const id = session as SessionId
          return { session: id, block, bytes: Uint8Array.from([...sessionKey(id, block), ...more]) }
        }
        const none = (session: number, block: number): SessionRow => ({
          session: session as SessionId,
          block,
          bytes: null
        })
        const rows = [
          sessionRow(2 ** 40, 0, [1]),
          sessionRow(3, 300, []),
          sessionRow(3, 2, [255, 0]),
          sessionRow(300, 0, [7])
        ]
        const bytesOf = (...kept: ReadonlyArray<SessionRow>) => kept.map((row) => row.bytes)
        const seen = (store: Store) => reading(() => [...store.sessionsUnsafe()])
        yield* opened(harness, (store) =>
          Effect.gen(function*() {
            yield* expectEqual("at first", yield* seen(store), [])
            yield* store.checkpoint(checkpoint(1, rowsOf([row("a", "1")]), { sessions: rows }))
            yield* expectEqual("in order", yield* seen(store), bytesOf(rows[2]!, rows[1]!, rows[3]!, rows[0]!))
          }))
        const replaced = sessionRow(3, 2, [9, 9, 9])
        yield* opened(
          harness,
          (store) => store.checkpoint(checkpoint(2, rowsOf([]), { sessions: [replaced, none(300, 0), none(4, 0)] }))
        )
        yield* opened(harness, (store) =>
          Effect.gen(function*() {
            yield* expectEqual("afterwards", yield* seen(store), bytesOf(replaced, rows[1]!, rows[0]!))
          }))
      })
  )
]

/** Every law of the port. */
export const stateStoreLaws: ReadonlyArray<StateStoreLaw> = [
  ...checkpointLaws,
  ...sessionLaws,
  ...stateScanLaws,
  ...stateHistoryLaws,
  ...stateSnapshotLaws
]
