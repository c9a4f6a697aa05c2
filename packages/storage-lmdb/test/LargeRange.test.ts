import type { Checkpoint, Key, LogIndex, Revision, StateStore, Term } from "@distkv/core"
import { entryOf } from "@distkv/core"
import { StateMachine } from "@distkv/core/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { open } from "lmdb"
import { join } from "node:path"
import { flipRow } from "./damage.ts"
import { aCheckpoint, openDirectory, someIdentity, temporaryDirectory } from "./directories.ts"

const count = 2000
const valueBytes = 64 * 1024
const value = new Uint8Array(valueBytes).fill(7)
const everything = { from: null, to: null, prefix: null, reverse: false, keysOnly: false }

/** A checkpoint at the log's beginning, so many keys in which have the same value. */
const filled = (keys: number): Checkpoint => {
  const { meta, rows } = aCheckpoint(0, 0, keys)
  return {
    meta: { ...meta, revision: 1 as Revision },
    rows: new Map(
      [...rows].flatMap(([, entry]) => entry === null ? [] : [[entry.key, { ...entry, value }] as const])
    ),
    history: [],
    sessions: []
  }
}

const withState = <A, E>(directory: string, body: (state: StateStore["Service"]) => Effect.Effect<A, E>) =>
  Effect.scoped(
    Effect.gen(function*() {
      const { log, state } = yield* openDirectory({ directory })
      if ((yield* log.recover).identity === null) yield* log.saveIdentity(someIdentity)
      return yield* body(state)
    })
  )

/** Applies the delete of all keys as a node does, and returns its checkpoint and how much memory that has taken. */
const deleteAll = (state: StateStore["Service"], meta: Checkpoint["meta"]) => {
  const machine = new StateMachine(state, meta)
  const before = process.memoryUsage()
  const outcome = machine.apply(entryOf({
    term: 1 as Term,
    index: 1 as LogIndex,
    session: 0 as LogIndex,
    sequence: 0 as LogIndex,
    unacknowledged: 0 as LogIndex,
    command: { _tag: "DeleteRange", range: { _tag: "All" } }
  }))
  const after = process.memoryUsage()
  const grown = after.heapUsed - before.heapUsed + after.external - before.external
  return { outcome, grown, dirty: machine.dirtyBytes, checkpoint: machine.freeze() }
}

/** The rows of a sub-database, counted behind the store's back. */
const rowsIn = (directory: string, rows: string) =>
  Effect.promise(async () => {
    const binary = { encoding: "binary", keyEncoding: "binary" } as const
    const root = open<Buffer, Buffer>({ path: join(directory, "state.mdb"), ...binary, overlappingSync: false })
    const keys = [...root.openDB<Buffer, Buffer>({ name: rows, ...binary }).getKeys()]
    await root.close()
    return keys.length
  })

describe("a range of large values", () => {
  it.live("is deleted without a value being held, written or left", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      yield* withState(directory, (state) =>
        Effect.gen(function*() {
          const full = filled(count)
          yield* state.checkpoint(full)
          const { checkpoint, dirty, grown, outcome } = deleteAll(state, full.meta)
          assert.deepStrictEqual<unknown>(outcome, { _tag: "Deleted", revision: 2, deleted: count })
          const sum = count * valueBytes
          assert.isBelow(grown, sum / 10)
          assert.isBelow(dirty, sum / 50)
          assert.isBelow(checkpoint.meta.historyBytes - full.meta.historyBytes, sum / 1000)
          yield* state.checkpoint(checkpoint)
          assert.deepStrictEqual([...state.scanUnsafe(everything)], [])
          assert.deepStrictEqual(state.eventAtUnsafe(2 as Revision), checkpoint.history.at(0))
        }))
      assert.strictEqual(yield* rowsIn(directory, "kv"), 0)
      assert.strictEqual(yield* rowsIn(directory, "values"), 0)
    }))

  it.live("is listed by keys and deleted although a value in it cannot be read, but never shown", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const full = filled(3)
      yield* withState(directory, (state) => state.checkpoint(full))
      yield* flipRow(join(directory, "state.mdb"), "values", Buffer.from("key1"))
      yield* withState(directory, (state) =>
        Effect.sync(() => {
          assert.throws(() => state.getUnsafe("key1" as Key), /row of key "key1" is damaged: the checksum of its value/)
          assert.throws(
            () => [...state.scanUnsafe(everything)],
            /row of key "key1" is damaged: the checksum of its value/
          )
          const keys = Array.from(state.scanUnsafe({ ...everything, keysOnly: true }), ({ key }) => key)
          assert.deepStrictEqual<unknown>(keys, ["key0", "key1", "key2"])
          assert.deepStrictEqual<unknown>(deleteAll(state, full.meta).outcome, {
            _tag: "Deleted",
            revision: 2,
            deleted: 3
          })
        }))
    }))

  it.live("leaves no value behind where it becomes small, also after the store was opened again", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      yield* withState(directory, (state) => state.checkpoint(filled(3)))
      assert.strictEqual(yield* rowsIn(directory, "values"), 3)
      yield* withState(directory, (state) => state.checkpoint(aCheckpoint(0, 0, 2)))
      assert.strictEqual(yield* rowsIn(directory, "values"), 1)
    }))
})
