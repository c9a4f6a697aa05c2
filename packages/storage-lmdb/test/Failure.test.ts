import { StorageFailed } from "@distkv/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { stat } from "node:fs/promises"
import { statfs } from "node:fs/promises"
import type { DiskFunctions } from "../src/Disk.ts"
import { Disk, realDisk } from "../src/Disk.ts"
import { aCheckpoint, hardState, noOps, openDirectory, someIdentity, temporaryDirectory } from "./directories.ts"

/** A disk whose commits work until `failing` is set. */
const faultyDisk = (fault: () => Promise<void>) => {
  const state = { failing: false, asked: 0 }
  const functions: DiskFunctions = {
    ...realDisk,
    commit: (run) => {
      state.asked++
      return state.failing ? fault() : run()
    }
  }
  return Object.assign(state, { functions })
}

/** As LMDB fails: with a second promise on the error, which nobody may leave alone. */
const failedSync = () => {
  const error = Object.assign(new Error("Commit failed (see commitError for details)"), {
    commitError: Promise.reject(new Error("Input/output error"))
  })
  return Promise.reject(error)
}

const used = Effect.fnUntraced(function*(directory: string, settings: { readonly commitTimeout?: number } = {}) {
  const stores = yield* openDirectory({ directory, ...settings })
  yield* stores.log.saveIdentity(someIdentity)
  yield* stores.log.write({ hardState: hardState(1, "n1"), entries: noOps(1, 1, 5) })
  yield* stores.state.checkpoint(aCheckpoint(1, 3, 2))
  return stores
})

const expectFailure = Effect.fnUntraced(function*<A>(effect: Effect.Effect<A, StorageFailed>, words: RegExp) {
  const error = yield* Effect.flip(effect)
  assert.instanceOf(error, StorageFailed)
  assert.match(error.message, words)
})

describe("a commit that fails", () => {
  // scenario: D01
  it.live("is the last one: nothing is written any more, and everything says why", () =>
    Effect.gen(function*() {
      const disk = faultyDisk(failedSync)
      const directory = yield* temporaryDirectory
      const { log, state } = yield* used(directory).pipe(Effect.provideService(Disk, disk.functions))
      disk.failing = true
      const reason = /commit to the log failed: Input\/output error\. This node stops/
      yield* expectFailure(log.write({ hardState: null, entries: noOps(1, 6, 6) }), reason)
      disk.failing = false
      const asked = disk.asked
      yield* expectFailure(log.write({ hardState: hardState(2, null), entries: [] }), reason)
      yield* expectFailure(log.saveIdentity({ ...someIdentity, founding: true }), reason)
      yield* expectFailure(state.checkpoint(aCheckpoint(1, 5, 2)), reason)
      assert.strictEqual(disk.asked, asked, "the disk was asked again after it had failed")
    }).pipe(Effect.scoped))

  it.live("fails all that wait behind it, and leaves what was durable to the next start", () =>
    Effect.gen(function*() {
      const disk = faultyDisk(failedSync)
      const directory = yield* temporaryDirectory
      yield* Effect.scoped(
        Effect.gen(function*() {
          const { log } = yield* used(directory).pipe(Effect.provideService(Disk, disk.functions))
          disk.failing = true
          const writes = [6, 7, 8].map((index) =>
            Effect.exit(log.write({ hardState: null, entries: noOps(1, index, index) }))
          )
          const exits = yield* Effect.all(writes, { concurrency: "unbounded" })
          assert.deepStrictEqual(exits.map(Exit.isFailure), [true, true, true])
        })
      )
      const { log } = yield* openDirectory({ directory })
      const recovered = yield* log.recover
      assert.strictEqual(recovered.last, 5)
      assert.deepStrictEqual(recovered.hardState, hardState(1, "n1"))
    }))

  it.live("of the state stops the log too", () =>
    Effect.gen(function*() {
      const disk = faultyDisk(failedSync)
      const { log, state } = yield* used(yield* temporaryDirectory).pipe(Effect.provideService(Disk, disk.functions))
      disk.failing = true
      yield* expectFailure(state.checkpoint(aCheckpoint(1, 5, 2)), /commit to the state failed/)
      disk.failing = false
      yield* expectFailure(log.write({ hardState: null, entries: noOps(1, 6, 6) }), /commit to the state failed/)
    }).pipe(Effect.scoped))
})

describe("a commit that never ends", () => {
  // scenario: D04
  it.live("fails after its time, stops the node, and lets it be closed", () =>
    Effect.gen(function*() {
      const disk = faultyDisk(() => new Promise(() => {}))
      const directory = yield* temporaryDirectory
      yield* Effect.scoped(
        Effect.gen(function*() {
          const { log } = yield* used(directory, { commitTimeout: 150 }).pipe(
            Effect.provideService(Disk, disk.functions)
          )
          disk.failing = true
          const stuck = /commit to the log has taken more than 150 ms: the disk is stuck/
          yield* expectFailure(log.write({ hardState: null, entries: noOps(1, 6, 6) }), stuck)
          yield* expectFailure(log.write({ hardState: null, entries: noOps(1, 6, 6) }), stuck)
        })
      )
      const { log } = yield* openDirectory({ directory })
      assert.strictEqual((yield* log.recover).last, 5)
    }))
})

describe("a process that was stopped for longer than a commit may take", () => {
  it.live("hears that its commit is done, and goes on", () =>
    Effect.gen(function*() {
      // The disk goes on while the process is stopped; afterwards every timer is due before the disk can be heard.
      const disk = faultyDisk(() => {
        const done = stat(".").then(() => {})
        setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300))
        return done
      })
      const { log } = yield* used(yield* temporaryDirectory, { commitTimeout: 100 }).pipe(
        Effect.provideService(Disk, disk.functions)
      )
      disk.failing = true
      yield* log.write({ hardState: null, entries: noOps(1, 6, 6) })
      disk.failing = false
      yield* log.write({ hardState: null, entries: noOps(1, 7, 7) })
    }).pipe(Effect.scoped))
})

describe("the space left", () => {
  it.live("is that of the volume less the reserve", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const { log } = yield* openDirectory({ directory, reserveBytes: 0 })
      const free = yield* Effect.promise(() => statfs(directory)).pipe(
        Effect.map(({ bavail, bsize }) => bavail * bsize)
      )
      const left = yield* log.spaceLeft
      assert.isNotNull(left)
      // Others write to the same volume meanwhile.
      assert.closeTo(left ?? 0, free, free / 2)
    }))

  it.live("falls below zero within the reserve, which is 256 MiB by default", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const disk: DiskFunctions = { ...realDisk, freeBytes: () => Promise.resolve(100 * 1024 * 1024) }
      const { log } = yield* openDirectory({ directory }).pipe(Effect.provideService(Disk, disk))
      assert.strictEqual(yield* log.spaceLeft, -156 * 1024 * 1024)
    }))

  it.live("that cannot be told is a failure", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const disk: DiskFunctions = { ...realDisk, freeBytes: () => Promise.reject(new Error("no such volume")) }
      const { log } = yield* openDirectory({ directory }).pipe(Effect.provideService(Disk, disk))
      yield* expectFailure(log.spaceLeft, /free space .* no such volume/)
    }))
})
