import { assert, it } from "@effect/vitest"
import { Effect, Exit, Option } from "effect"
import {
  type DeleteOptions,
  type DeleteResult,
  type DirectCalls,
  directCalls,
  DistKv,
  type DistKvError,
  DistKvLayer,
  type ReadEntry,
  type ReadOptions,
  type SetOptions,
  type SetResult
} from "../../src/index.ts"

/** Direct calls as effects of what they are told. */
const toldBy = (direct: DirectCalls) => ({
  get: (key: string, options?: ReadOptions) =>
    Effect.callback<ReadEntry, DistKvError>((resume) => direct.get(key, options, resume)),
  set: (key: string, value: string, options?: SetOptions) =>
    Effect.callback<SetResult, DistKvError>((resume) => direct.set(key, value, options, resume)),
  delete: (key: string, options?: DeleteOptions) =>
    Effect.callback<DeleteResult, DistKvError>((resume) => direct.delete(key, options, resume))
})

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

it.live("direct calls do what the service's calls do, and are refused alike", () =>
  Effect.gen(function*() {
    const closed = yield* Effect.gen(function*() {
      const kv = yield* DistKv
      const direct = directCalls(kv)
      assert(direct !== undefined)
      const told = toldBy(direct)
      const set = yield* told.set("a", "1", { previous: true })
      assert.deepStrictEqual([set.revision, set.created, set.previous], [1, true, null])
      const got = yield* told.get("a")
      assert.deepStrictEqual([text(got.value), got.revision, got.consistency], ["1", 1, "linearizable"])
      assert.deepStrictEqual(got, yield* kv.get("a"))
      const guarded = yield* Effect.flip(told.set("a", "2", { ifRevision: 0 }))
      assert.deepStrictEqual(guarded, yield* Effect.flip(kv.set("a", "2", { ifRevision: 0 })))
      const { leader, nodeId, revision, term } = yield* kv.status
      const standing = direct.standing()
      assert.deepStrictEqual(
        [standing.leader, standing.nodeId, standing.revision, standing.term],
        [leader, nodeId, revision, term]
      )
      const deleted = yield* told.delete("a")
      assert.deepStrictEqual([deleted.deleted, deleted.revision], [true, 2])
      const absent = yield* Effect.flip(told.get("a", { consistency: "stale" }))
      assert.deepStrictEqual(absent, yield* Effect.flip(kv.get("a", { consistency: "stale" })))
      const refused = yield* Effect.flip(told.get(""))
      assert.deepStrictEqual(refused, yield* Effect.flip(kv.get("")))
      const late = yield* Effect.flip(told.get("a", { minRevision: 9, timeout: 20 }))
      assert.strictEqual(late._tag, "DeadlineExceeded")
      return direct
    }).pipe(Effect.provide(DistKvLayer.memory))
    const exits: Array<string> = []
    const note = (exit: Exit.Exit<unknown, DistKvError>) => {
      const error = Exit.isSuccess(exit) ? undefined : Option.getOrUndefined(Exit.findErrorOption(exit))
      exits.push(error?._tag ?? "served")
    }
    closed.set("a", "1", undefined, note)
    closed.get("a", { consistency: "stale" }, note)
    assert.deepStrictEqual(exits, ["Shutdown", "Shutdown"])
  }))

it.live("a service that wraps a node's has no direct calls to go past it", () =>
  DistKv.use((kv) => Effect.sync(() => assert.isUndefined(directCalls({ ...kv })))).pipe(
    Effect.provide(DistKvLayer.memory)
  ))
