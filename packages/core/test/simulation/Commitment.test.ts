/** What counts as committed (paper §5.4.2), and what is applied once it is. */
import { assert, describe, it } from "@effect/vitest"
import type { Key } from "../../src/domain/Entry.ts"
import { SimCluster } from "../../src/testing/SimCluster.ts"
import { appendRequest, followersOf, get, joinAsLearner, leaderOf, putEntry, set, tagOf } from "./calls.ts"

describe("commitment", () => {
  // fails-with: commits-older-terms
  it("C01 an entry of an older term on a majority is not committed, and may be overwritten (figure 8)", () => {
    const cluster = SimCluster.make({ nodes: 5 })
    const founding = cluster.foundingEntry(cluster.ids)
    // n1 led term 2 and replicated its entry to n2; n5 led term 3 and replicated to nobody.
    for (const id of ["n1", "n2"]) cluster.prepare(id, { term: 3 }, [founding, putEntry(2, 2, "k", "old")])
    for (const id of ["n3", "n4"]) cluster.prepare(id, { term: 3 }, [founding])
    cluster.prepare("n5", { term: 3, votedFor: "n5" }, [founding, putEntry(3, 2, "k", "newer")])
    // Nobody hears of the entries of n1's new term.
    cluster.network.filter = ({ message, to }) =>
      (to !== "n1" && message._tag === "AppendRequest" && message.entries.length > 0) ? "drop" : "deliver"
    for (const id of ["n2", "n3", "n4"]) cluster.node(id).start()
    cluster.node("n1").start()
    cluster.until(
      "four nodes serving",
      () => ["n1", "n2", "n3", "n4"].every((id) => cluster.node(id).condition === "up")
    )
    cluster.until("a leader", () => cluster.leader() !== null)
    while (cluster.leader() !== "n1") {
      // Another one won: its log lacks nothing either, but the story needs n1.
      cluster.isolate(cluster.leader()!)
      cluster.run(1500)
      cluster.heal()
      cluster.until("a leader", () => cluster.leader() !== null)
    }
    const { term } = cluster.view.node(cluster.node("n1").id).last!
    // It replicates its old entry to n3 (and n4 stays without): three of five have it now.
    cluster.deliver("n1", "n3", appendRequest(term, { term: 1, index: 1 }, [putEntry(2, 2, "k", "old")]))
    cluster.run(50)
    assert.strictEqual(cluster.node("n3").disk.termAt(cluster.node("n3").disk.last), 2)
    assert.isBelow(cluster.view.committed.length, 2, "committed by counting")
    cluster.crash("n1")
    cluster.network.filter = ({ from, to }) => from === "n1" || to === "n1" ? "drop" : "deliver"
    cluster.node("n5").start()
    // Only n5 may win now: it asks with the newest last term.
    cluster.until("n5 leading", () => {
      const leader = cluster.leader()
      if (leader !== null && leader !== "n5") cluster.isolate(leader)
      else if (leader === "n5") cluster.network.heal()
      return cluster.leader() === "n5" && cluster.leaderServes()
    }, 60_000)
    assert.strictEqual(cluster.node("n3").disk.termAt(2 as never), 3, "the older entry is overwritten")
    cluster.converge()
    assert.strictEqual(cluster.call("n1", get("k")), "newer")
  })

  // fails-with: no-first-entry
  it("C02 a new leader commits what its predecessor replicated, without a write to push it", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    // The answers of the followers never arrive: the entry is everywhere, and the leader does not know.
    cluster.network.filter = ({ message, to }) => to === leader && message._tag === "AppendReply" ? "drop" : "deliver"
    cluster.fork(leader, set("k", "1"))
    cluster.run(30)
    cluster.crash(leader)
    cluster.network.filter = null
    cluster.until("a new leader", () => cluster.leaderServes())
    assert.strictEqual(cluster.call(cluster.leader()!, get("k")), "1")
  })

  // fails-with: learners-count
  it("C07 learners count in no quorum, for writes or reads", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    const others = followersOf(cluster)
    for (const id of ["n4", "n5", "n6", "n7"]) {
      cluster.addNode(id, "await")
      cluster.restart(id)
      cluster.call(id, joinAsLearner(leader))
    }
    assert.strictEqual(cluster.call("n4", set("k", "1")).revision, 1)
    cluster.partition(cluster.ids.filter((id) => !others.includes(id)), others)
    const write = cluster.fork(leader, set("k", "2", { timeout: 2000 }))
    const read = cluster.fork(leader, get("k", { timeout: 2000 }))
    cluster.run(2600)
    assert.include(["OutcomeUnknown", "NoLeader"], tagOf(write.pollUnsafe()!))
    assert.include(["NoLeader", "DeadlineExceeded"], tagOf(read.pollUnsafe()!))
    cluster.converge()
  })

  // fails-with: applies-a-page-twice
  it("C08 entries are applied once and in order, with a window of memory of one byte and pages in between", () => {
    const cluster = SimCluster.make({
      nodes: 3,
      settings: { limits: { logWindowBytes: 1, inflightBytes: 1 }, checkpointInterval: 10_000 }
    })
    const leader = leaderOf(cluster)
    for (let i = 1; i <= 200; i++) cluster.fork(leader, set(`k${i % 7}`, `v${i}`))
    cluster.run(500)
    for (const id of cluster.ids) cluster.crash(id)
    cluster.converge()
    assert.strictEqual(cluster.call(cluster.leader()!, set("last", "x")).revision, 201)
    for (let i = 1; i <= 7; i++) {
      const values = cluster.ids.map((id) => cluster.call(id, get(`k${i % 7}`)))
      assert.strictEqual(new Set(values).size, 1)
    }
  })

  // fails-with: applied-index-apart
  it("C09 rows, applied index and revision reach the disk in one step, whenever the power fails", () => {
    for (let crash = 1; crash <= 25; crash++) {
      const cluster = SimCluster.make({
        nodes: 1,
        seed: crash,
        settings: { checkpointInterval: 10, checkpointBytes: 4096 }
      })
      leaderOf(cluster)
      const { disk } = cluster.node("n1")
      disk.stateDevice.faults.meanDelayMs = 5
      disk.stateDevice.faults.onCrash = crash % 2 === 0 ? "none" : "all"
      const writes = Array.from({ length: 20 }, (_, i) => cluster.fork("n1", set(`k${i}`, "v")))
      cluster.run(crash)
      const acknowledged = writes.filter((write) => write.pollUnsafe() !== undefined).length
      cluster.crash("n1")
      const rows = Array.from({ length: 20 }, (_, i) => disk.state.store().getUnsafe(`k${i}` as Key))
      const { meta } = disk.state
      assert.strictEqual(rows.filter((row) => row !== undefined).length, meta?.keys ?? 0)
      assert.strictEqual(Math.max(0, ...rows.map((row) => row?.modRevision ?? 0)), meta?.revision ?? 0)
      cluster.converge()
      assert.isAtLeast(cluster.call("n1", set("next", "x")).revision, acknowledged + 1)
    }
  })

  // fails-with: commit-goes-back
  it("C10 a commit index that arrives late does not move a follower back", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    const [follower] = followersOf(cluster)
    for (let i = 0; i < 9; i++) cluster.call(leader, set("k", String(i)))
    cluster.run(200)
    const { commit, term } = cluster.view.node(cluster.node(follower).id).last!
    for (const committed of [commit, commit - 2, commit - 1]) {
      cluster.deliver(leader, follower, appendRequest(term, { term, index: commit }, [], committed))
      assert.strictEqual(cluster.view.node(cluster.node(follower).id).last?.commit, commit)
    }
  })

  it("what a leader has replaced is not applied, although the disk still holds it when it is read back", () => {
    const cluster = SimCluster.make({ nodes: 3, settings: { limits: { logWindowBytes: 1 } } })
    const founding = cluster.foundingEntry(cluster.ids)
    const old = [2, 3, 4, 5].map((index) => putEntry(2, index, `k${index}`, `old ${index}`))
    cluster.prepare("n3", { term: 3 }, [founding, ...old])
    cluster.node("n3").start()
    cluster.until("n3 serving", () => cluster.node("n3").condition === "up")
    const { logDevice } = cluster.node("n3").disk
    logDevice.hang()
    const replacing = [3, 4, 5].map((index) => putEntry(4, index, `k${index}`, `new ${index}`))
    cluster.deliver("n1", "n3", appendRequest(4, { term: 2, index: 2 }, replacing, 5))
    cluster.run(50)
    logDevice.resume()
    cluster.until("all applied", () => cluster.view.node(cluster.node("n3").id).last?.applied === 5)
    for (const index of [3, 4, 5]) {
      assert.strictEqual(cluster.call("n3", get(`k${index}`, { consistency: "stale" })), `new ${index}`)
    }
  })
})
