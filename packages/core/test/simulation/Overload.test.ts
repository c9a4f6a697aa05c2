/** More than a cluster can do: what is refused is refused at once, what is taken is done in time, and it recovers. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit } from "effect"
import type { DistKv } from "../../src/DistKv.ts"
import { leftovers } from "../../src/testing/invariants/Quiescence.ts"
import { SimCluster } from "../../src/testing/SimCluster.ts"
import { followersOf, get, leaderOf, set, tagOf } from "./calls.ts"

interface Outcome {
  readonly tag: string
  readonly ms: number
}

/** Offers so many calls in each millisecond for so long, waits for all answers, and says how each ended, and when. */
const offer = (
  cluster: SimCluster,
  ids: ReadonlyArray<string>,
  perMs: number,
  ms: number,
  call: (n: number) => Effect.Effect<unknown, unknown, DistKv>
): ReadonlyArray<Outcome> => {
  const outcomes: Array<Outcome> = []
  let pending = 0
  let offered = 0
  for (let i = 0; i < ms; i++) {
    for (let k = 0; k < perMs; k++) {
      const at = cluster.now
      pending++
      const note = (exit: Exit.Exit<unknown, unknown>) => {
        pending--
        outcomes.push({ tag: tagOf(exit), ms: cluster.now - at })
        return Effect.void
      }
      cluster.fork(ids[offered % ids.length]!, Effect.onExit(call(offered++), note))
    }
    cluster.run(1)
  }
  cluster.until("all answers", () => pending === 0, 20_000)
  return outcomes
}

const percentile = (outcomes: ReadonlyArray<Outcome>, part: number): number =>
  outcomes.map((one) => one.ms).sort((a, b) => a - b)[Math.floor(part * (outcomes.length - 1))] ?? 0

const tags = (outcomes: ReadonlyArray<Outcome>) => new Set(outcomes.map((one) => one.tag))

const slow = (limits: object, seed = 1): SimCluster => {
  const cluster = SimCluster.make({ nodes: 3, seed, settings: { limits } })
  for (const node of cluster.nodes.values()) node.disk.logDevice.faults.meanDelayMs = 3
  leaderOf(cluster)
  cluster.run(500)
  return cluster
}

const write = (n: number) => set(`k${n % 100}`, String(n), { timeout: 5000 })

describe("an overloaded cluster", { timeout: 60_000 }, () => {
  it("refuses at once what is ten times too much, does the rest in time, and is as before when it is over", () => {
    // At most 32 writes at once on each node, of which each takes two syncs of 3 ms: a few in a millisecond.
    for (const seed of [1]) {
      const cluster = slow({ pendingWrites: 32 }, seed)
      const normal = offer(cluster, cluster.ids, 1, 100, write)
      assert.deepStrictEqual([...tags(normal)], ["success"])
      const { term } = cluster.view.node(cluster.node(cluster.leader()!).id).last!
      const over = offer(cluster, cluster.ids, 60, 100, write)
      assert.sameMembers([...tags(over)], ["success", "Overloaded"])
      const refused = over.filter((one) => one.tag === "Overloaded")
      const done = over.filter((one) => one.tag === "success")
      assert.isAbove(refused.length, over.length / 2)
      assert.isAbove(done.length, normal.length, "it does at least what it did before")
      assert.isAtMost(percentile(refused, 1), 30, "a refusal comes at once, from another node after a round trip")
      assert.isAtMost(percentile(done, 0.99), 5 * percentile(normal, 0.99))
      cluster.until("nothing held", () => leftovers(cluster.view).length === 0, 1000)
      const after = offer(cluster, cluster.ids, 1, 100, write)
      assert.deepStrictEqual([...tags(after)], ["success"])
      assert.isAtMost(percentile(after, 0.99), 2 * percentile(normal, 0.99))
      assert.strictEqual(cluster.view.node(cluster.node(cluster.leader()!).id).last!.term, term, "no election")
    }
  })

  it("refuses reads beyond their number, and answers the others", () => {
    const cluster = slow({ pendingReads: 50 })
    const leader = cluster.leader()!
    cluster.call(leader, set("x", "1"))
    const outcomes = offer(cluster, cluster.ids, 500, 3, () => get("x"))
    assert.sameMembers([...tags(outcomes)], ["success", "Overloaded"])
    cluster.until("nothing held", () => leftovers(cluster.view).length === 0, 1000)
  })

  // fails-with: takes-forwarded-writes-without-end
  it("CS08 forwarded writes beyond what the leader may have uncommitted are refused, and delay no heartbeat", () => {
    const cluster = slow({ uncommittedBytes: 2000 })
    const [a, b] = followersOf(cluster)
    const { term } = cluster.view.node(cluster.node(a).id).last!
    const outcomes = offer(cluster, [a, b], 20, 100, write)
    assert.sameMembers([...tags(outcomes)], ["success", "Overloaded"])
    assert.strictEqual(cluster.view.node(cluster.node(a).id).last!.term, term, "no election")
    cluster.until("nothing held", () => leftovers(cluster.view).length === 0, 1000)
  })

  it("R10 a quota that was used up comes back, whoever leads meanwhile and whatever was refused", () => {
    const cluster = slow({ uncommittedBytes: 1000, pendingWrites: 64 })
    for (let i = 0; i < 3; i++) {
      const leader = cluster.leader()!
      const loads = cluster.ids.flatMap((id) =>
        Array.from({ length: 40 }, (_, n) => cluster.fork(id, set(`q${n}`, "x".repeat(200), { timeout: 2000 })))
      )
      cluster.run(5)
      cluster.isolate(leader)
      cluster.until("another leader", () => cluster.leader() !== leader && cluster.leaderServes())
      cluster.heal()
      cluster.until("all answers", () => loads.every((load) => load.pollUnsafe() !== undefined), 10_000)
      cluster.until("nothing held", () => leftovers(cluster.view).length === 0, 5000)
      for (const id of cluster.ids) assert.strictEqual(tagOf(cluster.exit(id, set("again", "x"))), "success")
    }
  })

  it("R09 a follower's window empties when its link does, and fills nobody's memory meanwhile", () => {
    const cluster = slow({ inflightBytes: 500 })
    const leader = cluster.leader()!
    const [deaf] = followersOf(cluster)
    cluster.network.filter = ({ message, to }) =>
      to === deaf && message._tag === "AppendRequest" && message.entries.length > 0 ? "drop" : "deliver"
    for (let i = 0; i < 50; i++) cluster.call(leader, set(`k${i}`, "x".repeat(100)))
    cluster.network.filter = null
    cluster.until("nothing on its way", () => leftovers(cluster.view).length === 0, 5000)
    cluster.converge()
    assert.strictEqual(cluster.call(deaf, get("k49", { consistency: "stale" })).length, 100)
  })

  it("says with a refusal how long to wait", () => {
    const cluster = slow({ pendingWrites: 1 })
    const leader = cluster.leader()!
    cluster.fork(leader, set("a", "1"))
    const exit = cluster.exit(leader, set("b", "1"))
    const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : null
    assert.isTrue(
      typeof error === "object" && error !== null && "retryAfterMs" in error && Number(error.retryAfterMs) > 0
    )
  })
})
