/** Directories that have been used, and how they are refused once something is wrong with them. */
import type { StartError } from "@distkv/core"
import { StorageFailed } from "@distkv/core"
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import type { LmdbStorage } from "../src/index.ts"
import { aCheckpoint, hardState, noOps, openDirectory, someIdentity, temporaryDirectory } from "./directories.ts"

/** Why a directory is not opened. */
export const refusal = (settings: LmdbStorage.LmdbSettings): Effect.Effect<StartError> =>
  Effect.flip(Effect.scoped(Effect.asVoid(openDirectory(settings)))).pipe(Effect.orDie)

/** Checks that a directory is refused as damaged or not to be trusted, in these words. */
export const expectRefusal = Effect.fnUntraced(function*(settings: LmdbStorage.LmdbSettings, words: RegExp) {
  const error = yield* refusal(settings)
  assert.instanceOf(error, StorageFailed)
  assert.match(error.message, words)
})

/** A node with 20 entries, term 2 and a checkpoint at index 10, closed again. */
export const usedDirectory = Effect.fnUntraced(
  function*(identity = someIdentity, settings: Partial<LmdbStorage.LmdbSettings> = {}) {
    const directory = yield* temporaryDirectory
    yield* Effect.scoped(
      Effect.gen(function*() {
        const { log, state } = yield* openDirectory({ directory, ...settings })
        yield* log.saveIdentity(identity)
        yield* log.write({ hardState: hardState(2, "n1"), entries: noOps(2, 1, 20) })
        yield* state.checkpoint(aCheckpoint(2, 10, 3))
      })
    )
    return directory
  }
)
