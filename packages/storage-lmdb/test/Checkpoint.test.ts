import type { HistoryEvent, Key, Revision } from "@distkv/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { join } from "node:path"
import type { DiskFunctions } from "../src/Disk.ts"
import { Disk, realDisk } from "../src/Disk.ts"
import { countRows } from "./damage.ts"
import { aCheckpoint, noOps, openDirectory, someIdentity, temporaryDirectory } from "./directories.ts"

const opened = Effect.fnUntraced(function*(directory: string) {
  const stores = yield* openDirectory({ directory })
  if ((yield* stores.log.recover).identity === null) {
    yield* stores.log.saveIdentity(someIdentity)
    yield* stores.log.write({ hardState: null, entries: noOps(1, 1, 100) })
  }
  return stores
})

const text = (value: Uint8Array | undefined) => Buffer.from(value ?? []).toString()

describe("a checkpoint", () => {
  it.live("is not to be seen before its success is known, even when LMDB already shows it", () =>
    Effect.gen(function*() {
      let committed = () => {}
      let proceed = () => {}
      const isCommitted = new Promise<void>((resolve) => {
        committed = resolve
      })
      const mayProceed = new Promise<void>((resolve) => {
        proceed = resolve
      })
      let holding = false
      const disk: DiskFunctions = {
        ...realDisk,
        commit: async (run) => {
          await run()
          if (!holding) return
          committed()
          await mayProceed
        }
      }
      const { state } = yield* opened(yield* temporaryDirectory).pipe(Effect.provideService(Disk, disk))
      yield* state.checkpoint(aCheckpoint(1, 10, 3))
      const seen = () => [
        text(state.getUnsafe("key0" as Key)?.value),
        ...Array.from(
          state.scanUnsafe({ from: "key1", to: null, prefix: null, reverse: false, keysOnly: false }),
          ({ value }) => text(value)
        )
      ]
      holding = true
      const fiber = yield* Effect.forkChild(state.checkpoint(aCheckpoint(1, 20, 3)))
      yield* Effect.promise(() => isCommitted)
      for (let turn = 0; turn < 5; turn++) {
        assert.deepStrictEqual(seen(), ["10", "10", "10"])
        yield* Effect.yieldNow
      }
      proceed()
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(seen(), ["20", "20", "20"])
    }))

  it.live("gives back the space of the history that it cuts", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const blocks = countRows(join(directory, "state.mdb"), "history")
      const value = new Uint8Array(1000)
      const history = Array.from({ length: 2000 }, (_, i): HistoryEvent => {
        const revision = i + 1 as Revision
        const key = "key" as Key
        const entry = { key, value, createRevision: revision, modRevision: revision, version: 1, leaseId: null }
        return { revision, position: 0, key, entry, previous: null, historyBytes: i }
      })
      const { meta, rows } = aCheckpoint(1, 50, 1)
      yield* Effect.scoped(
        Effect.flatMap(opened(directory), ({ state }) => state.checkpoint({ meta, rows, history, sessions: [] }))
      )
      assert.isAbove(yield* blocks, 50)
      yield* Effect.scoped(Effect.flatMap(opened(directory), ({ state }) =>
        state.checkpoint({ meta: { ...meta, compactRevision: 1990 as Revision }, rows, history: [], sessions: [] })))
      assert.strictEqual(yield* blocks, 1)
    }))

  it.live("of many rows leaves the event loop its turns while they are encoded", () =>
    Effect.gen(function*() {
      let turns = 0
      let turnsBefore = 0
      const disk: DiskFunctions = {
        ...realDisk,
        commit: (run) => {
          turnsBefore = turns
          return run()
        }
      }
      const { state } = yield* opened(yield* temporaryDirectory).pipe(Effect.provideService(Disk, disk))
      const fiber = yield* Effect.forkChild(state.checkpoint(aCheckpoint(1, 10, 60_000)))
      while (fiber.pollUnsafe() === undefined) {
        turns++
        yield* Effect.yieldNow
      }
      yield* Fiber.join(fiber)
      assert.isAtLeast(turnsBefore, 3)
    }))
})
