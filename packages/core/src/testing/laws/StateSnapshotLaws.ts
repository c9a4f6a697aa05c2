/** The laws of the `StateStore` port about snapshots. */
import { Effect } from "effect"
import type { Key } from "../../domain/Entry.ts"
import type { ClusterId } from "../../domain/Identity.ts"
import type { SessionId } from "../../domain/Position.ts"
import { sessionKey, type SessionRow } from "../../domain/SessionRow.ts"
import { MalformedSnapshot, type SnapshotId } from "../../domain/Snapshot.ts"
import { MemoryState } from "../../MemoryStateStore.ts"
import type { Checkpoint, IncomingSnapshot, StateStore, StoredSnapshot } from "../../StateStore.ts"
import {
  checkpoint,
  event,
  everything,
  keysIn,
  law,
  membership,
  meta,
  opened,
  previous,
  rev,
  row,
  rowsOf
} from "./StateSamples.ts"
import type { StateStoreLaw } from "./StateSamples.ts"
import { expectEqual, LawBroken, reading } from "./StoreLaw.ts"

type Store = StateStore["Service"]

const clusterId = "00112233445566778899aabbccddeeff" as ClusterId

/** Entries of many sizes, keys on which byte order and string order differ, the events after `since`, some cut. */
const sample = (revision: number, salt: string, since = 0): Checkpoint => {
  const keys = ["a", "b\u{10000}", "b\uffff", "b", "ü", "a\u0000", ...Array.from({ length: 300 }, (_, i) => `k${i}`)]
  const rows = keys.map((key, i) =>
    row(key, `${salt} ${"x".repeat(i === 7 ? 400_000 : i * 5)}`, {
      modRevision: rev(1 + (i % revision)),
      version: i + 1,
      leaseId: i % 3 === 0 ? rev(2) : null
    })
  )
  const history = Array.from({ length: revision }, (_, i) =>
    event(i + 1, 0, {
      key: "a" as Key,
      entry: i % 5 === 4 ? null : row("a", new Uint8Array(i * 20), { modRevision: rev(i + 1) }),
      previous: i === 0 ? null : previous(i)
    }))
  const where = meta(revision, { compactRevision: rev(3), historyBytes: 99, historyCutBytes: 7, keys: 306, membership })
  const sessions = [1, 2, 300].map((n): SessionRow => {
    const session = n as SessionId
    return { session, block: n % 2, bytes: Uint8Array.from([...sessionKey(session, n % 2), revision]) }
  })
  return { meta: where, rows: rowsOf(rows), history: history.slice(since), sessions }
}

/** What the memory's store makes of the same checkpoints; every store has to make the same bytes. */
const expectedId = (checkpoints: ReadonlyArray<Checkpoint>): SnapshotId | undefined => {
  const state = new MemoryState()
  for (const one of checkpoints) state.checkpoint(one)
  return state.snapshot(clusterId)?.id
}

const bytesOf = Effect.fnUntraced(function*(snapshot: StoredSnapshot, piece: number) {
  const parts: Array<Uint8Array> = []
  for (let at = 0; at < snapshot.id.bytes; at += piece) parts.push(Uint8Array.from(yield* snapshot.read(at, piece)))
  return new Uint8Array(Buffer.concat(parts))
})

const stored = Effect.fnUntraced(function*(store: Store) {
  const snapshot = yield* store.snapshot(clusterId)
  return snapshot ?? (yield* new LawBroken({ message: "there is no snapshot, although there was a checkpoint" }))
})

const received = Effect.fnUntraced(function*(incoming: IncomingSnapshot, bytes: Uint8Array) {
  for (let at = 0; at < bytes.length; at += 30_000) yield* incoming.append(bytes.slice(at, at + 30_000))
})

/** The snapshot that this store makes of checkpoints, as bytes. */
const made = (checkpoints: ReadonlyArray<Checkpoint>): Effect.Effect<Uint8Array, unknown> => {
  const state = new MemoryState()
  for (const one of checkpoints) state.checkpoint(one)
  return bytesOf(state.snapshot(clusterId)!, 1_000_000)
}

const content = (store: Store) =>
  Effect.gen(function*() {
    const where = yield* store.recover
    return {
      where,
      entries: yield* reading(() => [...store.scanUnsafe(everything)]),
      sessions: yield* reading(() => [...store.sessionsUnsafe()]),
      first: yield* reading(() => store.eventAtUnsafe(rev(0))),
      last: yield* reading(() => where === null ? null : store.eventAtUnsafe(where.revision))
    }
  })

const buildingLaws: ReadonlyArray<StateStoreLaw> = [
  law(
    "a state that was never checkpointed has no snapshot",
    (harness) =>
      opened(harness, (store) =>
        Effect.gen(function*() {
          yield* expectEqual("snapshot", yield* Effect.scoped(store.snapshot(clusterId)), null)
          yield* expectEqual("installed", yield* store.installed, null)
        }))
  ),

  law(
    "equal states make equal bytes on every store, however they came about",
    (harness) =>
      opened(harness, (store) =>
        Effect.scoped(Effect.gen(function*() {
          const steps = [
            sample(10, "old"),
            checkpoint(12, rowsOf([row("new", "1")], ["a", "k7"])),
            sample(20, "new", 10)
          ]
          for (const step of steps) yield* store.checkpoint(step)
          const snapshot = yield* stored(store)
          yield* expectEqual("id", snapshot.id, expectedId(steps))
          const bytes = yield* bytesOf(snapshot, 70_000)
          yield* expectEqual("bytes", bytes, yield* made(steps))
          yield* expectEqual("beyond the end", yield* snapshot.read(bytes.length, 10), new Uint8Array(0))
        })))
  ),

  law(
    "later checkpoints do not change a snapshot, and there may be several",
    (harness) =>
      opened(harness, (store) =>
        Effect.scoped(Effect.gen(function*() {
          yield* store.checkpoint(sample(10, "1"))
          const first = yield* stored(store)
          yield* store.checkpoint(sample(20, "2", 10))
          const second = yield* stored(store)
          yield* expectEqual("first", yield* bytesOf(first, 100_000), yield* made([sample(10, "1")]))
          yield* expectEqual(
            "second",
            yield* bytesOf(second, 100_000),
            yield* made([sample(10, "1"), sample(20, "2", 10)])
          )
        })))
  ),

  law(
    "a checkpoint during the building is whole in the snapshot or not at all in it",
    (harness) =>
      opened(harness, (store) =>
        Effect.scoped(Effect.gen(function*() {
          yield* store.checkpoint(sample(10, "1"))
          const [snapshot] = yield* Effect.all([stored(store), store.checkpoint(sample(20, "2", 10))], {
            concurrency: "unbounded"
          })
          const ids = [[sample(10, "1")], [sample(10, "1"), sample(20, "2", 10)]].map((steps) =>
            expectedId(steps)?.checksum
          )
          if (!ids.includes(snapshot.id.checksum)) {
            return yield* new LawBroken({ message: "the snapshot is of neither checkpoint" })
          }
        })))
  )
]

const installingLaws: ReadonlyArray<StateStoreLaw> = [
  law("an installed snapshot replaces everything, and is there when opened again", (harness) =>
    Effect.gen(function*() {
      const other = new MemoryState()
      other.checkpoint(sample(40, "there"))
      const bytes = yield* made([sample(40, "there")])
      yield* opened(harness, (store) =>
        Effect.scoped(Effect.gen(function*() {
          yield* store.checkpoint({ ...sample(9, "here"), rows: rowsOf([row("only here", "1"), row("k1", "1")]) })
          const before = yield* content(store)
          const incoming = yield* store.receive
          yield* received(incoming, bytes)
          const header = yield* incoming.prepare
          yield* expectEqual("header", header.last, sample(40, "").meta.applied)
          yield* expectEqual("before it is installed", yield* content(store), before)
          yield* expectEqual("position", yield* incoming.install, sample(40, "").meta)
        })))
      const entries = [...other.scan(everything)]
      yield* opened(harness, (store) =>
        Effect.gen(function*() {
          const now = yield* content(store)
          yield* expectEqual("position", now.where, sample(40, "").meta)
          yield* expectEqual("entries", now.entries, entries)
          yield* expectEqual("sessions", now.sessions, [...other.sessions()])
          yield* expectEqual("first event", now.first, other.eventAt(rev(0)))
          yield* expectEqual("last event", now.last, other.eventAt(rev(40)))
          yield* expectEqual("installed", yield* store.installed, sample(40, "").meta.applied)
        }))
    })),

  law(
    "checkpoints go on after an install, and a second snapshot is like the first",
    (harness) =>
      Effect.gen(function*() {
        yield* opened(harness, (store) =>
          Effect.gen(function*() {
            for (const [revision, salt] of [[20, "1"], [60, "2"], [90, "3"]] as const) {
              yield* Effect.scoped(Effect.gen(function*() {
                const bytes = yield* made([sample(revision, salt)])
                const incoming = yield* store.receive
                yield* received(incoming, bytes)
                yield* incoming.prepare
                yield* incoming.install
                yield* expectEqual(`generation ${salt}`, yield* bytesOf(yield* stored(store), 50_000), bytes)
              }))
            }
            yield* store.checkpoint(checkpoint(100, rowsOf([row("after", "1")], ["k1"])))
            const keys = yield* keysIn(store, {})
            yield* expectEqual("the new one", keys.includes("after" as Key) && !keys.includes("k1" as Key), true)
          }))
        yield* opened(harness, (store) =>
          Effect.gen(function*() {
            yield* expectEqual("position", (yield* store.recover)?.revision, 100)
            yield* expectEqual("keys", (yield* keysIn(store, {})).length, 306)
          }))
      })
  ),

  law(
    "a checkpoint of the present state while a snapshot is prepared is not disturbed",
    (harness) =>
      opened(harness, (store) =>
        Effect.scoped(Effect.gen(function*() {
          yield* store.checkpoint(sample(10, "1"))
          const incoming = yield* store.receive
          yield* received(incoming, yield* made([sample(40, "there")]))
          yield* Effect.all([incoming.prepare, store.checkpoint(sample(20, "2", 10))], { concurrency: "unbounded" })
          yield* expectEqual("snapshot", (yield* stored(store)).id, expectedId([sample(10, "1"), sample(20, "2", 10)]))
        })))
  ),

  law(
    "what is no whole snapshot is refused and changes nothing, and the next one is taken",
    (harness) =>
      opened(harness, (store) =>
        Effect.gen(function*() {
          yield* store.checkpoint(sample(10, "1"))
          const before = yield* content(store)
          const bytes = yield* made([sample(40, "there")])
          const flipped = bytes.map((byte, i) => i === bytes.length - 500 ? byte ^ 4 : byte)
          for (const broken of [bytes.slice(0, -30), bytes.slice(0, 10), flipped, new Uint8Array(0)]) {
            const error = yield* Effect.scoped(Effect.gen(function*() {
              const incoming = yield* store.receive
              yield* received(incoming, broken)
              return yield* Effect.flip(incoming.prepare)
            }))
            yield* expectEqual("refused", error instanceof MalformedSnapshot, true)
          }
          yield* expectEqual("content", yield* content(store), before)
          yield* Effect.scoped(Effect.gen(function*() {
            const incoming = yield* store.receive
            yield* received(incoming, bytes)
            yield* incoming.prepare
            yield* incoming.install
          }))
          yield* expectEqual("position", (yield* store.recover)?.revision, 40)
        }))
  ),

  law(
    "a snapshot that was prepared and given up leaves nothing, not even when opened again",
    (harness) =>
      Effect.gen(function*() {
        yield* opened(harness, (store) =>
          Effect.gen(function*() {
            yield* store.checkpoint(sample(10, "1"))
            yield* Effect.scoped(Effect.gen(function*() {
              const incoming = yield* store.receive
              yield* received(incoming, yield* made([sample(40, "there")]))
              yield* incoming.prepare
            }))
          }))
        yield* opened(harness, (store) =>
          Effect.scoped(Effect.gen(function*() {
            yield* expectEqual("snapshot", (yield* stored(store)).id, expectedId([sample(10, "1")]))
            const incoming = yield* store.receive
            yield* received(incoming, yield* made([sample(30, "later")]))
            yield* incoming.prepare
            yield* incoming.install
            yield* expectEqual("installed", (yield* stored(store)).id, expectedId([sample(30, "later")]))
          })))
      })
  )
]

export const stateSnapshotLaws: ReadonlyArray<StateStoreLaw> = [...buildingLaws, ...installingLaws]
