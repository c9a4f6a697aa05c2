import { assert, describe, it } from "@effect/vitest"
import { index, term } from "../rules/Logs.ts"
import { node as id } from "../rules/Voters.ts"
import { accepted, addLearner, append, Bench, cluster, electionTimeout, peer, put, vote, voteRequest } from "./Bench.ts"

const due = { _tag: "ElectionDue" } as const

describe("voting", () => {
  it("ignores a request of a higher term while a leader is fresh, but not a transfer", () => {
    const bench = new Bench({ log: [1], term: 1 }).deliver(append(2, 1, [1, 1]))
    bench.take("AppendReply")
    bench.deliver(voteRequest(3, 6, [1, 1]))
    assert.deepStrictEqual([bench.node.term, bench.take("VoteReply").length], [1, 0])
    bench.deliver(voteRequest(3, 6, [1, 1], { transfer: true })).persist()
    assert.deepStrictEqual(bench.take("VoteReply").map(({ message }) => [message.term, message.granted]), [[6, true]])
  })

  it("refuses pre-votes while a leader is fresh, and grants them without a trace after", () => {
    const bench = new Bench({ log: [1], term: 1 }).deliver(append(2, 1, [1, 1]))
    bench.deliver(voteRequest(3, 2, [1, 1], { preVote: true }))
    assert.deepStrictEqual(bench.take("VoteReply").map(({ message }) => message.granted), [false])
    bench.elapse(1000).deliver(voteRequest(3, 2, [1, 1], { preVote: true }))
    assert.deepStrictEqual(bench.take("VoteReply").map(({ message }) => [message.term, message.granted]), [[2, true]])
    assert.deepStrictEqual([bench.node.term, bench.node.votedFor], [1, null])
  })

  it("hears what its leader said while it was stopped before it grants a pre-vote", () => {
    const bench = new Bench({ log: [1], term: 1 }).deliver(append(2, 1, [1, 1]))
    const waiting = [voteRequest(3, 2, [1, 1], { preVote: true }), append(2, 1, [1, 1], [], 0, 2)]
    bench.elapse(5 * electionTimeout).deliver(...waiting)
    assert.deepStrictEqual(bench.take("VoteReply").map(({ message }) => message.granted), [false])
  })

  it("says a vote only once it is durable, and gives one in a term", () => {
    const bench = new Bench().deliver(voteRequest(2, 2, [0, 0]))
    assert.lengthOf(bench.take("VoteReply"), 0)
    bench.persist().deliver(voteRequest(3, 2, [0, 0]))
    assert.deepStrictEqual(bench.take("VoteReply").map(({ to, message }) => [to, message.granted]), [
      [id(2), true],
      [id(3), false]
    ])
  })

  it("keeps its vote through a lost pre-vote", () => {
    const bench = new Bench().deliver(voteRequest(2, 2, [0, 0])).persist().elapse(3000).deliver(due)
    assert.strictEqual(bench.node.role, "Candidate")
    bench.deliver(vote(2, 2, false, true), vote(3, 2, false, true))
    assert.strictEqual(bench.node.role, "Follower")
    bench.take("VoteReply")
    bench.deliver(voteRequest(3, 2, [0, 0]))
    assert.deepStrictEqual(bench.take("VoteReply").map(({ message }) => message.granted), [false])
  })

  it("counts no pre-vote as a vote", () => {
    const bench = new Bench().elapse(3000).deliver(due).deliver(vote(2, 2, true, true))
    assert.strictEqual(bench.node.term, 2)
    bench.persist().deliver(vote(2, 2, true, true), vote(3, 3, true, true))
    assert.strictEqual(bench.node.role, "Candidate")
    bench.deliver(vote(3, 2))
    assert.strictEqual(bench.node.role, "Leader")
  })

  it("follows a leader of its own term and keeps its vote", () => {
    const bench = new Bench().elapse(3000).deliver(due).deliver(vote(2, 2, true, true)).persist()
    bench.deliver(append(3, 2, [0, 0]))
    assert.deepStrictEqual([bench.node.role, bench.node.leader, bench.node.votedFor], ["Follower", id(3), id(1)])
  })

  it("asks for no votes any more once it follows the winner of its term, though only then its vote is durable", () => {
    const bench = new Bench({ log: [1, 2, 2, 2], term: 2 })
    bench.elapse(2 * electionTimeout).deliver(due).deliver(vote(2, 3, true, true))
    assert.strictEqual(bench.node.term, term(3))
    bench.deliver(append(2, 3, [1, 1], [put(3, 2)])).persist(true)
    assert.deepStrictEqual([bench.node.role, bench.node.log.last], ["Follower", index(2)])
    assert.deepStrictEqual(bench.take("VoteRequest").filter(({ message }) => !message.preVote), [])
  })

  it("never campaigns as a learner, nor on an order", () => {
    const membership = { ...cluster(3) }
    const learner = {
      ...membership,
      members: membership.members.map((one) => one.id === id(1) ? { ...one, standing: "learner" as const } : one)
    }
    const bench = new Bench({ membership: learner }).deliver(append(2, 1, [0, 0]))
    bench.deliver(peer(2, { _tag: "TimeoutNow", term: term(1) })).elapse(5000).deliver(due)
    assert.deepStrictEqual([bench.node.role, bench.node.term, bench.take("VoteRequest").length], ["Follower", 1, 0])
    // But it votes: its own log may not tell yet that it has been promoted.
    bench.deliver(voteRequest(3, 2, [0, 0])).persist()
    assert.deepStrictEqual(bench.take("VoteReply").map(({ message }) => message.granted), [true])
  })

  it("lets no term rise while its disk is stuck", () => {
    const bench = new Bench().elapse(3000).deliver(due).deliver(vote(2, 2, true, true))
    bench.busySince = bench.now
    for (let i = 0; i < 5; i++) bench.elapse(3000).deliver(due, vote(2, bench.node.term + 1, true, true))
    assert.deepStrictEqual([bench.node.term, bench.node.role], [2, "Follower"])
  })
})

describe("a higher term", () => {
  const tidings = {
    append: append(2, 9, [0, 0]),
    reply: accepted(2, 9, 0),
    vote: vote(2, 9, false),
    preVote: vote(2, 9, false, true),
    transfer: voteRequest(2, 9, [9, 9], { transfer: true }),
    order: peer(2, { _tag: "TimeoutNow", term: term(9) }),
    report: peer(2, { _tag: "LinkReport", term: term(9), links: [], version: "", full: false })
  }
  for (const [name, message] of Object.entries(tidings)) {
    it(`ends a leadership at once, told by ${name}; nothing is said or added in it`, () => {
      const bench = new Bench().lead()
      const led = bench.node.term
      bench.deliver(accepted(2, led, 1), accepted(3, led, 1))
      bench.take("AppendRequest")
      const [write] = bench.write("a")
      const [change, ends] = bench.order(addLearner(4))
      // In one turn: something to replicate, a change of the membership, and the news.
      bench.deliver(write, change, message)
      assert.deepStrictEqual([bench.node.role, bench.node.term], ["Follower", 9])
      for (const { message: said } of bench.take("AppendRequest")) assert.isAtMost(said.term, led)
      assert.deepStrictEqual(bench.node.log.lastId, { term: term(led), index: index(2) })
      assert.lengthOf(ends, 0)
    })
  }
})
