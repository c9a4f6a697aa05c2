/**
 * Chapter 4 of the thesis, membership changes, sentence by sentence (single-server changes; with the author's
 * correction of 2015). The sentences are paraphrased.
 */
import { assert, describe, it } from "@effect/vitest"
import type { AdminCommand, AdminResult } from "../../src/domain/PeerMessage.ts"
import {
  accepted,
  addLearner,
  append,
  Bench,
  cluster,
  configure,
  peer,
  put,
  rejected,
  vote,
  voteRequest
} from "../roles/Bench.ts"
import { index, term } from "../rules/Logs.ts"
import { node as id } from "../rules/Voters.ts"

const due = { _tag: "ElectionDue" } as const
const beat = { _tag: "HeartbeatDue" } as const

const remove = (n: number): AdminCommand => ({ _tag: "RemoveMember", id: id(n), force: true })

const tags = (ends: ReadonlyArray<AdminResult>) => ends.map((end) => end._tag === "Failed" ? end.error._tag : end._tag)

const memberIds = (bench: Bench) => bench.node.membership.members.map((one) => String(one.id))

/** A leader of three that has committed in its term; its first entry is 1. */
const leader = () => new Bench().lead([2]).deliver(accepted(2, 2, 1))

describe("§4.1, changing one server at a time", () => {
  it("the new configuration is in force as soon as its entry is in the log, committed or not", () => {
    const bench = leader()
    bench.administer(addLearner(4))
    assert.deepStrictEqual(memberIds(bench), ["n1", "n2", "n3", "n4"])
    assert.isBelow(Number(bench.node.commit), Number(bench.node.log.last))
    bench.elapse(100).deliver(beat)
    assert.include(bench.take("AppendRequest").map(({ to }) => String(to)), "n4", "it is replicated to")
  })

  it("a follower too takes the newest configuration in its log", () => {
    const bench = new Bench({ log: [1], term: 1 }).deliver(append(2, 1, [1, 1], [configure(1, 2, cluster(5))]))
    assert.lengthOf(bench.node.membership.members, 5)
    // A majority of the five is needed for its own candidacy.
    bench.persist().elapse(3000).deliver(due).deliver(vote(2, 2, true, true))
    assert.strictEqual(bench.node.term, term(1))
    bench.deliver(vote(5, 2, true, true))
    assert.strictEqual(bench.node.term, term(2))
  })

  it("the entry commits by a majority of the new configuration", () => {
    const bench = new Bench({ membership: cluster(3) }).lead([2])
    bench.deliver(accepted(2, 2, 1), accepted(3, 2, 1))
    const ends = bench.administer(remove(3))
    bench.persist()
    assert.deepStrictEqual(tags(ends), [], "one of two has it")
    bench.deliver(accepted(3, 2, 2))
    assert.deepStrictEqual(tags(ends), [], "the removed one does not count")
    bench.deliver(accepted(2, 2, 2))
    assert.deepStrictEqual(tags(ends), ["Removed"])
  })

  it("no further change begins before the one before it is committed", () => {
    const bench = leader()
    const first = bench.administer(addLearner(4))
    const second = bench.administer(addLearner(5))
    assert.notInclude(memberIds(bench), "n5")
    bench.persist().deliver(accepted(2, 2, 2))
    assert.include(memberIds(bench), "n5")
    bench.persist().deliver(accepted(2, 2, 3))
    assert.deepStrictEqual([...tags(first), ...tags(second)], ["Admitted", "Admitted"])
  })

  it("none begins before the leader has committed an entry of its own term (correction of 2015)", () => {
    const bench = new Bench({ log: [1], term: 1 }).lead([2])
    bench.administer(addLearner(4))
    bench.deliver(accepted(2, 2, 1))
    assert.lengthOf(memberIds(bench), 3, "an entry of an earlier term is not enough")
    bench.deliver(accepted(2, 2, 2))
    assert.lengthOf(memberIds(bench), 4)
  })

  it("when the entry is removed from the log a server falls back to the configuration before it", () => {
    const bench = new Bench({ log: [1], term: 1 }).deliver(append(2, 1, [1, 1], [configure(1, 2, cluster(5))]))
      .persist()
    assert.lengthOf(memberIds(bench), 5)
    bench.deliver(append(3, 2, [1, 1], [put(2, 2)]))
    assert.lengthOf(memberIds(bench), 3)
  })

  it("a server takes appends of a leader that is not in its configuration", () => {
    const bench = new Bench({ log: [1], term: 1 }).deliver(append(4, 2, [1, 1], [put(2, 2)])).persist()
    assert.deepStrictEqual([bench.node.leader, bench.node.log.last], [id(4), index(2)])
  })

  it("a server gives its vote to a candidate that is not in its configuration", () => {
    const bench = new Bench({ log: [1], term: 1 }).deliver(voteRequest(4, 2, [1, 1])).persist()
    assert.deepStrictEqual(bench.take("VoteReply").map(({ message, to }) => [to, message.granted]), [[id(4), true]])
  })
})

describe("figure 4.1, AddServer and RemoveServer", () => {
  it("1. a server that does not lead does nothing of it itself: the leader that it knows is asked", () => {
    const bench = new Bench({ log: [1], term: 1 }).deliver(append(2, 1, [1, 1])).persist()
    bench.take("AppendReply")
    const ends = [bench.administer(addLearner(4)), bench.administer(remove(3))]
    const asked = bench.take("AdminRequest")
    assert.deepStrictEqual(asked.map(({ message, to }) => [to, message.command._tag]), [
      [id(2), "AddMember"],
      [id(2), "RemoveMember"]
    ])
    assert.deepStrictEqual([ends.flat(), memberIds(bench)], [[], ["n1", "n2", "n3"]])
  })

  it("5. of RemoveServer: a leader that is removed steps down, and answers before", () => {
    const bench = new Bench({ membership: cluster(2) }).lead([2]).deliver(accepted(2, 2, 1))
    const ends = bench.administer(remove(1))
    for (let i = 0; i < 15 && memberIds(bench).includes("n1"); i++) {
      bench.elapse(100).deliver(beat, accepted(2, 2, 1, 2 + i))
    }
    bench.persist().deliver(accepted(2, 2, 2))
    assert.deepStrictEqual([tags(ends), bench.node.role], [["Removed"], "Follower"])
  })
})

describe("§4.2.1, catching up new servers", () => {
  it("the log of a new server is empty: where it begins is known after its first answer", () => {
    const bench = new Bench({ log: [1, 1, 1], term: 1 }).lead([2]).deliver(accepted(2, 2, 4))
    bench.administer(addLearner(4))
    bench.elapse(100).deliver(beat)
    const probe = bench.take("AppendRequest").find(({ to }) => to === id(4))!.message
    bench.deliver(rejected(4, 2, Number(probe.previous.index), [0, 0], probe.round))
    const sent = bench.take("AppendRequest").filter(({ to }) => to === id(4))
    assert.deepStrictEqual(sent.map(({ message }) => [message.previous.index, message.entries.length]), [[index(0), 5]])
  })

  it("a new server gets the log without a vote, and is counted in no majority", () => {
    const bench = leader()
    bench.administer(addLearner(4))
    const ends = bench.propose("k")
    bench.deliver(accepted(4, 2, 3))
    bench.persist()
    assert.lengthOf(ends, 0)
    bench.deliver(accepted(3, 2, 3))
    assert.deepStrictEqual(ends.map((end) => end._tag), ["Applied"])
  })

  it("a new server becomes a voter when a round of catching up took less than an election time-out", () => {
    const bench = new Bench({ membership: cluster(3, 1, "joining") }).lead([2])
    for (const from of [2, 3, 4]) bench.deliver(accepted(from, 2, 1, bench.node.term), links(from))
    const standing = () => bench.node.membership.members.find((one) => one.id === id(4))?.standing
    // The first round begins with the first heartbeat and ends with the second.
    for (let round = 2; round < 8 && standing() !== "voter"; round++) {
      bench.elapse(100).deliver(beat)
      for (const from of [2, 3, 4]) bench.deliver(accepted(from, 2, Number(bench.node.log.last), round))
    }
    assert.strictEqual(standing(), "voter")
  })

  it("one that does not catch up stays without a vote, and nothing waits for it", () => {
    const bench = new Bench({ membership: cluster(3, 1, "joining") }).lead([2])
    for (let round = 1; round < 30; round++) {
      const last = Number(bench.node.log.last)
      for (const from of [2, 3]) bench.deliver(accepted(from, 2, last, round), links(from))
      bench.elapse(100).deliver(beat)
    }
    assert.strictEqual(bench.node.membership.members.find((one) => one.id === id(4))?.standing, "joining")
    const ends = bench.propose("k")
    bench.deliver(accepted(2, 2, 2), accepted(3, 2, 2))
    assert.deepStrictEqual(ends.map((end) => end._tag), ["Applied"])
  })
})

describe("§4.2.2, removing the current leader", () => {
  /** A leader that is about to leave, and to whose place nobody wants to come. */
  const leaving = () => {
    const bench = leader()
    const ends = bench.administer(remove(1))
    for (let i = 0; i < 15 && memberIds(bench).includes("n1"); i++) {
      bench.elapse(100).deliver(beat)
      for (const from of [2, 3]) bench.deliver(accepted(from, 2, 1, 2 + i))
    }
    assert.deepStrictEqual(memberIds(bench), ["n2", "n3"])
    return { bench: bench.persist(), ends }
  }

  it("the leader leads until the new configuration is committed, then steps down", () => {
    const { bench, ends } = leaving()
    assert.strictEqual(bench.node.role, "Leader")
    bench.deliver(accepted(2, 2, 2), accepted(3, 2, 2))
    assert.strictEqual(bench.node.role, "Follower")
    assert.deepStrictEqual(tags(ends), ["Removed"])
  })

  it("meanwhile it replicates to the others and does not count itself", () => {
    const { bench, ends } = leaving()
    bench.deliver(accepted(2, 2, 2))
    assert.deepStrictEqual([bench.node.role, tags(ends)], ["Leader", []], "one of two, and its own copy counts nothing")
  })

  it("a server that is not in its newest configuration still stands for election while that is not committed", () => {
    const without = { ...cluster(3), members: cluster(3).members.filter((one) => one.id !== id(1)) }
    const bench = new Bench({ log: [1], term: 1 }).deliver(append(2, 1, [1, 1], [configure(1, 2, without)])).persist()
    bench.elapse(3000).deliver(due)
    assert.strictEqual(bench.node.role, "Candidate")
    bench.deliver(vote(2, 2, true, true))
    assert.strictEqual(bench.node.term, term(1), "its own vote does not count")
    bench.deliver(vote(3, 2, true, true)).persist().deliver(vote(2, 2), vote(3, 2))
    assert.strictEqual(bench.node.role, "Leader")
  })
})

describe("§4.2.3, disruptive servers", () => {
  it("within the least election time-out of hearing a leader a server neither votes nor takes a newer term", () => {
    const bench = new Bench({ log: [1], term: 1 }).deliver(append(2, 1, [1, 1]))
    bench.elapse(999).deliver(voteRequest(3, 9, [9, 9]))
    assert.deepStrictEqual([bench.node.term, bench.take("VoteReply").length], [term(1), 0])
    bench.elapse(1).deliver(voteRequest(3, 9, [9, 9])).persist()
    assert.deepStrictEqual([bench.node.term, bench.take("VoteReply").length], [term(9), 1])
  })

  it("a leader is not deposed by such a request either", () => {
    const bench = leader().deliver(voteRequest(3, 9, [9, 9]))
    assert.deepStrictEqual([bench.node.role, bench.node.term], ["Leader", term(2)])
  })

  it("a request that comes of a leadership transfer is heard", () => {
    const bench = new Bench({ log: [1], term: 1 }).deliver(append(2, 1, [1, 1]))
    bench.deliver(voteRequest(3, 2, [1, 1], { transfer: true })).persist()
    assert.deepStrictEqual(bench.take("VoteReply").map(({ message }) => message.granted), [true])
  })
})

/** A member's word that it reaches everybody. */
const links = (from: number) =>
  peer(from, {
    _tag: "LinkReport",
    term: term(2),
    links: [1, 2, 3, 4].map((n) => ({ id: id(n), accepts: true, connected: true })),
    version: "test",
    full: false
  })
