import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { statSync } from "node:fs"
import { join } from "node:path"
import { countRows } from "./damage.ts"
import { aCheckpoint, openDirectory, someIdentity, temporaryDirectory } from "./directories.ts"

/** The snapshot of a state that stands at an entry, made by a store of its own. */
const snapshotAt = (index: number, keys: number) =>
  Effect.scoped(Effect.gen(function*() {
    const { log, state } = yield* openDirectory({ directory: yield* temporaryDirectory })
    yield* log.saveIdentity(someIdentity)
    yield* state.checkpoint(aCheckpoint(1, index, keys))
    const snapshot = yield* state.snapshot(null)
    return yield* snapshot!.read(0, snapshot!.id.bytes)
  }))

describe("an installed snapshot", () => {
  it.live("leaves nothing of the state that it replaces, without waiting for another start", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const bytes = yield* snapshotAt(50, 5)
      yield* Effect.scoped(Effect.gen(function*() {
        const { log, state } = yield* openDirectory({ directory })
        yield* log.saveIdentity(someIdentity)
        yield* state.checkpoint(aCheckpoint(1, 10, 3))
        yield* Effect.scoped(Effect.gen(function*() {
          const incoming = yield* state.receive
          yield* incoming.append(bytes)
          yield* incoming.prepare
          yield* incoming.install
        }))
        // The next checkpoint is of the new state, and comes after whatever the install still has to do.
        yield* state.checkpoint(aCheckpoint(1, 60, 1))
      }))
      const path = join(directory, "state.mdb")
      assert.deepStrictEqual([yield* countRows(path, "kv"), yield* countRows(path, "kv.1")], [0, 5])
    }))
})

describe("a snapshot that is being sent", () => {
  // scenario: D15
  // fails-with: keeps-reading
  it.live("holds up no space that checkpoints give back, however long it takes", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const { log, state } = yield* openDirectory({ directory })
      yield* log.saveIdentity(someIdentity)
      // The same keys again and again: what a checkpoint replaces is room for the next one, unless somebody reads it.
      const rewrite = (from: number, to: number) =>
        Effect.forEach(
          Array.from({ length: to - from }, (_, i) => from + i),
          (index) => state.checkpoint(aCheckpoint(1, index, 300)),
          { discard: true }
        )
      const size = () => statSync(join(directory, "state.mdb")).size
      yield* rewrite(1, 10)
      const before = size()
      const snapshot = yield* state.snapshot(null)
      const first = yield* snapshot!.read(0, 1000)
      yield* rewrite(10, 40)
      assert.deepStrictEqual(yield* snapshot!.read(0, 1000), first)
      assert.isAtMost(size(), 1.5 * before)
    }), 60_000)
})
