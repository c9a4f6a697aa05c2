/** What a leader's lease (thesis §6.4.1) rests on. */
import { assert, describe, it } from "@effect/vitest"
import { holdsLease } from "../../src/roles/Leasing.ts"
import type { NodeMessage } from "../../src/state/NodeMessage.ts"
import { term } from "../rules/Logs.ts"
import { accepted, append, Bench, electionTimeout, peer, rejected, voteRequest } from "./Bench.ts"

const report = (from: number, withholdsMs?: number): NodeMessage =>
  peer(from, {
    _tag: "LinkReport",
    term: term(2),
    links: [],
    version: "",
    full: false,
    ...(withholdsMs === undefined ? {} : { withholdsMs })
  })

/** A leader of three in term 2, with its first entry committed. */
const leading = (options: { readonly clockDrift?: number } = { clockDrift: 0.25 }): Bench => {
  const bench = new Bench({ log: [1], ...options }).lead()
  return bench.deliver(accepted(2, 2, 2, 1))
}

const round = (bench: Bench): number => bench.take("AppendRequest").at(-1)!.message.round

describe("a leader's lease", () => {
  it("rests on no voter that has not said that it withholds its vote", () => {
    const bench = leading()
    assert.isFalse(holdsLease(bench.node, bench.now))
    bench.deliver(report(2))
    assert.isFalse(holdsLease(bench.node, bench.now), "that one makes no promise")
    bench.deliver(report(2, 0), report(3, electionTimeout))
    assert.isFalse(holdsLease(bench.node, bench.now), "and of that one nothing was heard")
    bench.deliver(report(2, electionTimeout))
    assert.isTrue(holdsLease(bench.node, bench.now))
  })

  it("lasts from the beginning of a round that was answered, for the time-out less the drift", () => {
    const bench = leading().deliver(report(2, electionTimeout))
    const begun = bench.now
    assert.isTrue(holdsLease(bench.node, begun + electionTimeout / 1.25 - 1))
    assert.isFalse(holdsLease(bench.node, begun + electionTimeout / 1.25))
    bench.elapse(100).deliver({ _tag: "HeartbeatDue" })
    const sent = round(bench)
    bench.elapse(400).deliver(accepted(2, 2, 2, sent))
    assert.isTrue(holdsLease(bench.node, begun + 100 + electionTimeout / 1.25 - 1))
    assert.isFalse(holdsLease(bench.node, begun + 100 + electionTimeout / 1.25), "not from when the answer came")
  })

  it("needs a stated bound, and an entry of its own term", () => {
    const without = new Bench({ log: [1] }).lead().deliver(accepted(2, 2, 2, 1), report(2, electionTimeout))
    assert.isFalse(holdsLease(without.node, without.now))
    const unsettled = new Bench({ log: [1], clockDrift: 0.25 }).lead()
    unsettled.deliver(rejected(2, 2, 1, [1, 1], 1), report(2, electionTimeout))
    assert.isFalse(holdsLease(unsettled.node, unsettled.now))
    unsettled.deliver(accepted(2, 2, 2, 1))
    assert.isTrue(holdsLease(unsettled.node, unsettled.now))
  })

  it("is over when the leader's time-out is, and when it is deposed", () => {
    const bench = leading().deliver(report(2, electionTimeout))
    assert.isTrue(holdsLease(bench.node, bench.now))
    bench.deliver(peer(3, { _tag: "VoteReply", term: term(9), preVote: false, granted: false }))
    assert.strictEqual(bench.node.role, "Follower")
    assert.isFalse(holdsLease(bench.node, bench.now))
  })

  it("is safe from a voter that hears of a higher term meanwhile: only time frees its vote", () => {
    const bench = new Bench({ log: [1], clockDrift: 0.25 }).elapse(2 * electionTimeout)
    bench.deliver(append(2, 1, [1, 1]))
    // Somebody who is cut off from the leader has a higher term already.
    bench.deliver(peer(3, { _tag: "VoteReply", term: term(5), preVote: false, granted: false })).persist()
    bench.elapse(electionTimeout - 1).deliver(voteRequest(3, 5, [1, 1])).persist()
    assert.isEmpty(bench.take("VoteReply").filter(({ message }) => message.granted))
    bench.elapse(1).deliver(voteRequest(3, 5, [1, 1])).persist()
    assert.isNotEmpty(bench.take("VoteReply").filter(({ message }) => message.granted))
  })

  it("is safe from a voter that forgot in a crash whom it heard of", () => {
    const bench = new Bench({ log: [1], clockDrift: 0.25 })
    bench.elapse(electionTimeout - 1).deliver(voteRequest(3, 2, [1, 1]), voteRequest(3, 2, [1, 1], { preVote: true }))
    bench.persist()
    assert.isEmpty(bench.take("VoteReply").filter(({ message }) => message.granted))
    // Whom the leader in place tells to campaign gets its vote: there is no lease any more.
    bench.deliver(voteRequest(2, 2, [1, 1], { transfer: true })).persist()
    assert.isNotEmpty(bench.take("VoteReply").filter(({ message }) => message.granted))
  })
})
