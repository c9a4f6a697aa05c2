import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { cp, readFile, rename, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { LmdbStorage } from "../src/index.ts"
import { MarkFile } from "../src/MarkFile.ts"
import { overwrite } from "./damage.ts"
import { aCheckpoint, hardState, noOps, openDirectory, someIdentity, temporaryDirectory } from "./directories.ts"
import { expectRefusal, usedDirectory } from "./refusals.ts"

const copyOf = Effect.fnUntraced(function*(directory: string, file: string) {
  const copies = yield* temporaryDirectory
  const copy = join(copies, "copy")
  yield* Effect.promise(() => cp(join(directory, file), copy))
  return Effect.promise(() => cp(copy, join(directory, file)))
})

const moreWrites = (directory: string) =>
  Effect.scoped(
    Effect.gen(function*() {
      const { log, state } = yield* openDirectory({ directory })
      yield* log.write({ hardState: hardState(5, "n2"), entries: noOps(5, 21, 30) })
      yield* state.checkpoint(aCheckpoint(5, 25, 4))
    })
  )

/** So many commits that the next one finds free pages, and the files keep their size. */
const writeTerms = (settings: LmdbStorage.LmdbSettings, from: number, to: number) =>
  Effect.scoped(
    Effect.gen(function*() {
      const { log } = yield* openDirectory(settings)
      for (let term = from; term <= to; term++) yield* log.write({ hardState: hardState(term, null), entries: [] })
    })
  )

describe("the mark", () => {
  // scenario: D09
  // fails-with: believes-a-log-behind-its-mark
  it.live("refuses a log that was rolled back", () =>
    Effect.gen(function*() {
      const directory = yield* usedDirectory()
      const restoreLog = yield* copyOf(directory, "log.mdb")
      const restoreState = yield* copyOf(directory, "state.mdb")
      yield* moreWrites(directory)
      yield* restoreLog
      yield* restoreState
      yield* expectRefusal({ directory }, /behind its mark|older copy/)
    }))

  it.live("refuses a log whose entries were rolled back, though its file is long enough", () =>
    Effect.gen(function*() {
      const directory = yield* usedDirectory()
      yield* moreWrites(directory)
      const restoreLog = yield* copyOf(directory, "log.mdb")
      const restoreState = yield* copyOf(directory, "state.mdb")
      for (let index = 31; index < 40; index++) {
        yield* Effect.scoped(Effect.flatMap(openDirectory({ directory }), ({ log }) =>
          log.write({ hardState: null, entries: noOps(5, index, index) })))
      }
      yield* restoreLog
      yield* restoreState
      yield* expectRefusal({ directory }, /behind its mark.*last index 30.*index 39/)
    }))

  it.live("on another volume also refuses a directory that was rolled back whole", () =>
    Effect.gen(function*() {
      const markFile = join(yield* temporaryDirectory, "mark-of-n1")
      const directory = yield* usedDirectory(someIdentity, { markFile })
      yield* writeTerms({ directory, markFile }, 3, 12)
      const backup = `${directory}.backup`
      yield* Effect.acquireRelease(
        Effect.promise(() => cp(directory, backup, { recursive: true })),
        () => Effect.promise(() => rm(backup, { recursive: true, force: true }))
      )
      yield* Effect.scoped(Effect.flatMap(openDirectory({ directory, markFile }), ({ log }) =>
        log.write({ hardState: hardState(13, "n2"), entries: [] })))
      yield* Effect.promise(() =>
        rm(directory, { recursive: true })
      )
      yield* Effect.promise(() => rename(backup, directory))
      yield* expectRefusal({ directory, markFile }, /behind its mark.*term 12, vote null.*term 13, vote n2/)
    }))

  // scenario: D09
  // fails-with: believes-a-log-behind-its-mark
  it.live("refuses a vote that was forgotten within the same term", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      yield* Effect.scoped(
        Effect.gen(function*() {
          const { log } = yield* openDirectory({ directory })
          yield* log.saveIdentity(someIdentity)
        })
      )
      yield* writeTerms({ directory }, 1, 9)
      const restoreLog = yield* copyOf(directory, "log.mdb")
      yield* Effect.scoped(Effect.flatMap(openDirectory({ directory }), ({ log }) =>
        log.write({ hardState: hardState(9, "n2"), entries: [] })))
      yield* restoreLog
      yield* expectRefusal({ directory }, /behind its mark.*term 9, vote null.*term 9, vote n2/)
    }))

  it.live("follows a log that is cut back by a leader, in the same moment", () =>
    Effect.gen(function*() {
      const directory = yield* usedDirectory()
      yield* Effect.scoped(
        Effect.flatMap(openDirectory({ directory }), ({ log }) =>
          log.write({ hardState: null, entries: noOps(2, 21, 400) }))
      )
      const crashed = join(yield* temporaryDirectory, "raft")
      const { log } = yield* openDirectory({ directory })
      yield* log.write({ hardState: null, entries: noOps(3, 12, 12) })
      // Nothing is under way, so this is what a crash would leave.
      yield* Effect.promise(() =>
        cp(directory, crashed, { recursive: true })
      )
      const { log: left } = yield* openDirectory({ directory: crashed })
      assert.strictEqual((yield* left.recover).last, 12)
    }))

  it.live("has every term and vote as soon as they are written, and the index when closed", () =>
    Effect.gen(function*() {
      const directory = yield* usedDirectory()
      const markNow = Effect.promise(() => MarkFile.read(join(directory, "mark"))).pipe(Effect.map(({ mark }) => mark))
      yield* Effect.scoped(
        Effect.gen(function*() {
          const { log } = yield* openDirectory({ directory })
          for (const state of [hardState(7, null), hardState(7, "n2"), hardState(8, "n3")]) {
            yield* log.write({ hardState: state, entries: [] })
            assert.deepStrictEqual((yield* markNow)?.hardState, state)
          }
          yield* log.write({ hardState: null, entries: noOps(8, 21, 30) })
        })
      )
      assert.strictEqual((yield* markNow)?.floor, 30)
    }))

  it.live("that is missing is asked for", () =>
    Effect.gen(function*() {
      const directory = yield* usedDirectory()
      yield* Effect.promise(() => rm(join(directory, "mark")))
      yield* expectRefusal({ directory }, /mark .* is missing/)
    }))

  it.live("is read from its other half when one is torn, and refused when both are", () =>
    Effect.gen(function*() {
      const directory = yield* usedDirectory()
      const path = join(directory, "mark")
      const whole = yield* Effect.promise(() => readFile(path))
      for (const half of [0, 4096]) {
        yield* overwrite(path, half + 20, Buffer.from("torn"))
        yield* Effect.scoped(openDirectory({ directory }))
        yield* Effect.promise(() => writeFile(path, whole))
      }
      for (const half of [0, 4096]) yield* overwrite(path, half + 20, Buffer.from("torn"))
      yield* expectRefusal({ directory }, /mark .* is damaged/)
    }))
})
