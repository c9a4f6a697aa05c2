import { AlreadyOpened, InvalidRequest, StorageFailed, Term } from "@distkv/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { MetaRows, stateMetaRow } from "../src/MetaRows.ts"
import { smallRow } from "../src/SmallRow.ts"
import { holdOpen } from "./child.ts"
import { changeRow } from "./damage.ts"
import { aCheckpoint, noOps, openDirectory, otherIdentity, someIdentity, temporaryDirectory } from "./directories.ts"
import { expectRefusal, refusal, usedDirectory } from "./refusals.ts"

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

  it.live("where none can be made is refused at once", () =>
    Effect.gen(function*() {
      // A recursive `mkdir` never returns from here.
      for (const directory of ["/proc/distkv", "/proc/distkv/deep", "/dev/null/raft"]) {
        assert.instanceOf(yield* refusal({ directory }), StorageFailed, directory)
      }
      const absent = join(yield* temporaryDirectory, "absent")
      assert.instanceOf(yield* refusal({ directory: absent, existing: true }), StorageFailed)
      assert.instanceOf(yield* Effect.flip(Effect.tryPromise(() => stat(absent))), Error)
    }))

  // scenario: K10
  // fails-with: locks-nothing
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

  // scenario: K09, D07
  // fails-with: starts-without-term-and-vote
  it.live("is refused when its identity has lost term and vote", () =>
    Effect.gen(function*() {
      const directory = yield* usedDirectory()
      yield* Effect.promise(() => rm(join(directory, "log.mdb")))
      yield* expectRefusal({ directory }, /no term and vote/)
    }))

  // scenario: K09
  // fails-with: takes-a-used-directory-for-empty
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
    // scenario: K09
    // fails-with: takes-any-owner
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

  // scenario: D07
  // fails-with: identity-without-checksum
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
    // scenario: K11
    // fails-with: reads-newer-formats
    it.live(`of ${file} is refused, and said to be newer`, () =>
      Effect.gen(function*() {
        const directory = yield* usedDirectory()
        yield* changeRow(join(directory, file), "meta", formatRow.key, () => formatRow.encode(MetaRows.format + 1))
        yield* expectRefusal({ directory }, /has format 3, .* start the newer program/)
      }))
  }

  it.live("of the identity file is refused, whatever else has changed in it", () =>
    Effect.gen(function*() {
      const directory = yield* usedDirectory()
      yield* Effect.promise(() => writeFile(join(directory, "identity.json"), '{"format": 2, "name": [1]}'))
      yield* expectRefusal({ directory }, /has format 2, .* start the newer program/)
    }))
})
