/** Disks that fail, hang, or are full: the node stops or hands over, and the others go on. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { DistKv } from "../../src/DistKv.ts"
import type { LogIndex } from "../../src/domain/Position.ts"
import { SimCluster } from "../../src/testing/SimCluster.ts"
import { followersOf, get, leaderOf, set, tagOf } from "./calls.ts"

const electionTimeoutMs = 300

describe("storage", () => {
  // fails-with: writes-on-after-a-failure
  it("D01 a leader whose write fails once stops, and what it had is found elsewhere", () => {
    for (let seed = 1; seed <= 5; seed++) {
      const cluster = SimCluster.make({ nodes: 3, seed })
      const leader = leaderOf(cluster)
      cluster.call(leader, set("k", "1"))
      cluster.node(leader).disk.logDevice.faults.failNext = 1
      const write = cluster.fork(leader, set("k", "2", { timeout: 3000 }))
      cluster.until("its end", () => cluster.node(leader).condition === "stopped")
      cluster.until("another leader", () => cluster.leaderServes())
      const answer = write.pollUnsafe()
      if (answer !== undefined) assert.include(["success", "StorageFailed", "OutcomeUnknown"], tagOf(answer))
      const other = cluster.leader()!
      cluster.call(other, set("k", "3"))
      cluster.restart(leader)
      cluster.converge()
      assert.strictEqual(cluster.call(leader, get("k")), "3")
    }
  })

  // fails-with: writes-on-after-a-failure
  it("D02 a follower whose write fails stops without an acknowledgement, and the quorum goes on", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    const [follower] = followersOf(cluster)
    cluster.node(follower).disk.logDevice.faults.failNext = 1
    cluster.call(leader, set("k", "1"))
    cluster.until("its end", () => cluster.node(follower).condition === "stopped")
    cluster.call(leader, set("k", "2"))
    assert.strictEqual(cluster.leader(), leader)
    cluster.converge()
    assert.strictEqual(cluster.call(follower, get("k")), "2")
  })

  // fails-with: fills-the-disk
  it("D03 a leader whose disk is full hands over, and growth is refused only where all disks are full", () => {
    const cluster = SimCluster.make({ nodes: 3, settings: {} })
    for (const node of cluster.nodes.values()) node.disk.spaceLeft = 1_000_000
    const leader = leaderOf(cluster)
    cluster.call(leader, set("k", "1"))
    cluster.node(leader).disk.spaceLeft = -1
    cluster.until("another leader", () => cluster.leaderServes() && cluster.leader() !== leader, 20_000)
    assert.strictEqual(cluster.call(leader, set("k", "2")).revision, 2, "it still forwards")
    for (const node of cluster.nodes.values()) node.disk.spaceLeft = -1
    cluster.run(3000)
    const now = cluster.leader()!
    assert.strictEqual(tagOf(cluster.exit(now, set("k", "3"))), "StorageFull")
    assert.isTrue(cluster.call(now, Effect.flatMap(DistKv, (kv) => kv.delete("k"))).deleted)
    for (const node of cluster.nodes.values()) node.disk.spaceLeft = 1_000_000
    cluster.run(2500)
    assert.isTrue(cluster.call(now, set("k", "4")).created)
    const { elections } = cluster.view
    cluster.run(20 * electionTimeoutMs)
    assert.strictEqual(cluster.view.elections, elections, "no elections in a loop")
  })

  // fails-with: last-checkpoint-after-a-failure
  it("D01 a node whose write fails while it closes makes no last checkpoint", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    const [follower] = followersOf(cluster)
    cluster.call(leader, set("k", "1"))
    cluster.run(100)
    const { disk } = cluster.node(follower)
    disk.logDevice.faults.minDelayMs = 100
    disk.logDevice.faults.failNext = 1
    // It commits by the leader and the other one, and is on its way to this one's disk.
    cluster.call(leader, set("k", "2"))
    cluster.isolate(follower)
    // What waits here holds up the close beyond the failure.
    const waiting = cluster.fork(follower, set("k", "3", { timeout: 3000 }))
    const { writes } = disk.stateDevice
    cluster.node(follower).close()
    cluster.until("its end", () => cluster.node(follower).condition === "down")
    assert.strictEqual(tagOf(waiting.pollUnsafe()!), "StorageFailed")
    assert.strictEqual(disk.stateDevice.writes, writes)
    cluster.heal()
    cluster.restart(follower)
    cluster.converge()
    assert.strictEqual(cluster.call(follower, get("k")), "2")
  })

  it("a node that was started on a hanging disk may give up in the moment in which the disk answers", () => {
    const cluster = SimCluster.make({ nodes: 3, settings: { commitTimeout: 1000 } })
    leaderOf(cluster)
    const [follower] = followersOf(cluster)
    cluster.node(follower).disk.logDevice.hang()
    cluster.crash(follower)
    cluster.restart(follower)
    const ends = () => tagOf(cluster.exit(follower, set("k", "1", { timeout: 5 }))) === "StorageFailed"
    cluster.until("its word that it ends", ends)
    assert.notStrictEqual(cluster.node(follower).condition, "stopped", "the write cannot be interrupted")
    cluster.node(follower).disk.logDevice.resume()
    cluster.until("its end", () => cluster.node(follower).condition === "stopped")
    cluster.call(leaderOf(cluster), set("k", "2"))
  })

  // fails-with: leads-with-a-stuck-disk
  it("D04 a leader whose disk hangs stops leading, and those who asked it are answered", () => {
    // It asks another to lead first; where that order is lost it ends all the same.
    for (const order of ["heard", "lost"]) {
      const cluster = SimCluster.make({ nodes: 3, settings: { commitTimeout: 20_000 } })
      const leader = leaderOf(cluster)
      const [follower] = followersOf(cluster)
      cluster.network.filter = ({ message }) => message._tag === "TimeoutNow" && order === "lost" ? "drop" : "deliver"
      cluster.node(leader).disk.logDevice.hang()
      const forwarded = cluster.fork(follower, set("k", "1", { timeout: 5000 }))
      const own = cluster.fork(leader, set("k", "2", { timeout: 5000 }))
      const waited = cluster.now
      const { view } = cluster
      cluster.until("the end of its leadership", () => view.node(cluster.node(leader).id).last?.role !== "Leader")
      assert.isAtMost(cluster.now - waited, 2 * electionTimeoutMs + 60)
      cluster.until("another leader", () => cluster.leaderServes() && cluster.leader() !== leader)
      cluster.call(cluster.leader()!, set("k", "3"))
      cluster.run(5600)
      for (const write of [forwarded, own]) assert.isDefined(write.pollUnsafe())
      cluster.converge()
    }
  })

  it("D04 a leader whose disk hangs stops leading also where nobody hears to whom it hands over", () => {
    const cluster = SimCluster.make({ nodes: 3, settings: { commitTimeout: 20_000 } })
    const leader = leaderOf(cluster)
    cluster.network.filter = ({ message }) => message._tag === "TimeoutNow" ? "drop" : "deliver"
    cluster.node(leader).disk.logDevice.hang()
    const waited = cluster.now
    const write = cluster.fork(leader, set("k", "1", { timeout: 5000 }))
    cluster.until("the end of its leadership", () => cluster.view.node(cluster.node(leader).id).last?.role !== "Leader")
    assert.isAtMost(cluster.now - waited, 2 * electionTimeoutMs + 60)
    cluster.until("another leader", () => cluster.leaderServes() && cluster.leader() !== leader)
    cluster.call(cluster.leader()!, set("k", "2"))
    cluster.run(5600)
    assert.isDefined(write.pollUnsafe())
    cluster.converge()
  })

  // fails-with: reads-without-checksums
  it("D06 a damaged record in the middle of the log is no shorter log: the node does not start", () => {
    const fifth = 5 as LogIndex
    for (const byte of [2, 10, 50, -1]) {
      const cluster = SimCluster.make({ nodes: 3, settings: { checkpointInterval: 60_000 } })
      const leader = leaderOf(cluster)
      const [damaged] = followersOf(cluster)
      for (let i = 0; i < 10; i++) cluster.call(leader, set(`k${i}`, "v"))
      cluster.run(100)
      cluster.crash(damaged)
      const node = cluster.node(damaged)
      // In the checksum, in the term, in the payload; in its last byte, the value, where nothing else would notice.
      const { length } = node.disk.entryAt(fifth)!.record
      node.disk.flipBit(fifth, 8 * (byte < 0 ? length + byte : byte))
      // Its end is right this time.
      node.onEnd = () => {}
      node.start()
      cluster.until("its end", () => node.condition === "stopped")
      assert.include(String(node.failure), "StorageFailed")
      cluster.call(leader, set("k", "the others go on"))
    }
  })

  it("D03 a disk that fills within a second is noticed before it is full", () => {
    const cluster = SimCluster.make({ nodes: 1 })
    const { disk } = cluster.node("n1")
    disk.spaceLeft = 100_000
    cluster.start()
    cluster.run(50)
    // The device itself has no room left once this much is written.
    let written = 0
    let refused = 0
    for (let i = 0; i < 200 && refused === 0; i++) {
      if (tagOf(cluster.exit("n1", set(`k${i}`, "v".repeat(1000)))) === "StorageFull") refused = i
      else written += 1000
      disk.spaceLeft -= 2000
    }
    assert.isAbove(written, 0)
    assert.isAbove(disk.spaceLeft, -20_000, "long before a second has passed")
    assert.isBelow(cluster.now, 900)
    assert.strictEqual(cluster.node("n1").condition, "up")
  })

  it("D12 a slow disk on one follower slows nobody, and one on the leader brings no election", () => {
    const cluster = SimCluster.make({ nodes: 3, settings: { commitTimeout: 20_000 } })
    const leader = leaderOf(cluster)
    const [slow] = followersOf(cluster)
    const { elections } = cluster.view
    cluster.node(slow).disk.logDevice.faults.minDelayMs = 600
    const began = cluster.now
    for (let i = 0; i < 20; i++) cluster.call(leader, set(`k${i}`, "v"))
    assert.isBelow(cluster.now - began, 600, "twenty writes take less than one of the slow disk")
    cluster.node(slow).disk.logDevice.faults.minDelayMs = 0.05
    cluster.node(leader).disk.logDevice.faults.minDelayMs = 150
    for (let i = 0; i < 20; i++) cluster.call(leader, set(`k${i}`, "w"))
    cluster.run(20 * electionTimeoutMs)
    assert.strictEqual(cluster.view.elections, elections)
    cluster.node(leader).disk.logDevice.faults.minDelayMs = 0.05
    cluster.converge()
  })

  // fails-with: reads-without-checksums
  it("D13 the same record damaged on one of three costs that node, and on two of them the service, but no data", () => {
    const cluster = SimCluster.make({ nodes: 3, settings: { checkpointInterval: 60_000 } })
    const leader = leaderOf(cluster)
    const [one, other] = followersOf(cluster)
    for (let i = 0; i < 10; i++) cluster.call(leader, set(`k${i}`, "v"))
    cluster.run(100)
    const damage = (id: string) => {
      cluster.crash(id)
      const node = cluster.node(id)
      node.disk.flipBit(5 as LogIndex, 400)
      node.onEnd = () => {}
      node.start()
      cluster.until("its end", () => node.condition === "stopped")
    }
    damage(one)
    assert.isTrue(cluster.call(leader, set("more", "v")).created, "two of three serve")
    damage(other)
    const refused = cluster.exit(leader, set("k0", "w", { timeout: 3000 }))
    assert.include(["NoLeader", "OutcomeUnknown"], tagOf(refused))
    cluster.run(20 * electionTimeoutMs)
    assert.isNull(cluster.leader(), "what is left of the cluster elects nobody")
    assert.strictEqual(cluster.call(leader, get("more", { consistency: "stale" })), "v")
  })
})
