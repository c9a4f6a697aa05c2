/** The laws of the `StateStore` port, to be run on every implementation. */
import { Effect, Fiber } from "effect"
import type { Entry, Key } from "../../domain/Entry.ts"
import type { Address, Incarnation, NodeId, PublicKey } from "../../domain/Identity.ts"
import type { Membership } from "../../domain/Membership.ts"
import { emptyMembership } from "../../domain/Membership.ts"
import type { LogIndex, Revision, Term } from "../../domain/Position.ts"
import type { Checkpoint, HistoryEvent, Scan, StateMeta, StateStore } from "../../StateStore.ts"
import type { StoreHarness, StoreLaw } from "./StoreLaw.ts"
import { draws, expectEqual, expectStorageFailed, LawBroken, reading } from "./StoreLaw.ts"

type Store = StateStore["Service"]
export type StateStoreHarness = StoreHarness<Store, Key>
export type StateStoreLaw = StoreLaw<Store, Key>

const membership: Membership = {
  members: [{
    id: "n1" as NodeId,
    incarnation: "0123456789abcdef0123456789abcdef" as Incarnation,
    publicKey: "ssh-ed25519 AAAA" as PublicKey,
    address: "host-ü:1" as Address,
    http: null,
    standing: "voter"
  }],
  tombstones: [{ id: "n0" as NodeId, publicKey: "ssh-ed25519 BBBB" as PublicKey }],
  outgoing: null
}

const rev = (revision: number) => revision as Revision

const meta = (revision: number, more: Partial<StateMeta> = {}): StateMeta => ({
  applied: { term: 1 as Term, index: revision as LogIndex },
  revision: rev(revision),
  compactRevision: rev(0),
  historyBytes: 0,
  historyCutBytes: 0,
  keys: 0,
  membership: emptyMembership,
  ...more
})

const row = (key: string, value: string | Uint8Array, more: Partial<Entry> = {}): Entry => ({
  key: key as Key,
  value: typeof value === "string" ? new TextEncoder().encode(value) : value,
  createRevision: rev(1),
  modRevision: rev(1),
  version: 1,
  leaseId: null,
  ...more
})

const rowsOf = (entries: ReadonlyArray<Entry>, deleted: ReadonlyArray<string> = []): ReadonlyMap<Key, Entry | null> =>
  new Map([
    ...entries.map((entry): [Key, Entry | null] => [entry.key, entry]),
    ...deleted.map((key): [Key, null] => [key as Key, null])
  ])

const checkpoint = (revision: number, rows: Checkpoint["rows"], more: Partial<Checkpoint> = {}): Checkpoint => ({
  meta: meta(revision),
  rows,
  history: [],
  ...more
})

const event = (revision: number, position = 0, more: Partial<HistoryEvent> = {}): HistoryEvent => ({
  revision: rev(revision),
  position,
  key: `key${position}` as Key,
  entry: row(`key${position}`, `value of ${revision}`, { modRevision: rev(revision) }),
  previous: null,
  historyBytes: revision * 100 + position,
  ...more
})

const everything: Scan = { from: null, to: null, prefix: null, reverse: false }

const keysIn = (store: Store, scan: Partial<Scan>) =>
  reading(() => Array.from(store.scanUnsafe({ ...everything, ...scan }), (entry) => entry.key))

const opened = <A, E>(harness: StateStoreHarness, body: (store: Store) => Effect.Effect<A, E>) =>
  Effect.scoped(Effect.flatMap(harness.open, body))

const law = (name: string, check: StateStoreLaw["check"]): StateStoreLaw => ({ name, check })

/** In order of their UTF-8 bytes, which is not the order of JavaScript strings. */
const orderedKeys = [
  "\u0000",
  "a",
  "a\u0000",
  "a/1",
  "a/2",
  "a0",
  "b",
  "z",
  "ä",
  "\ud7ff",
  "\ue000",
  "\uffff",
  "𐀀",
  "😀",
  "\u{10ffff}"
]

const shuffled = (keys: ReadonlyArray<string>): ReadonlyArray<string> => {
  const draw = draws(3)
  return keys.map((key) => ({ key, place: draw(1_000_000) })).sort((a, b) => a.place - b.place).map(({ key }) => key)
}

const withOrderedKeys = <A, E>(harness: StateStoreHarness, body: (store: Store) => Effect.Effect<A, E>) =>
  opened(
    harness,
    (store) =>
      Effect.andThen(
        store.checkpoint(checkpoint(1, rowsOf(shuffled(orderedKeys).map((key) => row(key, key))))),
        body(store)
      )
  )

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
        event(5, 0, { previous: row("key0", "old") }),
        event(6, 0, { key: kept.key, entry: null, previous: kept })
      ]
      const where = meta(6, { compactRevision: rev(3), historyBytes: 77, historyCutBytes: 11, keys: 1, membership })
      yield* opened(harness, (store) => store.checkpoint({ meta: where, rows: rowsOf([kept]), history: events }))
      yield* opened(harness, (store) =>
        Effect.gen(function*() {
          yield* expectEqual("position", yield* store.recover, where)
          yield* expectEqual("row", yield* reading(() => store.getUnsafe("a" as Key)), kept)
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
            // Asked for only now: it may have succeeded within these reads only where they are one turn, which they are.
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

const scanLaws: ReadonlyArray<StateStoreLaw> = [
  law(
    "keys are ordered by their UTF-8 bytes, in both directions",
    (harness) =>
      withOrderedKeys(harness, (store) =>
        Effect.gen(function*() {
          yield* expectEqual("forward", yield* keysIn(store, {}), orderedKeys)
          yield* expectEqual("backward", yield* keysIn(store, { reverse: true }), orderedKeys.toReversed())
        }))
  ),

  law(
    "a scan includes its lower and excludes its upper bound, also where they are no keys",
    (harness) =>
      withOrderedKeys(harness, (store) =>
        Effect.gen(function*() {
          const bounds = [
            "",
            ...orderedKeys,
            "a/",
            "\u0001",
            "\ufffd",
            "\u{10fffe}",
            "\u{10ffff}".repeat(400),
            "a".repeat(3000)
          ]
          for (const from of [null, ...bounds]) {
            for (const to of [null, ...bounds]) {
              const expected = orderedKeys.filter((key) =>
                (from === null || !isBelow(key, from)) && (to === null || isBelow(key, to))
              )
              const name = `from ${JSON.stringify(from?.slice(0, 9))} to ${JSON.stringify(to?.slice(0, 9))}`
              yield* expectEqual(name, yield* keysIn(store, { from, to }), expected)
              yield* expectEqual(
                `${name}, reverse`,
                yield* keysIn(store, { from, to, reverse: true }),
                expected.toReversed()
              )
            }
          }
        }))
  ),

  law(
    "a scan of a prefix gives the keys that begin with it, alone or within bounds",
    (harness) =>
      withOrderedKeys(harness, (store) =>
        Effect.gen(function*() {
          for (
            const prefix of ["", "a", "a/", "b", "c", "ä", "\ud7ff", "\uffff", "😀", "\u{10ffff}", "a".repeat(3000)]
          ) {
            for (const from of [null, "a/1", "a0", "\u{10ffff}"]) {
              for (const to of [null, "a/2", "a1", "\uffff"]) {
                const expected = orderedKeys.filter((key) =>
                  key.startsWith(prefix) && (from === null || !isBelow(key, from)) && (to === null || isBelow(key, to))
                )
                const name = `prefix ${JSON.stringify(prefix.slice(0, 9))} from ${from} to ${to}`
                yield* expectEqual(name, yield* keysIn(store, { prefix, from, to }), expected)
                const reverse = yield* keysIn(store, { prefix, from, to, reverse: true })
                yield* expectEqual(`${name}, reverse`, reverse, expected.toReversed())
              }
            }
          }
        }))
  ),

  law(
    "a scan that is left early does not disturb what follows",
    (harness) =>
      withOrderedKeys(harness, (store) =>
        Effect.gen(function*() {
          for (let round = 0; round < 50; round++) {
            const first = yield* reading(() => {
              for (const entry of store.scanUnsafe({ ...everything, from: "b" })) return entry.key
              return null
            })
            yield* expectEqual("first", first, "b")
            yield* store.checkpoint(checkpoint(round + 2, rowsOf([row("b", `${round}`)])))
          }
          yield* expectEqual("all", yield* keysIn(store, {}), orderedKeys)
        }))
  ),

  law(
    "entries of every shape come back as they were, and stay so",
    (harness) =>
      opened(harness, (store) =>
        Effect.gen(function*() {
          const top = rev(Number.MAX_SAFE_INTEGER)
          const sizes = [0, 1, 64, 1300, 1900, 4000, 4096, 8000, 65_536, 1_048_576]
          const rows = [
            ...sizes.map((size, i) => row(`k${i}`, new Uint8Array(size).fill(i + 1))),
            row("k".repeat(1024), "the longest key"),
            row("l", "extremes", {
              createRevision: top,
              modRevision: top,
              version: Number.MAX_SAFE_INTEGER,
              leaseId: top
            }),
            row("m", "lease 0", { leaseId: rev(0) })
          ]
          yield* store.checkpoint(checkpoint(1, rowsOf(rows)))
          const got = yield* reading(() => rows.map(({ key }) => store.getUnsafe(key)))
          const scanned = yield* reading(() => [...store.scanUnsafe(everything)])
          yield* store.checkpoint(checkpoint(2, rowsOf(rows.map(({ key }) => row(key, "other")))))
          yield* reading(() => rows.map(({ key }) => store.getUnsafe(key)))
          yield* expectEqual("got", got, rows)
          yield* expectEqual(
            "scanned",
            scanned.toSorted((a, b) => isBelow(a.key, b.key) ? -1 : 1),
            rows.toSorted((a, b) => isBelow(a.key, b.key) ? -1 : 1)
          )
        }))
  ),

  law("any sequence of checkpoints leaves what a plain map would hold", (harness) =>
    Effect.gen(function*() {
      const draw = draws(11)
      const model = new Map<string, Entry>()
      for (let round = 1; round <= 25; round++) {
        const rows = new Map<Key, Entry | null>()
        for (let i = draw(40); i > 0; i--) {
          const key = `${orderedKeys[draw(orderedKeys.length)]}${draw(4)}` as Key
          rows.set(key, draw(3) === 0 ? null : row(key, `${round}`, { modRevision: rev(round) }))
        }
        for (const [key, entry] of rows) entry === null ? model.delete(key) : model.set(key, entry)
        const expected = [...model.values()].sort((a, b) => isBelow(a.key, b.key) ? -1 : 1)
        const scanned = opened(harness, (store) =>
          Effect.andThen(store.checkpoint(checkpoint(round, rows)), reading(() => [...store.scanUnsafe(everything)])))
        yield* expectEqual(`round ${round}`, yield* scanned, expected)
      }
    }))
]

/** By the bytes, told a second way: code points order like UTF-8. */
const isBelow = (a: string, b: string): boolean => {
  const [left, right] = [Array.from(a), Array.from(b)]
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const difference = left[i]!.codePointAt(0)! - right[i]!.codePointAt(0)!
    if (difference !== 0) return difference < 0
  }
  return left.length < right.length
}

const historyLaws: ReadonlyArray<StateStoreLaw> = [
  law(
    "an event is found by its revision, or by one before it that has none",
    (harness) =>
      opened(harness, (store) =>
        Effect.gen(function*() {
          const first = [event(2), event(3, 0), event(3, 1), event(3, 2), event(7)]
          const second = Array.from(
            { length: 500 },
            (_, i) => event(8 + i, 0, { previous: row("key0", new Uint8Array(900)) })
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
          (_, i) => event(i + 1, 0, { previous: row("key0", new Uint8Array(700)) })
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
              history: cutAtOnce
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
            (_, i) => event(5, i, { entry: null, previous: row(`key${i}`, "gone") })
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
          yield* expectStorageFailed("a scan over it", keysIn(store, {}))
          const sound = yield* reading(() => store.getUnsafe("key21" as Key))
          if (sound === undefined) {
            return yield* new LawBroken({ message: "a sound row beside the damaged one is gone" })
          }
        }))
    }))
]

/** Every law of the port. */
export const stateStoreLaws: ReadonlyArray<StateStoreLaw> = [...checkpointLaws, ...scanLaws, ...historyLaws]
