import type { StartError } from "@distkv/core"
import { AlreadyOpened, InvalidRequest, StorageFailed, Term } from "@distkv/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Schema } from "effect"
import { cp, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { LmdbStorage } from "../src/index.ts"
import { MarkFile } from "../src/MarkFile.ts"
import { MetaRows, stateMetaRow } from "../src/MetaRows.ts"
import { smallRow } from "../src/SmallRow.ts"
import { holdOpen } from "./child.ts"
import { changeRow, overwrite } from "./damage.ts"
import {
  aCheckpoint,
  hardState,
  noOps,
  openDirectory,
  otherIdentity,
  someIdentity,
  temporaryDirectory
} from "./directories.ts"

const refusal = (settings: LmdbStorage.LmdbSettings): Effect.Effect<StartError> =>
  Effect.flip(Effect.scoped(Effect.asVoid(openDirectory(settings)))).pipe(Effect.orDie)

const expectRefusal = Effect.fnUntraced(function*(settings: LmdbStorage.LmdbSettings, words: RegExp) {
  const error = yield* refusal(settings)
  assert.instanceOf(error, StorageFailed)
  assert.match(error.message, words)
})

/** A node with 20 entries, term 2 and a checkpoint at index 10, closed again. */
const usedDirectory = Effect.fnUntraced(
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

describe("a data directory", () => {
  it.live("and everything in it can be read by its owner only", () =>
    Effect.gen(function*() {
      const directory = join(yield* temporaryDirectory, "deep", "raft")
      yield* Effect.scoped(
        Effect.gen(function*() {
          const { log } = yield* openDirectory({ directory })
          yield* log.saveIdentity(someIdentity)
          const names = yield* Effect.promise(() => readdir(directory))
          assert.includeMembers(names, ["identity.json", "lock", "log.mdb", "mark", "state.mdb"])
          for (const name of ["", ...names]) {
            const { mode } = yield* Effect.promise(() => stat(join(directory, name)))
            assert.strictEqual(mode & 0o077, 0, `${name} is open to others: ${mode.toString(8)}`)
          }
        })
      )
    }))

  it.live("is opened by one node at a time, in one process", () =>
    Effect.gen(function*() {
      const directory = yield* usedDirectory()
      yield* Effect.scoped(
        Effect.gen(function*() {
          const { log } = yield* openDirectory({ directory })
          for (let attempt = 0; attempt < 3; attempt++) assert.instanceOf(yield* refusal({ directory }), AlreadyOpened)
          yield* log.write({ hardState: null, entries: noOps(2, 21, 21) })
        })
      )
      yield* Effect.scoped(openDirectory({ directory }))
    }))

  it.live("is opened by one process at a time, and free again when that process is killed", () =>
    Effect.gen(function*() {
      const directory = yield* usedDirectory()
      const kill = yield* holdOpen(directory)
      const error = yield* refusal({ directory })
      assert.instanceOf(error, AlreadyOpened)
      assert.include(error.message, directory)
      yield* kill
      yield* Effect.scoped(openDirectory({ directory }))
    }))

  it.live("is refused when its identity has lost term and vote", () =>
    Effect.gen(function*() {
      const directory = yield* usedDirectory()
      yield* Effect.promise(() => rm(join(directory, "log.mdb")))
      yield* expectRefusal({ directory }, /no term and vote/)
    }))

  it.live("is refused when its log has lost the identity", () =>
    Effect.gen(function*() {
      const directory = yield* usedDirectory()
      yield* Effect.promise(() => rm(join(directory, "identity.json")))
      yield* expectRefusal({ directory }, /holds data, but no identity\.json/)
    }))

  it.live("is refused when only the mark remembers what the node has promised", () =>
    Effect.gen(function*() {
      const directory = yield* usedDirectory()
      for (const name of ["identity.json", "log.mdb", "state.mdb"]) {
        yield* Effect.promise(() => rm(join(directory, name)))
      }
      yield* expectRefusal({ directory }, /already taken part in a cluster/)
    }))

  for (const file of ["log.mdb", "state.mdb", "identity.json", "mark"]) {
    it.live(`is refused when its ${file} is another node's`, () =>
      Effect.gen(function*() {
        const directory = yield* usedDirectory()
        const foreign = yield* usedDirectory(otherIdentity)
        yield* Effect.promise(() => cp(join(foreign, file), join(directory, file)))
        yield* expectRefusal({ directory }, /belongs to/)
      }))
  }

  it.live("is refused when its state is ahead of its log, or of another past", () =>
    Effect.gen(function*() {
      const ahead = yield* usedDirectory()
      yield* setApplied(ahead, 2, 21)
      yield* expectRefusal({ directory: ahead }, /different times/)
      const elsewhere = yield* usedDirectory()
      yield* setApplied(elsewhere, 1, 10)
      yield* expectRefusal({ directory: elsewhere }, /different times/)
    }))

  it.live("makes a state that was lost again from the log", () =>
    Effect.gen(function*() {
      const directory = yield* usedDirectory()
      yield* Effect.promise(() => rm(join(directory, "state.mdb")))
      const { state } = yield* openDirectory({ directory })
      assert.isNull(yield* state.recover)
      yield* state.checkpoint(aCheckpoint(2, 20, 1))
      assert.strictEqual((yield* state.recover)?.revision, 20)
    }))

  it.live("is refused when a bit of its identity file has flipped", () =>
    Effect.gen(function*() {
      const directory = yield* usedDirectory()
      const path = join(directory, "identity.json")
      const text = yield* Effect.promise(() => readFile(path, "utf8"))
      for (const damaged of [text.replace("null", "4711"), text.slice(0, 40), "", text.replace('"n1"', '"n3"')]) {
        yield* Effect.promise(() => writeFile(path, damaged))
        yield* expectRefusal({ directory }, /identity file .* is damaged/)
      }
    }))

  it.live("keeps the node that it belongs to", () =>
    Effect.gen(function*() {
      const directory = yield* usedDirectory()
      const { log } = yield* openDirectory({ directory })
      const error = yield* Effect.flip(log.saveIdentity(otherIdentity))
      assert.match(error.message, /cannot become/)
      assert.deepStrictEqual((yield* log.recover).identity, someIdentity)
    }))

  it.live("is refused where it is no directory, or its settings make no sense", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      yield* Effect.promise(() => writeFile(join(directory, "file"), ""))
      assert.instanceOf(yield* refusal({ directory: join(directory, "file") }), StorageFailed)
      assert.instanceOf(yield* refusal({ directory: "" }), InvalidRequest)
      assert.instanceOf(yield* refusal({ directory, reserveBytes: -1 }), InvalidRequest)
      assert.instanceOf(yield* refusal({ directory, commitTimeout: "0 millis" }), InvalidRequest)
      yield* Effect.promise(() => mkdir(join(directory, "log.mdb")))
      yield* expectRefusal({ directory }, /log\.mdb/)
    }))

  it.live("survives a first start that was cut short", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      yield* Effect.scoped(Effect.flatMap(openDirectory({ directory }), ({ log }) => log.saveIdentity(otherIdentity)))
      // Everything is durable before the identity file, which a crash may leave out.
      yield* Effect.promise(() => rm(join(directory, "identity.json")))
      const { log } = yield* openDirectory({ directory })
      assert.isNull((yield* log.recover).identity)
      yield* log.saveIdentity(someIdentity)
      assert.deepStrictEqual((yield* log.recover).identity, someIdentity)
    }))
})

/** Puts the state at another entry, as a file of another time would. */
const setApplied = (directory: string, term: number, index: number) =>
  changeRow(join(directory, "state.mdb"), "meta", stateMetaRow.key, (value) => {
    const meta = stateMetaRow.decodeUnsafe(value)
    return stateMetaRow.encode({
      ...meta,
      applied: { term: Term.make(term), index: aCheckpoint(1, index, 0).meta.applied.index }
    })
  })

describe("a newer format", () => {
  const formatRow = smallRow("format", Schema.Int)

  for (const file of ["log.mdb", "state.mdb"]) {
    it.live(`of ${file} is refused, and said to be newer`, () =>
      Effect.gen(function*() {
        const directory = yield* usedDirectory()
        yield* changeRow(join(directory, file), "meta", formatRow.key, () => formatRow.encode(MetaRows.format + 1))
        yield* expectRefusal({ directory }, /has format 2, .* start the newer program/)
      }))
  }

  it.live("of the identity file is refused, whatever else has changed in it", () =>
    Effect.gen(function*() {
      const directory = yield* usedDirectory()
      yield* Effect.promise(() => writeFile(join(directory, "identity.json"), '{"format": 2, "name": [1]}'))
      yield* expectRefusal({ directory }, /has format 2, .* start the newer program/)
    }))
})

describe("the mark", () => {
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
