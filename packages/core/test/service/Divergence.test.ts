/** Three nodes, and one whose state store loses a row without a word, as a failing memory or a wrong program would. */
import { assert, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Schedule } from "effect"
import { DistKv, DistKvLayer, MemoryLogStore, MemoryStateStore, MemoryTransport, StateStore } from "../../src/index.ts"

const addressOf = (id: string): string => `${id}.memory:1`

/**
 * A store whose ranges have forgotten the key `lost` as soon as a checkpoint was to keep it. Looked at by its name it
 * may still be known: what the next change of a key needs is remembered beyond the checkpoint.
 */
const forgetful = Layer.effect(
  StateStore,
  Effect.map(
    StateStore,
    (store) =>
      StateStore.of({
        ...store,
        scanUnsafe: (scan) => Array.from(store.scanUnsafe(scan)).filter(({ key }) => key !== "lost")
      })
  )
).pipe(Layer.provide(MemoryStateStore.layer))

const node = (id: string, states: Layer.Layer<StateStore>) =>
  Layer.fresh(
    DistKvLayer({
      nodeId: id,
      start: id === "n1" ? "bootstrap" : { join: [addressOf("n1")] },
      electionTimeout: Duration.millis(150),
      heartbeat: Duration.millis(30),
      checkpointInterval: Duration.millis(20)
    }).pipe(Layer.provide([MemoryTransport.layer({ address: addressOf(id) }), MemoryLogStore.layer, states]))
  )

/** The cluster, in which the state store of `wrong` is the forgetful one. */
const clusterWhere = (wrong: string) =>
  Effect.gen(function*() {
    const network = Layer.succeedContext(yield* Layer.build(MemoryTransport.network))
    return yield* Effect.forEach(["n1", "n2", "n3"], (id) =>
      Effect.map(
        Layer.build(Layer.provide(node(id, id === wrong ? forgetful : MemoryStateStore.layer), network)),
        (context) => Context.get(context, DistKv)
      ))
  })

for (const [wrong, role] of [["n1", "leader"], ["n3", "follower"]] as const) {
  it.live(`a ${role} that forgot a row stops, says why, and the others go on`, () =>
    Effect.gen(function*() {
      const nodes = yield* clusterWhere(wrong)
      const at = (id: string) => nodes[Number(id.slice(1)) - 1]!
      const right = at("n2")
      yield* right.set("lost", "1")
      // Only what has left the overlay can be forgotten.
      const forgot = Effect.map(
        at(wrong).list({ prefix: "lost", consistency: "stale" }),
        ({ entries }) => entries.length === 0
      )
      // The overlay still has it until it is checkpointed, and a learner has not heard of it for a moment.
      yield* Effect.sleep("200 millis")
      yield* Effect.repeat(forgot, { until: (gone) => gone, schedule: Schedule.spaced("5 millis") })
      assert.strictEqual((yield* right.deleteRange({ prefix: "lost" })).deleted, wrong === "n1" ? 0 : 1)
      const reason = yield* Effect.flip(at(wrong).stopped).pipe(Effect.timeout("10 seconds"))
      assert.match(reason.message, /differs from that of most voters/u)
      // What is sent to a leader that has stopped is lost, and its outcome unknown.
      yield* Effect.repeat(right.status, {
        until: ({ leader }) => leader !== null && leader !== wrong,
        schedule: Schedule.spaced("5 millis")
      })
      const { deleted } = yield* right.delete("lost", { timeout: Duration.seconds(5) })
      assert.isFalse(deleted)
      assert.isTrue((yield* right.set("lost", "2")).created)
      const others = nodes.filter((kv) => kv !== at(wrong))
      for (const kv of others) assert.strictEqual(new TextDecoder().decode((yield* kv.get("lost")).value), "2")
    }), 30_000)
}
