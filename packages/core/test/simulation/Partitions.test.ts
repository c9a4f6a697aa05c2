/** Networks that are cut in part: who leads, who does not, and that everybody is answered. */
import { assert, describe, it } from "@effect/vitest"
import { SimCluster } from "../../src/testing/SimCluster.ts"
import { followersOf, get, leaderOf, set, tagOf } from "./calls.ts"

const electionTimeoutMs = 300

/** Cuts all links except these. */
const linksOnly = (cluster: SimCluster, links: ReadonlyArray<readonly [string, string]>) => {
  for (const a of cluster.ids) {
    for (const b of cluster.ids) {
      if (a < b && !links.some(([x, y]) => (x === a && y === b) || (x === b && y === a))) cluster.partition([a], [b])
    }
  }
}

/** Moves leadership to this node by cutting off whoever else leads. */
const makeLeader = (cluster: SimCluster, id: string) => {
  for (let tries = 0; cluster.leader() !== id && tries < 50; tries++) {
    const leader = cluster.leader()
    if (leader !== null) cluster.isolate(leader)
    cluster.run(2 * electionTimeoutMs)
    cluster.heal()
    cluster.until("a leader", () => cluster.leaderServes())
  }
  assert.strictEqual(cluster.leader(), id)
}

describe("partitions", () => {
  // fails-with: one-copy-is-enough
  it("P01 the minority acknowledges nothing, and its tail is replaced", () => {
    const cluster = SimCluster.make({ nodes: 5 })
    const minor = leaderOf(cluster)
    const others = cluster.ids.filter((id) => id !== minor)
    cluster.call(minor, set("k", "0"))
    cluster.partition([minor, others[0]!], others.slice(1))
    const write = cluster.fork(minor, set("k", "lost", { timeout: 2000 }))
    cluster.until("another leader", () => cluster.leaderServes() && cluster.leader() !== minor)
    cluster.call(cluster.leader()!, set("k", "1"))
    cluster.run(2600)
    assert.strictEqual(tagOf(write.pollUnsafe()!), "OutcomeUnknown")
    cluster.converge()
    for (const id of cluster.ids) assert.strictEqual(cluster.call(id, get("k")), "1")
    assert.isUndefined(cluster.view.applied.writesOf.get("lost"))
  })

  // fails-with: one-copy-is-enough
  it("P02 without a majority nothing is written or read, and all is well again after", () => {
    const cluster = SimCluster.make({ nodes: 5 })
    leaderOf(cluster)
    const [a, b, c, d, e] = cluster.ids
    cluster.partition([a!, b!], [c!, d!], [e!])
    cluster.run(1000)
    for (const id of cluster.ids) {
      assert.strictEqual(tagOf(cluster.exit(id, set("k", id, { timeout: 500 }), 1100)), "NoLeader")
      assert.include(["NoLeader", "DeadlineExceeded"], tagOf(cluster.exit(id, get("k", { timeout: 500 }), 1100)))
    }
    cluster.heal()
    cluster.until("a leader", () => cluster.leaderServes(), 10 * electionTimeoutMs)
    cluster.converge()
  })

  // fails-with: leads-without-a-quorum
  it("P03 a leader that hears nobody steps down, and another one leads without a quarrel", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const deaf = leaderOf(cluster)
    for (const id of cluster.ids) if (id !== deaf) cluster.network.cut(id, deaf)
    cluster.run(2 * electionTimeoutMs + 100)
    assert.notStrictEqual(cluster.view.node(cluster.node(deaf).id).last?.role, "Leader")
    cluster.until("another leader", () => cluster.leaderServes() && cluster.leader() !== deaf)
    const { elections } = cluster.view
    cluster.run(20 * electionTimeoutMs)
    assert.strictEqual(cluster.view.elections, elections)
  })

  // fails-with: never-campaigns
  it("P04 a leader whom nobody hears is replaced, and follows", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const mute = leaderOf(cluster)
    for (const id of cluster.ids) if (id !== mute) cluster.network.cut(mute, id)
    cluster.until("another leader", () => cluster.leaderServes() && cluster.leader() !== mute)
    const { elections } = cluster.view
    cluster.run(20 * electionTimeoutMs)
    assert.strictEqual(cluster.view.elections, elections)
    assert.strictEqual(cluster.view.node(cluster.node(mute).id).last?.role, "Follower")
  })

  // fails-with: neither-pre-vote-nor-stickiness
  it("P06 two halves that meet in one node keep one leader", () => {
    const cluster = SimCluster.make({ nodes: 5 })
    leaderOf(cluster)
    // One that half of the others cannot hear, and that reaches a quorum all the same.
    makeLeader(cluster, "n1")
    const { elections } = cluster.view
    linksOnly(cluster, [["n1", "n2"], ["n4", "n5"], ["n3", "n1"], ["n3", "n2"], ["n3", "n4"], ["n3", "n5"]])
    cluster.run(100 * electionTimeoutMs)
    assert.strictEqual(cluster.view.elections, elections)
    assert.strictEqual(cluster.call("n3", set("k", "1")).revision, 1)
  })

  // fails-with: neither-pre-vote-nor-stickiness
  it("P07 in a partial mesh around the leader there are no elections without end", () => {
    const cluster = SimCluster.make({ nodes: 5 })
    leaderOf(cluster)
    makeLeader(cluster, "n3")
    linksOnly(cluster, [["n1", "n2"], ["n1", "n3"], ["n2", "n3"], ["n2", "n4"], ["n3", "n5"]])
    const { elections } = cluster.view
    cluster.run(100 * electionTimeoutMs)
    assert.isAtMost(cluster.view.elections - elections, 1)
    cluster.until("a leader", () => cluster.leaderServes())
    cluster.call(cluster.leader()!, set("k", "1"))
    cluster.converge()
  })

  // fails-with: no-pre-vote
  it("P08 one broken link between a leader and a follower deposes nobody", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    const [lonely] = followersOf(cluster)
    cluster.partition([leader], [lonely])
    for (let i = 0; i < 10; i++) {
      cluster.run(10 * electionTimeoutMs)
      cluster.call(leader, set("k", String(i)))
    }
    assert.strictEqual(cluster.leader(), leader)
    assert.strictEqual(cluster.view.elections, 1)
    cluster.heal()
    cluster.run(1000)
    assert.strictEqual(cluster.view.elections, 1)
    assert.strictEqual(cluster.call(lonely, get("k")), "9")
  })

  // fails-with: never-goes-back
  it("P10 links that come and go cost some time, and nothing else", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    leaderOf(cluster)
    let answered = 0
    for (let i = 0; i < 60; i++) {
      const [a, b] = [cluster.ids[i % 3]!, cluster.ids[(i + 1) % 3]!]
      cluster.partition([a], [b])
      const write = cluster.fork(a, set("k", String(i), { timeout: 1000 }))
      cluster.run(100 + (i * 37) % 600)
      cluster.heal()
      cluster.run(100)
      if (write.pollUnsafe() !== undefined && tagOf(write.pollUnsafe()!) === "success") answered++
    }
    assert.isAbove(answered, 20)
    cluster.converge()
  })

  // fails-with: never-expires
  it("CS10 a thousand writes under way when their leader is cut off are all settled by their deadline", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    const [follower] = followersOf(cluster)
    cluster.isolate(leader)
    const writes = Array.from(
      { length: 1000 },
      (_, i) => cluster.fork(i % 2 === 0 ? leader : follower, set(`k${i}`, "v", { timeout: 3000 }))
    )
    // Until after their deadline: with a leader in reach they would simply be done.
    cluster.run(3600)
    assert.isTrue(writes.every((write) => write.pollUnsafe() !== undefined), "some still wait")
    cluster.heal()
    const tags = new Set(writes.map((write) => tagOf(write.pollUnsafe()!)))
    for (const tag of tags) assert.include(["success", "OutcomeUnknown", "NoLeader", "DeadlineExceeded"], tag)
    cluster.converge()
    for (const { pending } of cluster.view.nodes.values()) {
      assert.deepStrictEqual(pending, { writes: 0, reads: 0, bytes: 0 })
    }
  })

  // fails-with: closes-without-handing-over
  it("CS10 a node that closes answers everybody, and hands leadership over first", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    const writes = Array.from({ length: 200 }, (_, i) => cluster.fork(leader, set(`k${i}`, "v")))
    cluster.close(leader)
    assert.isTrue(writes.every((write) => write.pollUnsafe() !== undefined))
    const tags = writes.map((write) => tagOf(write.pollUnsafe()!))
    assert.isAbove(tags.filter((tag) => tag === "success").length, 150)
    cluster.until("another leader", () => cluster.leaderServes(), electionTimeoutMs)
  })
})
