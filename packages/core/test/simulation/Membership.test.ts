/** Adding members (thesis §4.1, §4.2 with the correction of 2015): one change at a time, rolled back with its entry. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { DistKv } from "../../src/DistKv.ts"
import { addressOf } from "../../src/testing/Founding.ts"
import { SimCluster } from "../../src/testing/SimCluster.ts"
import { followersOf, get, leaderOf, set, status, tagOf } from "./calls.ts"

const join = (id: string, timeout = 20_000) => Effect.flatMap(DistKv, (kv) => kv.join(addressOf(id), { timeout }))

/** Adds a node that waits to be told whom to join. */
const awaiting = (cluster: SimCluster, id: string) => {
  cluster.addNode(id, "await")
  cluster.restart(id)
}

const votersOf = (cluster: SimCluster, id: string): ReadonlyArray<string> =>
  cluster.call(id, status).members.filter((member) => member.standing === "voter").map((member) => member.id)

describe("membership", () => {
  // fails-with: changes-before-its-own-entry
  it("M01 a new leader changes nothing before it has committed an entry of its own term", () => {
    const cluster = SimCluster.make({ nodes: 4 })
    const first = leaderOf(cluster)
    awaiting(cluster, "n5")
    awaiting(cluster, "n6")
    // The first leader adds n5 alone, on its own log.
    cluster.partition([first, "n5"], cluster.ids.filter((id) => id !== first && id !== "n5"))
    cluster.fork("n5", join(first, 3000))
    cluster.run(50)
    assert.lengthOf(cluster.view.node(cluster.node(first).id).configs, 2)
    // The others elect one whose first entry nobody acknowledges, and ask it for a change at once.
    cluster.network.filter = ({ message }) =>
      message._tag === "AppendReply" && message.matched && message.index > 2 ? "hold" : "deliver"
    cluster.until("a second leader", () => cluster.leader() !== null && cluster.leader() !== first)
    const second = cluster.leader()!
    const asked = cluster.fork("n6", join(second, 20_000))
    cluster.run(200)
    assert.lengthOf(cluster.view.node(cluster.node(second).id).configs, 1, "changed before its own entry was committed")
    cluster.network.filter = null
    cluster.network.release()
    cluster.heal()
    cluster.until("n6 admitted", () => asked.pollUnsafe() !== undefined, 30_000)
    assert.strictEqual(tagOf(asked.pollUnsafe()!), "success")
    cluster.converge()
  })

  // fails-with: keeps-what-was-truncated
  it("M02 a configuration that is not committed is gone with its entry, over a restart too", () => {
    for (const restarts of [false, true]) {
      const cluster = SimCluster.make({ nodes: 3 })
      const first = leaderOf(cluster)
      awaiting(cluster, "n4")
      cluster.partition([first, "n4"], followersOf(cluster))
      cluster.fork("n4", join(first, 1000))
      cluster.run(50)
      const record = cluster.view.node(cluster.node(first).id)
      const added = record.configs.at(-1)!
      assert.include((record.log[added - 1]?.members ?? []).map(String), "n4")
      if (restarts) {
        cluster.crash(first)
        cluster.restart(first)
        assert.include(cluster.call(first, status).members.map((member) => String(member.id)), "n4")
      }
      cluster.until("another leader", () => cluster.leaderServes() && cluster.leader() !== first)
      cluster.call(cluster.leader()!, set("k", "1"))
      cluster.network.heal()
      cluster.run(1000)
      assert.notInclude(cluster.call(first, status).members.map((member) => String(member.id)), "n4")
      assert.strictEqual(cluster.call(first, get("k")), "1")
    }
  })

  // fails-with: several-changes-at-once
  it("M03 many joins at once are admitted one after the other", () => {
    const cluster = SimCluster.make({ nodes: 1 })
    leaderOf(cluster)
    const ids = ["n2", "n3", "n4", "n5"]
    for (const id of ids) awaiting(cluster, id)
    const joins = ids.map((id) => cluster.fork(id, join("n1")))
    cluster.until("all answers", () => joins.every((fiber) => fiber.pollUnsafe() !== undefined), 30_000)
    assert.deepStrictEqual(joins.map((fiber) => tagOf(fiber.pollUnsafe()!)), ids.map(() => "success"))
    cluster.until("five voters", () => votersOf(cluster, "n1").length === 5, 30_000)
    cluster.converge()
  })

  // fails-with: admits-voters
  it("M04 a node joins as a learner, under load, and becomes a voter when it has caught up", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    for (let i = 0; i < 300; i++) cluster.fork(leader, set(`k${i}`, "x".repeat(1000)))
    cluster.run(500)
    const node = cluster.addNode("n4")
    node.start()
    cluster.until("n4 a learner", () => cluster.isMember("n4"), 10_000)
    assert.notInclude(votersOf(cluster, leader), "n4")
    cluster.until("n4 a voter", () => votersOf(cluster, leader).includes("n4"), 30_000)
    cluster.converge()
    assert.strictEqual(cluster.call("n4", get("k299", { consistency: "stale" })).length, 1000)
  })

  // fails-with: promotes-whom-others-do-not-reach
  it("M04 nobody is promoted whom a live voter cannot reach", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    const [voter] = followersOf(cluster)
    cluster.network.setAccepts(voter, "n4", false)
    cluster.addNode("n4").start()
    cluster.until("n4 a learner", () => cluster.isMember("n4"), 10_000)
    cluster.run(5000)
    assert.notInclude(votersOf(cluster, leader), "n4")
    cluster.network.setAccepts(voter, "n4", true)
    cluster.until("n4 a voter", () => votersOf(cluster, leader).includes("n4"), 30_000)
    cluster.converge()
  })

  // fails-with: several-changes-at-once
  it("M11 a leader that is cut off changes nothing, and its entries vanish", () => {
    const cluster = SimCluster.make({ nodes: 5 })
    const first = leaderOf(cluster)
    for (const id of ["n6", "n7"]) awaiting(cluster, id)
    cluster.partition([first, "n6", "n7"], cluster.ids.filter((id) => ![first, "n6", "n7"].includes(id)))
    const joins = ["n6", "n7"].map((id) => cluster.fork(id, join(first, 2000)))
    cluster.run(3000)
    for (const fiber of joins) assert.notStrictEqual(tagOf(fiber.pollUnsafe()!), "success")
    cluster.until("another leader", () => cluster.leaderServes() && cluster.leader() !== first)
    cluster.network.heal()
    cluster.run(2000)
    assert.isFalse(cluster.isMember("n6") || cluster.isMember("n7"))
    assert.strictEqual(cluster.call(first, status).members.length, 5)
  })

  it("a node that was away while the leader joined learns of it by its appends", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const first = leaderOf(cluster)
    const [away, helper] = followersOf(cluster)
    cluster.crash(away)
    cluster.addNode("n4").start()
    cluster.until("n4 a voter", () => votersOf(cluster, first).includes("n4"), 30_000)
    cluster.call(first, Effect.flatMap(DistKv, (kv) => kv.transferLeadership("n4", { timeout: 5000 })))
    cluster.until("n4 leading", () => cluster.leader() === "n4" && cluster.leaderServes())
    // Three of four are needed, and the one that was away has never heard of n4.
    cluster.crash(first)
    cluster.restart(away)
    assert.strictEqual(cluster.call(helper, set("k", "1", { timeout: 10_000 })).revision, 1)
    cluster.converge()
  })

  it("another node comes under a new name where a lost one was, whichever of the two changes is first", () => {
    for (const comesFirst of [true, false]) {
      const cluster = SimCluster.make({ nodes: 3 })
      leaderOf(cluster)
      const lost = cluster.node("n3")
      lost.retire()
      cluster.until("a leader without it", () => cluster.leader() !== null && cluster.leader() !== lost.id)
      const remove = () => cluster.call("n1", Effect.flatMap(DistKv, (kv) => kv.members.remove("n3")))
      if (!comesFirst) remove()
      const successor = cluster.addNode("n4", undefined, lost.address)
      assert.strictEqual(successor.address, "n3:7000")
      cluster.restart("n4")
      cluster.until("n4 a voter", () => cluster.view.standingOf(successor.id) === "voter", 30_000)
      if (comesFirst) remove()
      lost.start()
      assert.isFalse(lost.isRunning, "it was taken away")
      assert.deepStrictEqual(votersOf(cluster, "n4"), ["n1", "n2", "n4"])
      cluster.converge()
    }
  })
})
