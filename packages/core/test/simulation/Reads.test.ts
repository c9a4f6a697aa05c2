/** Linearizable reads without log entries (thesis §6.4), and stale ones. */
import { assert, describe, it } from "@effect/vitest"
import { SimCluster } from "../../src/testing/SimCluster.ts"
import { followersOf, get, joinAsLearner, leaderOf, set, tagOf } from "./calls.ts"

describe("reads", () => {
  // fails-with: reads-without-quorum
  it("RD01 a deposed leader answers no read", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const deposed = leaderOf(cluster)
    cluster.call(deposed, set("x", "1"))
    cluster.isolate(deposed)
    // It still believes to lead when the first of these arrive.
    const reads = [0, 100, 200, 400].map((after) => {
      cluster.run(after)
      return cluster.fork(deposed, get("x", { timeout: 3000 }))
    })
    cluster.until("another leader", () => cluster.leaderServes() && cluster.leader() !== deposed)
    cluster.call(cluster.leader()!, set("x", "2"))
    cluster.run(3600)
    for (const read of reads) assert.include(["NoLeader", "DeadlineExceeded"], tagOf(read.pollUnsafe()!))
    assert.strictEqual(cluster.call(deposed, get("x", { consistency: "stale" })), "1")
    cluster.heal()
    assert.strictEqual(cluster.call(deposed, get("x")), "2")
  })

  // fails-with: reads-before-its-own-entry
  it("RD02 a leader answers no read before it has committed in its own term", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const first = leaderOf(cluster)
    cluster.call(first, set("x", "1"))
    // Replicated to both, known to be committed by nobody but the first leader's client.
    cluster.run(100)
    const last = cluster.view.committed.length
    cluster.network.filter = ({ message }) =>
      message._tag === "AppendReply" && message.matched && message.index > last ? "hold" : "deliver"
    cluster.crash(first)
    cluster.until("a new leader", () => cluster.leader() !== null)
    const fresh = cluster.leader()!
    const read = cluster.fork(fresh, get("x", { timeout: 5000 }))
    cluster.run(200)
    assert.isUndefined(read.pollUnsafe(), "answered before its first entry was committed")
    cluster.network.filter = null
    cluster.network.release()
    cluster.until("the answer", () => read.pollUnsafe() !== undefined)
    assert.strictEqual(tagOf(read.pollUnsafe()!), "success")
  })

  // fails-with: confirms-by-any-answer
  it("RD04 only contact made after a read arrived confirms it", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    cluster.run(500)
    // The answers to all rounds so far are on their way when the links break.
    cluster.network.filter = ({ message, to }) => message._tag === "AppendReply" && to === leader ? "hold" : "deliver"
    cluster.run(70)
    cluster.network.filter = ({ from, to }) => from === leader || to === leader ? "drop" : "deliver"
    const read = cluster.fork(leader, get("absent", { timeout: 1000 }))
    cluster.network.release()
    cluster.run(100)
    assert.isUndefined(read.pollUnsafe(), "confirmed by an older round")
    cluster.run(1500)
    assert.include(["NoLeader", "DeadlineExceeded"], tagOf(read.pollUnsafe()!))
  })

  // fails-with: serves-what-it-has
  it("RD06 a follower's read is linearizable or fails, and never ends in silence", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    const [follower] = followersOf(cluster)
    for (let i = 0; i < 20; i++) {
      cluster.call(leader, set("x", String(i)))
      assert.strictEqual(cluster.call(follower, get("x")), String(i))
    }
    cluster.isolate(follower)
    assert.include(["NoLeader", "DeadlineExceeded"], tagOf(cluster.exit(follower, get("x", { timeout: 1000 }), 1600)))
  })

  // fails-with: a-round-for-each-read
  it("RD10 ten thousand reads share a few rounds of contact", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    cluster.call(leader, set("x", "1"))
    const sent = cluster.network.counts.sent
    const reads = Array.from({ length: 10_000 }, () => cluster.fork(leader, get("x")))
    cluster.run(100)
    assert.isTrue(reads.every((read) => tagOf(read.pollUnsafe()!) === "success"))
    assert.isBelow(cluster.network.counts.sent - sent, 200)
  })

  it("RD11 a leader that restarts within an election time-out reads nothing before it is elected again", () => {
    for (let seed = 1; seed <= 5; seed++) {
      const cluster = SimCluster.make({ nodes: 3, seed })
      const leader = leaderOf(cluster)
      for (let i = 0; i < 5; i++) cluster.call(leader, set("x", String(i)))
      cluster.crash(leader)
      cluster.restart(leader)
      const term = cluster.node(leader).disk.term
      assert.strictEqual(cluster.call(leader, get("x")), "4")
      assert.isAbove(cluster.view.node(cluster.node(leader).id).last!.term, term)
    }
  })

  // fails-with: learners-count
  it("RD12 the quorum of a read is a majority of the voters, and no learner", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    for (const id of ["n4", "n5"]) {
      cluster.addNode(id, "await")
      cluster.restart(id)
      cluster.call(id, joinAsLearner(leader))
    }
    const others = ["n1", "n2", "n3"].filter((id) => id !== leader)
    cluster.partition([leader, "n4", "n5"], others)
    assert.include(["NoLeader", "DeadlineExceeded"], tagOf(cluster.exit(leader, get("x", { timeout: 1000 }), 1600)))
    cluster.heal()
    cluster.until("a leader", () => cluster.leaderServes())
    const now = cluster.leader()!
    cluster.crash(["n1", "n2", "n3"].find((id) => id !== now)!)
    assert.strictEqual(tagOf(cluster.exit(now, get("x"))), "KeyNotFound", "two of three are enough")
  })

  // fails-with: stale-reads-wait
  it("RD13 a stale read answers at once without a leader, and says what it shows", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    cluster.call(leader, set("x", "1"))
    cluster.run(100)
    const [follower] = followersOf(cluster)
    for (const id of cluster.ids) if (id !== follower) cluster.crash(id)
    cluster.run(1000)
    assert.strictEqual(cluster.call(follower, get("x", { consistency: "stale" }), 1), "1")
  })
})
