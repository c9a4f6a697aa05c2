/** The laws of the `StateStore` port about entries and their order. */
import { Effect } from "effect"
import type { Entry, Key } from "../../domain/Entry.ts"
import type { Scan, StateStore } from "../../StateStore.ts"
import { checkpoint, everything, keysIn, law, opened, rev, row, rowsOf } from "./StateSamples.ts"
import type { StateStoreHarness, StateStoreLaw } from "./StateSamples.ts"
import { draws, expectEqual, reading } from "./StoreLaw.ts"

type Store = StateStore["Service"]

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

/** By the bytes, told a second way: code points order like UTF-8. */
const isBelow = (a: string, b: string): boolean => {
  const [left, right] = [Array.from(a), Array.from(b)]
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const difference = left[i]!.codePointAt(0)! - right[i]!.codePointAt(0)!
    if (difference !== 0) return difference < 0
  }
  return left.length < right.length
}

export const stateScanLaws: ReadonlyArray<StateStoreLaw> = [
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

  law(
    "a scan of keys only gives the same entries, each without its value, also where a value changes its size",
    (harness) =>
      opened(harness, (store) =>
        Effect.gen(function*() {
          const sizes = [0, 1, 1023, 1024, 1025, 2000, 5000, 1_048_576]
          const rowsAt = (revision: number, shift: number) =>
            sizes.map((_, i) =>
              row(`k${i}`, new Uint8Array(sizes[(i + shift) % sizes.length]!).fill(revision), {
                modRevision: rev(revision),
                version: revision,
                leaseId: i % 2 === 0 ? null : rev(i)
              })
            )
          for (const [revision, shift] of [[1, 0], [2, 3], [3, 4]] as const) {
            const rows = rowsAt(revision, shift)
            yield* store.checkpoint(checkpoint(revision, rowsOf(rows)))
            const bare = rows.map((entry) => ({ ...entry, value: new Uint8Array(0) }))
            const keysOnly = (scan: Partial<Scan>) =>
              reading(() => [...store.scanUnsafe({ ...everything, ...scan, keysOnly: true })])
            yield* expectEqual("forward", yield* keysOnly({}), bare)
            yield* expectEqual("backward", yield* keysOnly({ reverse: true }), bare.toReversed())
            yield* expectEqual("within", yield* keysOnly({ from: "k2", to: "k5" }), bare.slice(2, 5))
            yield* expectEqual("with values", yield* reading(() => [...store.scanUnsafe(everything)]), rows)
            yield* expectEqual("one by one", yield* reading(() => rows.map(({ key }) => store.getUnsafe(key))), rows)
          }
          yield* store.checkpoint(checkpoint(4, rowsOf([], sizes.map((_, i) => `k${i}`))))
          yield* expectEqual("deleted", yield* keysIn(store, { keysOnly: true }), [])
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
        for (const [key, entry] of rows) {
          if (entry === null) model.delete(key)
          else model.set(key, entry)
        }
        const expected = [...model.values()].sort((a, b) => isBelow(a.key, b.key) ? -1 : 1)
        const scanned = opened(harness, (store) =>
          Effect.andThen(store.checkpoint(checkpoint(round, rows)), reading(() => [...store.scanUnsafe(everything)])))
        yield* expectEqual(`round ${round}`, yield* scanned, expected)
      }
    }))
]
