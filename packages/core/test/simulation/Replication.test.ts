/** Log replication (paper §5.3), with appends delivered late, twice, out of order, and before the disk. */
import { assert, describe, it } from "@effect/vitest"
import type { Packet } from "../../src/testing/NetworkFaults.ts"
import { makePrng } from "../../src/testing/Prng.ts"
import { SimCluster } from "../../src/testing/SimCluster.ts"
import { appendRequest, followersOf, leaderOf, putEntry, record, sentBy, set } from "./calls.ts"

/** A follower that runs alone, with a log of term 1: the founding entry, then five writes. Its leader has term 5. */
const loneFollower = (hardTerm = 4) => {
  const cluster = SimCluster.make({ nodes: 3 })
  const log = [
    cluster.foundingEntry(["n1", "n2", "n3"]),
    ...[2, 3, 4, 5, 6].map((index) => putEntry(1, index, `k${index}`))
  ]
  cluster.prepare("n3", { term: hardTerm }, log)
  cluster.node("n3").start()
  cluster.until("n3 serving", () => cluster.node("n3").condition === "up")
  return { cluster, log, disk: cluster.node("n3").disk }
}

describe("replication", () => {
  // fails-with: truncates-on-every-append
  it("R04 appends that arrive late, twice and in any order leave a longer log as it is", () => {
    for (let seed = 1; seed <= 10; seed++) {
      const cluster = SimCluster.make({ nodes: 3, seed })
      const leader = leaderOf(cluster)
      const [follower] = followersOf(cluster)
      const sent: Array<Packet> = []
      cluster.network.filter = (packet) => {
        if (packet.to === follower && packet.message._tag === "AppendRequest") sent.push(packet)
        return "deliver"
      }
      for (let i = 0; i < 10; i++) cluster.call(leader, set("k", String(i)))
      cluster.run(200)
      const { last } = cluster.node(follower).disk
      for (const packet of makePrng(seed).shuffle([...sent, ...sent])) {
        cluster.network.redeliver(packet)
        cluster.check()
        assert.strictEqual(cluster.view.node(cluster.node(follower).id).log.length, last)
      }
      cluster.run(200)
      assert.strictEqual(cluster.node(follower).disk.last, last)
    }
  })

  // fails-with: acknowledges-its-own-tail
  it("R05 an acknowledgement covers what the append did, not what the follower has beyond it", () => {
    const { cluster } = loneFollower()
    const packets = record(cluster)
    cluster.deliver("n1", "n3", appendRequest(5, { term: 1, index: 3 }, [], 6))
    cluster.run(20)
    const [reply] = sentBy(packets, "n3", "AppendReply")
    assert.isTrue(reply?.matched)
    assert.strictEqual(reply?.index, 3)
    assert.strictEqual(cluster.view.node(cluster.node("n3").id).last?.commit, 3)
  })

  // fails-with: acknowledges-from-memory
  it("R06 no append is acknowledged beyond the disk, whatever else arrives while it is busy", () => {
    const { cluster, disk } = loneFollower()
    cluster.deliver("n1", "n3", appendRequest(5, { term: 1, index: 6 }, []))
    cluster.run(20)
    disk.logDevice.hang()
    const packets = record(cluster)
    const append = appendRequest(5, { term: 1, index: 6 }, [putEntry(5, 7, "new")])
    cluster.deliver("n1", "n3", append)
    cluster.deliver("n1", "n3", { ...append, round: 2 })
    cluster.deliver("n1", "n3", appendRequest(5, { term: 5, index: 7 }, [], 0, 3))
    cluster.run(50)
    const replies = sentBy(packets, "n3", "AppendReply")
    assert.isNotEmpty(replies)
    assert.isTrue(replies.every((reply) => reply.index <= 6), "acknowledged what its disk does not hold")
    disk.logDevice.resume()
    cluster.run(50)
    assert.strictEqual(sentBy(packets, "n3", "AppendReply").at(-1)?.index, 7)
    disk.logDevice.faults.onCrash = "none"
    cluster.crash("n3")
    assert.strictEqual(disk.last, 7)
  })

  // fails-with: believes-late-rejections
  it("R07 a late rejection neither moves a follower's match back nor stops what goes to it", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    const [follower] = followersOf(cluster)
    for (let i = 0; i < 8; i++) cluster.call(leader, set("k", String(i)))
    cluster.run(100)
    const { term } = cluster.view.node(cluster.node(leader).id).last!
    const hint = { term: 1, index: 1 }
    for (const index of [2, 4, 9]) {
      cluster.deliver(follower, leader, {
        ...appendReplyNo(term, index, hint),
        round: 1
      })
    }
    cluster.call(leader, set("k", "after"))
    cluster.run(100)
    assert.strictEqual(cluster.node(follower).disk.last, cluster.node(leader).disk.last)
  })

  // fails-with: counts-answers-of-any-term
  it("R08 an acknowledgement of an earlier term counts for nothing", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    cluster.run(100)
    const { commit, term } = cluster.view.node(cluster.node(leader).id).last!
    cluster.isolate(leader)
    cluster.fork(leader, set("k", "1"))
    cluster.run(20)
    for (const follower of followersOf(cluster)) {
      cluster.deliver(follower, leader, {
        ...appendReplyNo(term - 1, commit + 1, { term: 0, index: 0 }),
        matched: true
      })
    }
    cluster.run(20)
    assert.strictEqual(cluster.view.node(cluster.node(leader).id).last?.commit, commit)
    cluster.converge()
  })

  // fails-with: takes-what-does-not-join
  it("R12 an append that does not join the log is refused, and leaves no hole", () => {
    const { cluster, disk } = loneFollower()
    const packets = record(cluster)
    cluster.deliver("n1", "n3", appendRequest(5, { term: 5, index: 9 }, [putEntry(5, 10, "far")]))
    cluster.run(20)
    cluster.deliver("n1", "n3", appendRequest(5, { term: 2, index: 4 }, [putEntry(5, 5, "other")]))
    cluster.run(20)
    const replies = sentBy(packets, "n3", "AppendReply")
    assert.deepStrictEqual(replies.map((reply) => reply.matched), [false, false])
    assert.strictEqual(disk.last, 6)
  })

  // fails-with: acknowledges-from-memory
  it("R13 what a write made durable is not taken for what has replaced it since", () => {
    const { cluster, disk } = loneFollower()
    cluster.deliver("n1", "n3", appendRequest(5, { term: 1, index: 6 }, []))
    cluster.run(20)
    const wrong: Array<string> = []
    cluster.network.filter = ({ from, message }) => {
      if (from === "n3" && message._tag === "AppendReply" && message.matched && message.index > 6) {
        if (disk.termAt(message.index) !== message.term) wrong.push(`${message.index} of term ${message.term}`)
      }
      return "deliver"
    }
    disk.logDevice.faults.minDelayMs = 10
    // Each replaces the one before while that is still on its way to the disk.
    cluster.deliver("n1", "n3", appendRequest(5, { term: 1, index: 6 }, [putEntry(5, 7, "a"), putEntry(5, 8, "b")]))
    cluster.run(5)
    cluster.deliver("n2", "n3", appendRequest(6, { term: 1, index: 6 }, [putEntry(6, 7, "c")]))
    for (let i = 0; i < 20; i++) {
      cluster.run(2)
      cluster.deliver("n2", "n3", appendRequest(6, { term: 1, index: 6 }, [putEntry(6, 7, "c")], 0, i + 2))
    }
    cluster.run(100)
    assert.deepStrictEqual(wrong, [])
    assert.strictEqual(disk.last, 7)
    assert.strictEqual(disk.termAt(disk.last), 6)
  })

  // fails-with: wiped-nodes-are-known
  // scenario: D14
  it("R16 a wiped follower is refused under its old name, and never votes or acknowledges", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    const [lost] = followersOf(cluster)
    cluster.call(leader, set("k", "1"))
    cluster.crash(lost)
    cluster.node(lost).disk.wipe()
    const packets = record(cluster)
    cluster.restart(lost, false)
    cluster.run(3000)
    assert.isEmpty(sentBy(packets, lost, "AppendReply"))
    assert.isEmpty(sentBy(packets, lost, "VoteReply").filter((reply) => reply.granted))
    assert.strictEqual(cluster.node(lost).disk.last, 0)
    assert.strictEqual(cluster.call(leader, set("k", "2")).revision, 2, "the others go on")
  })
})

const appendReplyNo = (term: number, index: number, hint: { term: number; index: number }) =>
  ({ _tag: "AppendReply", term, matched: false, index, hint, round: 0 }) as Extract<
    Packet["message"],
    { _tag: "AppendReply" }
  >
