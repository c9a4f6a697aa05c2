/** Elections, pre-votes and votes (paper §5.2, §5.4.1; thesis §4.2.3, §9.6), message by message. */
import { assert, describe, it } from "@effect/vitest"
import type { PeerMessage } from "../../src/domain/PeerMessage.ts"
import type { LogIndex, Term } from "../../src/domain/Position.ts"
import { logStart } from "../../src/domain/Position.ts"
import { SimCluster } from "../../src/testing/SimCluster.ts"
import { appendRequest, followersOf, get, leaderOf, putEntry, record, sentBy, set, voteRequest } from "./calls.ts"

const electionTimeoutMs = 300

/** Three voters of which only n3 runs, in term 1. */
const loneVoter = () => {
  const cluster = SimCluster.make({ nodes: 3, seed: 3 })
  cluster.node("n3").start()
  cluster.until("n3 serving", () => cluster.node("n3").condition === "up")
  return cluster
}

describe("election", () => {
  // fails-with: heartbeats-change-nothing
  it("E01 a fresh cluster elects one leader, and keeps it for a hundred election time-outs", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    cluster.run(100 * electionTimeoutMs)
    assert.strictEqual(cluster.leader(), leader)
    assert.strictEqual(cluster.view.elections, 1)
    assert.isAtMost(cluster.view.node(cluster.node(leader).id).last!.term, 3)
  })

  // fails-with: counts-its-own-memory
  it("E02 a single node leads only when its vote is durable, and answers a write only when its log is", () => {
    const cluster = SimCluster.make({ nodes: 1 })
    const { disk } = cluster.node("n1")
    disk.logDevice.hang()
    cluster.node("n1").start()
    cluster.run(10 * electionTimeoutMs)
    assert.isNull(cluster.leader())
    disk.logDevice.resume()
    cluster.until("a leader", () => cluster.leaderServes())
    disk.logDevice.hang()
    const write = cluster.fork("n1", set("k", "1"))
    cluster.run(electionTimeoutMs)
    assert.isUndefined(write.pollUnsafe(), "acknowledged before it was durable")
    disk.logDevice.resume()
    cluster.until("the answer", () => write.pollUnsafe() !== undefined)
    cluster.crash("n1")
    cluster.restart("n1")
    assert.strictEqual(cluster.call("n1", get("k")), "1")
  })

  // fails-with: votes-twice
  it("E03 a voter asked twice in one term grants once, over a crash before or after its reply", () => {
    for (const afterMs of [0, 0.3, 1, 5, 20]) {
      for (const onCrash of ["none", "all"] as const) {
        const cluster = loneVoter()
        const { disk } = cluster.node("n3")
        disk.logDevice.faults.onCrash = onCrash
        const packets = record(cluster)
        cluster.deliver("n1", "n3", voteRequest(9, { term: 1, index: 1 }))
        cluster.run(afterMs)
        cluster.crash("n3")
        cluster.restart("n3")
        cluster.deliver("n2", "n3", voteRequest(9, { term: 1, index: 1 }))
        cluster.run(20)
        const granted = packets.filter(({ message }) => message._tag === "VoteReply" && message.granted)
        assert.isAtMost(new Set(granted.map(({ to }) => to)).size, 1)
        assert.isNotNull(disk.votedFor)
      }
    }
  })

  // fails-with: compares-terms-and-lengths-apart
  it("E04 a vote goes only to a candidate whose log is at least as up to date, the last term first", () => {
    for (const term of [2, 3, 4]) {
      for (const index of [4, 5, 6]) {
        const cluster = SimCluster.make({ nodes: 3 })
        const log = [
          cluster.foundingEntry(["n1", "n2", "n3"]),
          putEntry(2, 2, "a"),
          putEntry(2, 3, "b"),
          putEntry(3, 4, "c"),
          putEntry(3, 5, "d")
        ]
        cluster.prepare("n3", { term: 4 }, log)
        cluster.node("n3").start()
        cluster.until("n3 serving", () => cluster.node("n3").condition === "up")
        const packets = record(cluster)
        cluster.deliver("n1", "n3", voteRequest(20, { term, index }))
        cluster.run(20)
        const [reply] = sentBy(packets, "n3", "VoteReply")
        assert.strictEqual(reply?.granted, term > 3 || (term === 3 && index >= 5), `last entry ${term}.${index}`)
      }
    }
  })

  // fails-with: vote-is-not-written
  it("E05 term and vote reach the disk together: a crash leaves the old pair or the new one", () => {
    const seen = new Set<string>()
    for (const onCrash of ["none", "all"] as const) {
      const cluster = loneVoter()
      const { disk } = cluster.node("n3")
      disk.logDevice.faults.onCrash = onCrash
      disk.logDevice.hang()
      cluster.deliver("n1", "n3", voteRequest(9, { term: 1, index: 1 }))
      cluster.run(5)
      cluster.crash("n3")
      seen.add(`${disk.term} ${disk.votedFor}`)
    }
    assert.deepStrictEqual([...seen].sort(), ["1 null", "9 n1"])
  })

  // fails-with: speaks-when-deposed
  it("E08 a leader that hears of a higher term says nothing more, and nothing in that term", () => {
    const messages = (term: Term): ReadonlyArray<PeerMessage> => [
      { _tag: "AppendReply", term, matched: false, index: 0 as LogIndex, hint: logStart, round: 0 },
      { _tag: "VoteReply", term, preVote: false, granted: false },
      { _tag: "LinkReport", term, links: [], version: "0", full: false },
      { ...voteRequest(term, { term: 1, index: 1000 }), transfer: true },
      appendRequest(term, { term: 1, index: 1 }, [])
    ]
    for (let i = 0; i < messages(1 as Term).length; i++) {
      const cluster = SimCluster.make({ nodes: 3, seed: i + 1 })
      const leader = leaderOf(cluster)
      const [other] = followersOf(cluster)
      cluster.run(50)
      const { term } = cluster.view.node(cluster.node(leader).id).last!
      const message = messages((term + 1) as Term)[i]!
      const packets = record(cluster)
      cluster.together(() => {
        for (let n = 0; n < 5; n++) cluster.fork(leader, set(`k${n}`, "v"))
        cluster.deliver(other, leader, message)
      })
      const said = sentBy(packets, leader, "AppendRequest").filter((append) => append.term > term)
      assert.deepStrictEqual(said, [], `after ${message._tag}`)
      assert.notStrictEqual(cluster.view.node(cluster.node(leader).id).last?.role, "Leader", `after ${message._tag}`)
      cluster.converge()
    }
  })

  // fails-with: no-pre-vote
  it("E11 a node that was cut off for long comes back without an election", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    const [lost] = followersOf(cluster)
    const { term } = cluster.view.node(cluster.node(leader).id).last!
    cluster.isolate(lost)
    for (let i = 0; i < 20; i++) cluster.call(leader, set("k", String(i)))
    cluster.run(50 * electionTimeoutMs)
    cluster.converge()
    cluster.run(20 * electionTimeoutMs)
    assert.strictEqual(cluster.view.elections, 1)
    assert.strictEqual(cluster.view.node(cluster.node(lost).id).last?.term, term)
    assert.strictEqual(cluster.call(lost, get("k", { consistency: "stale" })), "19")
  })

  it("E12 a voter whose term is behind helps to elect the next leader", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    leaderOf(cluster)
    const [, behind] = followersOf(cluster)
    cluster.isolate(behind)
    // The other two move the terms on between themselves.
    for (let i = 0; i < 4; i++) {
      const leader = cluster.leader()!
      cluster.call(leader, set("k", String(i)))
      cluster.pause(leader)
      cluster.run(4 * electionTimeoutMs)
      cluster.resume(leader)
      cluster.until("a leader", () => cluster.leaderServes())
      const other = cluster.ids.find((id) => id !== behind && id !== cluster.leader())!
      cluster.deliver(other, cluster.leader()!, {
        _tag: "VoteReply",
        term: (cluster.view.node(cluster.leader()!).last!.term + 1) as Term,
        preVote: false,
        granted: false
      })
      cluster.until("a leader", () => cluster.leaderServes())
    }
    const leader = cluster.leader()!
    assert.isBelow(cluster.node(behind).disk.term, cluster.node(leader).disk.term - 2)
    cluster.crash(leader)
    cluster.heal()
    cluster.until("a leader with the help of the one behind", () => cluster.leaderServes(), 10 * electionTimeoutMs)
  })

  // fails-with: pre-vote-forgets-the-vote
  it("E14 a pre-vote that is lost leaves the vote of the term as it was", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    cluster.run(50)
    const voter = followersOf(cluster).find((id) => cluster.node(id).disk.votedFor === leader)!
    const other = followersOf(cluster).find((id) => id !== voter)!
    const { term } = cluster.node(voter).disk
    const packets = record(cluster, ({ from, to }) => new Set([from, to, leader, voter]).size === 2)
    cluster.run(3 * electionTimeoutMs)
    assert.isNotEmpty(sentBy(packets, voter, "VoteRequest"), "it asks for pre-votes")
    assert.isTrue(sentBy(packets, voter, "VoteRequest").every((request) => request.preVote))
    // Its log would do: only the vote that was given already stands against it.
    cluster.deliver(other, voter, voteRequest(term, { term, index: 1000 }))
    cluster.run(20)
    assert.isFalse(sentBy(packets, voter, "VoteReply").some((reply) => reply.granted && !reply.preVote))
    assert.strictEqual(cluster.node(voter).disk.votedFor, leader)
  })

  // fails-with: leads-without-a-quorum
  it("E16 a leader that loses its quorum steps down within two election time-outs", () => {
    const cluster = SimCluster.make({ nodes: 5 })
    const leader = leaderOf(cluster)
    const others = cluster.ids.filter((id) => id !== leader)
    cluster.partition([leader, others[0]!], others.slice(1))
    cluster.run(2 * electionTimeoutMs + 100)
    assert.notStrictEqual(cluster.view.node(cluster.node(leader).id).last?.role, "Leader")
    cluster.until("another leader", () => cluster.leaderServes() && cluster.leader() !== leader)
    cluster.converge()
  })

  // fails-with: no-stickiness
  it("E17 who hears a leader gives no vote to another, unless the leader sent it", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    leaderOf(cluster)
    const [voter, candidate] = followersOf(cluster)
    const { term } = cluster.node(voter).disk
    const request = voteRequest(term + 5, { term: term + 4, index: 1000 })
    const packets = record(cluster)
    cluster.deliver(candidate, voter, request)
    cluster.run(20)
    assert.strictEqual(cluster.node(voter).disk.term, term)
    assert.deepStrictEqual(sentBy(packets, voter, "VoteReply").filter((reply) => reply.granted), [])
    cluster.deliver(candidate, voter, { ...request, transfer: true })
    cluster.run(20)
    assert.strictEqual(cluster.node(voter).disk.votedFor, candidate)
  })

  it("appends of earlier rounds that arrive again and again keep no dead leader in place", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const leader = leaderOf(cluster)
    const packets = record(cluster)
    cluster.run(10 * electionTimeoutMs)
    cluster.crash(leader)
    const old = packets.filter(({ from, message }) => from === leader && message._tag === "AppendRequest").slice(0, -10)
    assert.isAbove(old.length, 50)
    for (let i = 0; i < 200 && cluster.leader() === null; i++) {
      cluster.network.redeliver(old[i % old.length]!)
      cluster.run(electionTimeoutMs / 20)
    }
    assert.isNotNull(cluster.leader())
  })
})
