import { StorageFailed } from "@distkv/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { cp, readdir, rename, rm } from "node:fs/promises"
import { join } from "node:path"
import { Disk } from "../../src/Disk.ts"
import { LmdbStorage } from "../../src/index.ts"
import { hardState, noOps, openDirectory, otherIdentity, someIdentity, temporaryDirectory } from "../directories.ts"

const inSegments = { log: "segments", segmentBytes: 65_536 } as const

const open = (directory: string) => openDirectory({ directory, ...inSegments })

/** A directory whose log was written to and closed. */
const used = Effect.fnUntraced(function*(identity = someIdentity) {
  const directory = yield* temporaryDirectory
  yield* Effect.scoped(Effect.gen(function*() {
    const { log } = yield* open(directory)
    yield* log.saveIdentity(identity)
    yield* log.write({ hardState: hardState(2, "n1"), entries: noOps(2, 1, 10) })
  }))
  return directory
})

const refusal = (directory: string) =>
  Effect.map(Effect.flip(Effect.scoped(open(directory))), (error) => {
    assert.instanceOf(error, StorageFailed)
    return error.message
  })

describe("a directory whose log is in segments", () => {
  it.live("is what a new one is, and stays so", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      yield* Effect.scoped(Effect.gen(function*() {
        const { log } = yield* Effect.map(openDirectory({ directory, log: undefined }), (stores) => stores)
        yield* log.saveIdentity(someIdentity)
      }))
      assert.include(yield* Effect.promise(() => readdir(directory)), "log")
      const error = yield* Effect.flip(Effect.scoped(openDirectory({ directory, log: "lmdb" })))
      assert.strictEqual(error._tag, "InvalidRequest")
    }))

  it.live("is refused when its log was put back to an older time, however whole that is", () =>
    Effect.gen(function*() {
      const directory = yield* used()
      const [log, copy] = [join(directory, "log"), join(directory, "copy")]
      yield* Effect.promise(() => cp(log, copy, { recursive: true }))
      yield* Effect.scoped(Effect.gen(function*() {
        const stores = yield* open(directory)
        yield* stores.log.write({ hardState: null, entries: noOps(2, 11, 20) })
      }))
      yield* Effect.promise(async () => {
        await rm(log, { recursive: true })
        await rename(copy, log)
      })
      assert.include(yield* refusal(directory), "is behind its mark")
    }))

  it.live("is refused when its log is gone, or another node's", () =>
    Effect.gen(function*() {
      const [one, other] = [yield* used(), yield* used(otherIdentity)]
      yield* Effect.promise(async () => {
        await rm(join(one, "log"), { recursive: true })
      })
      assert.include(yield* refusal(one), "no term and vote")
      yield* Effect.promise(async () => {
        await rm(join(one, "log"), { recursive: true })
        await cp(join(other, "log"), join(one, "log"), { recursive: true })
      })
      assert.include(yield* refusal(one), "put back the files that belong together")
    }))

  it.live("takes no write after one that failed, and holds what was durable at the next start", () =>
    Effect.gen(function*() {
      const directory = yield* used()
      let failing = false
      const disk = {
        commit: (run: () => Promise<void>) => failing ? Promise.reject(new Error("EIO: i/o error")) : run(),
        freeBytes: async () => 1e12
      }
      yield* Effect.scoped(Effect.gen(function*() {
        const { log } = yield* open(directory)
        yield* log.write({ hardState: null, entries: noOps(2, 11, 12) })
        failing = true
        assert.include((yield* Effect.flip(log.write({ hardState: null, entries: noOps(2, 13, 13) }))).message, "EIO")
        failing = false
        const next = yield* Effect.flip(log.write({ hardState: null, entries: noOps(2, 13, 13) }))
        assert.include(next.message, "This node stops")
      })).pipe(Effect.provide(Layer.succeed(Disk, disk)))
      const { last } = yield* Effect.scoped(Effect.flatMap(open(directory), ({ log }) => log.recover))
      assert.strictEqual(last, 12)
    }))

  it.effect("wants segments of a sensible size", () =>
    Effect.gen(function*() {
      const layer = LmdbStorage.layer({ directory: "/nowhere", segmentBytes: 100 })
      const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
      assert.include(error.message, "segmentBytes")
    }))
})
