/** Crashes at every moment, of one node, of several, of all. */
import { assert, describe, it } from "@effect/vitest"
import { Exit } from "effect"
import { SimCluster } from "../../src/testing/SimCluster.ts"
import { followersOf, get, leaderOf, set, tagOf } from "./calls.ts"

const onCrash = ["none", "all", "prefix"] as const

describe("recovery", () => {
  // fails-with: restarts-at-term-zero
  it("K02 all nodes restart at once, the one that is behind first, and lose neither term nor data", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    const [stale, other] = followersOf(cluster)
    cluster.call(leader, set("k", "1"))
    cluster.isolate(stale)
    for (let i = 2; i <= 10; i++) cluster.call(leader, set("k", String(i)))
    const term = cluster.node(leader).disk.term
    for (const id of cluster.ids) cluster.crash(id)
    cluster.heal()
    for (const id of [stale, other, leader]) cluster.restart(id, false)
    cluster.until("a leader", () => cluster.leaderServes(), 3000)
    assert.isAbove(cluster.view.node(cluster.node(cluster.leader()!).id).last!.term, term)
    for (const id of cluster.ids) assert.strictEqual(cluster.call(id, get("k")), "10")
  })

  // fails-with: acknowledges-from-memory
  it("K03 the leader loses power right after each of its disk writes, or in the middle", () => {
    for (let after = 1; after <= 30; after++) {
      const cluster = SimCluster.make({ nodes: 3, seed: after, settings: { checkpointInterval: 20 } })
      const leader = leaderOf(cluster)
      const { logDevice } = cluster.node(leader).disk
      logDevice.faults.onCrash = onCrash[after % 3]!
      logDevice.faults.meanDelayMs = 2
      const until = logDevice.writes + after
      const writes = Array.from({ length: 40 }, (_, i) => {
        if (i % 4 === 0) cluster.run(1)
        return cluster.fork(leader, set(`k${i}`, String(i)))
      })
      cluster.until("the write", () => logDevice.writes >= until || writes.every((write) => write.pollUnsafe()))
      const acknowledged = writes.flatMap((write, i) => write.pollUnsafe() === undefined ? [] : [i])
      cluster.crash(leader)
      cluster.until("another leader", () => cluster.leaderServes())
      for (const i of acknowledged) assert.strictEqual(cluster.call(cluster.leader()!, get(`k${i}`)), String(i))
      cluster.converge()
    }
  })

  // fails-with: acknowledges-from-memory
  it("K04 power fails everywhere at once, and nothing that was acknowledged is lost", () => {
    for (let seed = 1; seed <= 15; seed++) {
      const cluster = SimCluster.make({ nodes: 3, seed, settings: { checkpointInterval: 50 } })
      const leader = leaderOf(cluster)
      for (const { disk } of cluster.nodes.values()) {
        disk.logDevice.faults.onCrash = onCrash[seed % 3]!
        disk.stateDevice.faults.onCrash = onCrash[(seed + 1) % 3]!
      }
      const writes = Array.from({ length: 30 }, (_, i) => {
        cluster.run(1)
        return cluster.fork(cluster.ids[i % 3]!, set(`k${i}`, String(i)))
      })
      cluster.run(seed / 5)
      const acknowledged = writes.flatMap((write, i) => write.pollUnsafe() === undefined ? [] : [i])
      for (const id of cluster.ids) cluster.crash(id)
      cluster.converge()
      assert.isNotEmpty(acknowledged)
      for (const i of acknowledged) assert.strictEqual(cluster.call(leader, get(`k${i}`)), String(i))
    }
  })

  // fails-with: restarts-at-term-zero
  it("K05 a node that loses power again and again while it recovers comes up in the end", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    for (let i = 0; i < 50; i++) cluster.call(leader, set(`k${i}`, "v"))
    for (let i = 0; i < 25; i++) {
      cluster.crash(leader)
      cluster.restart(leader, false)
      cluster.run(i * 0.4)
      const seen = cluster.view.node(cluster.node(leader).id).last
      if (seen !== null) assert.isAtLeast(seen.term, cluster.node(leader).disk.term)
    }
    cluster.converge()
    assert.strictEqual(cluster.call(leader, get("k49", { consistency: "stale" })), "v")
  })

  // fails-with: lost-writes-fail-for-sure
  it("K06 a write whose leader dies before it answers is unknown to the caller, and once in the log or not at all", () => {
    for (let seed = 1; seed <= 10; seed++) {
      const cluster = SimCluster.make({ nodes: 3, seed })
      const leader = leaderOf(cluster)
      const [follower] = followersOf(cluster)
      // Its first write would open its session before.
      cluster.call(follower, set("warm", "0"))
      const write = cluster.fork(follower, set("k", "1", { timeout: 2000 }))
      cluster.run(seed * 0.3)
      const before = write.pollUnsafe()
      cluster.crash(leader)
      // Nobody is left who could say: with another leader it would be sent again, and its session would know.
      cluster.isolate(follower)
      cluster.until("the answer", () => write.pollUnsafe() !== undefined)
      cluster.heal()
      cluster.converge()
      const value = tagOf(cluster.exit(follower, get("k")))
      const answer = tagOf(write.pollUnsafe()!)
      if (before !== undefined || answer === "success") assert.strictEqual(value, "success")
      else assert.include(["OutcomeUnknown", "NoLeader", "DeadlineExceeded"], answer)
      assert.isAtMost(cluster.view.applied.writesOf.get("1")?.length ?? 0, 1)
      if (answer !== "success" && answer !== "OutcomeUnknown") assert.strictEqual(value, "KeyNotFound")
    }
  })

  // fails-with: late-timer-campaigns-at-once
  it("K12 a node that was stopped for long does not depose a live leader when it goes on", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    const [paused] = followersOf(cluster)
    for (let i = 0; i < 5; i++) {
      cluster.pause(paused)
      cluster.run(2000)
      cluster.resume(paused)
      cluster.run(1000)
    }
    assert.strictEqual(cluster.leader(), leader)
    assert.strictEqual(cluster.view.elections, 1)
  })

  // fails-with: reads-without-quorum
  it("K12 a leader that was stopped for long serves nothing before it knows that it still leads", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    cluster.call(leader, set("x", "1"))
    const read = cluster.fork(leader, get("x", { timeout: 60_000 }))
    cluster.run(100)
    assert.strictEqual(tagOf(read.pollUnsafe()!), "success")
    cluster.pause(leader)
    cluster.until("another leader", () => cluster.leaderServes() && cluster.leader() !== leader)
    cluster.call(cluster.leader()!, set("x", "2"))
    const asked = cluster.fork(leader, get("x"))
    cluster.resume(leader)
    cluster.until("an answer", () => asked.pollUnsafe() !== undefined)
    const answer = asked.pollUnsafe()!
    assert.notDeepEqual(answer, Exit.succeed("1"), tagOf(answer))
    assert.strictEqual(cluster.call(leader, get("x")), "2")
  })

  it("a call made before its node's first turn is settled at its deadline", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    leaderOf(cluster)
    const [node] = followersOf(cluster)
    for (const id of cluster.ids) cluster.crash(id)
    // Nothing of the former leader is on its way any more.
    cluster.run(100)
    const answers: Array<string> = []
    cluster.node(node).onUp = (up) => {
      const call = up.fork(set("k", "1", { timeout: 500 }))
      call?.addObserver((exit) => answers.push(tagOf(exit)))
    }
    cluster.restart(node)
    cluster.run(700)
    assert.deepStrictEqual(answers, ["NoLeader"])
  })
})
