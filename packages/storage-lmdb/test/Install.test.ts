import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
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
