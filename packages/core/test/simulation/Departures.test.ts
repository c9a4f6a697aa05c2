/** Members that leave, are made learners, or are refused for good (thesis §4.1, §4.2.2, §4.2.3). */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type ChangeOptions, DistKv } from "../../src/DistKv.ts"
import { SimCluster } from "../../src/testing/SimCluster.ts"
import { followersOf, get, leaderOf, record, sentBy, set, status, tagOf } from "./calls.ts"

const remove = (id: string, options: ChangeOptions = { timeout: 10_000 }) =>
  Effect.flatMap(DistKv, (kv) => kv.members.remove(id, options))
const demote = (id: string, options: ChangeOptions = { timeout: 10_000 }) =>
  Effect.flatMap(DistKv, (kv) => kv.members.demote(id, options))
const promote = (id: string, options: ChangeOptions = { timeout: 10_000 }) =>
  Effect.flatMap(DistKv, (kv) => kv.members.promote(id, options))

const votersOf = (cluster: SimCluster, id: string): ReadonlyArray<string> =>
  cluster.call(id, status).members.filter((member) => member.standing === "voter").map((member) => String(member.id))

const refusedOf = (cluster: SimCluster, id: string) => cluster.call(id, status).refused

describe("a member that is removed", () => {
  it("learns it from the log, stops, serves nobody any more, and knows it after a restart", () => {
    const cluster = SimCluster.make({ nodes: 4 })
    const leader = leaderOf(cluster)
    const [gone] = followersOf(cluster)
    const packets = record(cluster)
    cluster.call(leader, remove(gone))
    cluster.run(500)
    assert.strictEqual(refusedOf(cluster, gone), "removed")
    assert.isFalse(cluster.call(gone, status).ready.member)
    assert.strictEqual(tagOf(cluster.exit(gone, set("k", "1", { timeout: 60_000 }), 100)), "NoLeader")
    packets.length = 0
    cluster.crash(gone)
    cluster.restart(gone)
    cluster.run(5000)
    assert.strictEqual(refusedOf(cluster, gone), "removed")
    assert.lengthOf(packets.filter(({ from, to }) => from === gone || to === gone), 0, "nobody calls, it calls nobody")
    cluster.call(leader, set("k", "2"))
    assert.lengthOf(votersOf(cluster, leader), 3)
    cluster.converge()
  })

  // fails-with: never-learns-of-its-removal
  it("M08 M13 while it was cut off or down is told when it comes back, and disturbs nobody", () => {
    for (const down of [false, true]) {
      const cluster = SimCluster.make({ nodes: 4 })
      const leader = leaderOf(cluster)
      const [gone] = followersOf(cluster)
      if (down) cluster.crash(gone)
      else cluster.isolate(gone)
      cluster.call(leader, remove(gone))
      cluster.run(10_000)
      const { term } = cluster.view.node(cluster.node(leader).id).last!
      if (down) {
        cluster.restart(gone)
        assert.isNull(refusedOf(cluster, gone), "its disk does not know of it")
      }
      cluster.heal()
      cluster.until("it knows", () => refusedOf(cluster, gone) === "removed")
      cluster.run(10_000)
      assert.strictEqual(cluster.leader(), leader)
      assert.strictEqual(cluster.view.node(cluster.node(leader).id).last!.term, term, "no term was lost on it")
      assert.isNotNull(cluster.node(gone).disk.identity?.refused, "and keeps it")
    }
  })

  it("never comes back under its id or with its key", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    const [gone, other] = followersOf(cluster)
    cluster.call(leader, remove(gone))
    cluster.crash(gone)
    cluster.node(gone).disk.wipe()
    cluster.restart(gone)
    const join = Effect.flatMap(DistKv, (kv) => kv.join(cluster.node(other).address, { timeout: 5000 }))
    assert.strictEqual(tagOf(cluster.exit(gone, join)), "MembershipRejected")
    // Asked again, the same removal is done already; nobody's removal is not.
    cluster.call(other, remove(gone))
    assert.strictEqual(tagOf(cluster.exit(other, remove("n9"))), "NotFound")
  })
})

describe("a leader that is removed", () => {
  it("M06 hands over first, and no write fails", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const first = leaderOf(cluster)
    const [other] = followersOf(cluster)
    const writes = Array.from({ length: 50 }, (_, i) => cluster.fork(other, set(`k${i}`, "1")))
    const removal = cluster.fork(other, remove(first))
    const more = Array.from({ length: 50 }, (_, i) => cluster.fork(other, set(`m${i}`, "1")))
    cluster.until("the removal", () => removal.pollUnsafe() !== undefined)
    assert.strictEqual(tagOf(removal.pollUnsafe()!), "success")
    cluster.until("all writes", () => [...writes, ...more].every((fiber) => fiber.pollUnsafe() !== undefined))
    for (const fiber of [...writes, ...more]) assert.strictEqual(tagOf(fiber.pollUnsafe()!), "success")
    assert.notInclude(votersOf(cluster, other), first)
    cluster.until("the old leader knows", () => refusedOf(cluster, first) === "removed")
    const packets = record(cluster)
    cluster.run(2000)
    assert.lengthOf(sentBy(packets, first, "AppendRequest"), 0, "it leads no more")
    cluster.converge()
  })

  it("M06 where nobody takes over leads until its leaving is committed, without counting itself", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const first = leaderOf(cluster)
    const [other] = followersOf(cluster)
    cluster.network.filter = ({ message }) => message._tag === "TimeoutNow" ? "drop" : "deliver"
    const removal = cluster.fork(first, remove(first))
    cluster.until("the removal", () => removal.pollUnsafe() !== undefined)
    assert.strictEqual(tagOf(removal.pollUnsafe()!), "success")
    assert.notStrictEqual(cluster.view.node(cluster.node(first).id).last?.role, "Leader")
    cluster.until(
      "another leader",
      () => cluster.leader() !== null && cluster.leader() !== first && cluster.leaderServes()
    )
    cluster.call(other, set("k", "1"))
    cluster.converge()
  })

  // fails-with: half-is-a-majority
  it("M07 of two: the other goes on alone, however the first dies in between", () => {
    for (const crashAfterMs of [0, 1, 2, 3, 5, 8, 400]) {
      const cluster = SimCluster.make({ nodes: 2, seed: 10 + crashAfterMs })
      const first = leaderOf(cluster)
      const [other] = followersOf(cluster)
      cluster.network.filter = ({ message }) => message._tag === "TimeoutNow" ? "drop" : "deliver"
      cluster.fork(first, remove(first))
      // The handover is tried for an election time-out; then the leader appends its own leaving.
      cluster.until("its leaving in its log", () => cluster.view.node(cluster.node(first).id).configs.length > 1, 2000)
      cluster.run(crashAfterMs)
      cluster.crash(first)
      cluster.run(1000)
      cluster.network.filter = null
      cluster.restart(first)
      cluster.until(
        "one is left",
        () => votersOf(cluster, other).join() === other && cluster.leader() === other,
        20_000
      )
      cluster.call(other, set("k", "1"))
      cluster.until("the first knows", () => refusedOf(cluster, first) === "removed")
      cluster.crash(first)
      assert.strictEqual(cluster.call(other, get("k")), "1")
    }
  })

  it("that is made a learner follows, and may become a voter again", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const first = leaderOf(cluster)
    const [other] = followersOf(cluster)
    cluster.call(other, demote(first))
    assert.notInclude(votersOf(cluster, other), first)
    cluster.until("a leader", () => cluster.leader() !== null && cluster.leader() !== first && cluster.leaderServes())
    cluster.call(first, set("k", "1"))
    assert.strictEqual(cluster.call(first, get("k", { consistency: "stale" })), "1", "it still gets everything")
    assert.strictEqual(cluster.call(first, status).role, "learner")
    cluster.call(first, promote(first))
    assert.include(votersOf(cluster, other), first)
    cluster.converge()
  })
})

describe("a change that would leave no live quorum", () => {
  it("M05 is refused unless forced; a dead member may go", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    const [dead, live] = followersOf(cluster)
    cluster.crash(dead)
    cluster.run(1000)
    for (const change of [remove(live), demote(live)]) {
      assert.strictEqual(tagOf(cluster.exit(leader, change)), "MembershipRejected")
    }
    cluster.call(leader, remove(dead))
    assert.lengthOf(votersOf(cluster, leader), 2)
    cluster.call(leader, set("k", "1"))
    cluster.call(leader, remove(live))
    cluster.until("alone", () => votersOf(cluster, leader).join() === leader)
    assert.strictEqual(tagOf(cluster.exit(leader, remove(leader, { force: true }))), "MembershipRejected")
    cluster.call(leader, set("k", "2"))
  })
})

describe("a member in an older directory (D09)", () => {
  it("is told by the leader that remembers, votes no more over restarts, and is replaced by another", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    const [old, other] = followersOf(cluster)
    for (let i = 0; i < 10; i++) cluster.call(leader, set(`k${i}`, "1"))
    // All three have all of it, so that neither of the two is behind the other later.
    cluster.run(500)
    const { disk } = cluster.node(old)
    const [identity, hardState] = [disk.identity!, disk.hardState!]
    const before = Array.from({ length: disk.last }, (_, i) => disk.entryAt((i + 1) as typeof disk.last)!)
    cluster.isolate(other)
    for (let i = 0; i < 10; i++) cluster.call(leader, set(`m${i}`, "1"))
    cluster.crash(old)
    disk.state.wipe()
    disk.prepare(identity, hardState, before)
    cluster.restart(old)
    cluster.until("it is told", () => refusedOf(cluster, old) === "rolledBack")
    assert.isFalse(cluster.call(old, status).ready.member)
    // What the leader and it had committed together is now on the leader alone: nobody may be elected without that.
    cluster.crash(leader)
    cluster.heal()
    cluster.crash(old)
    cluster.restart(old)
    cluster.run(20_000)
    assert.isNull(cluster.leader(), "elected by the votes of one that forgot")
    cluster.restart(leader)
    cluster.until("a leader again", () => cluster.leaderServes(), 10_000)
    for (let i = 0; i < 10; i++) assert.strictEqual(cluster.call(other, get(`m${i}`)), "1")
    cluster.call(other, remove(old))
    cluster.addNode("n4").start()
    cluster.until("n4 a voter", () => votersOf(cluster, cluster.leader() ?? other).includes("n4"), 30_000)
  })
})
