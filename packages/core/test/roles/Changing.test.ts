import { assert, describe, it } from "@effect/vitest"
import type { AdminCommand } from "../../src/domain/PeerMessage.ts"
import { index, term } from "../rules/Logs.ts"
import { node as id } from "../rules/Voters.ts"
import {
  accepted,
  addLearner as add,
  append,
  Bench,
  cluster,
  electionTimeout,
  peer,
  put,
  vote,
  voteRequest
} from "./Bench.ts"

const beat = { _tag: "HeartbeatDue" } as const

const transfer = (to: number | null): AdminCommand => ({ _tag: "Transfer", to: to === null ? null : id(to) })

const failed = (ends: ReadonlyArray<{ readonly _tag: string; readonly error?: { readonly _tag: string } }>) =>
  ends.map((end) => end.error?._tag ?? end._tag)

describe("a change of the membership", () => {
  it("waits until the leader has committed in its own term (M01)", () => {
    const bench = new Bench({ log: [1], term: 1 }).lead([2])
    const ends = bench.administer(add(4))
    bench.deliver(accepted(2, 2, 1))
    assert.strictEqual(bench.node.log.last, index(2))
    bench.deliver(accepted(2, 2, 2))
    assert.deepStrictEqual([bench.node.log.last, bench.node.membership.members.length], [3, 4])
    bench.persist().deliver(accepted(2, 2, 3))
    assert.deepStrictEqual(failed(ends), ["Admitted"])
  })

  it("is made one at a time (M03)", () => {
    const bench = new Bench().lead([2]).deliver(accepted(2, 2, 1))
    const first = bench.administer(add(4))
    const second = bench.administer(add(5))
    assert.strictEqual(bench.node.log.last, index(2))
    bench.persist().deliver(accepted(2, 2, 2)).persist().deliver(accepted(2, 2, 3))
    assert.deepStrictEqual([...failed(first), ...failed(second)], ["Admitted", "Admitted"])
  })

  it("of a leader that is cut off is never committed, and its caller learns that in time (M11)", () => {
    const bench = new Bench({ membership: cluster(5) }).lead().deliver(accepted(2, 2, 1), accepted(3, 2, 1))
    const soon = bench.administer(add(6), 300)
    const queued = bench.administer(add(7), 300)
    bench.elapse(200).deliver(beat).elapse(200).deliver(beat)
    assert.deepStrictEqual([...failed(soon), ...failed(queued)], ["OutcomeUnknown", "DeadlineExceeded"])
    for (let i = 0; i < 12; i++) bench.elapse(100).deliver(beat)
    assert.strictEqual(bench.node.role, "Follower")
    bench.deliver(append(2, 3, [2, 1], [put(3, 2)])).persist()
    assert.lengthOf(bench.node.membership.members, 5)
  })

  it("that was under way when the leader stepped down is unknown; one that waited is asked of the next", () => {
    const bench = new Bench().lead([2]).deliver(accepted(2, 2, 1))
    const first = bench.administer(add(4))
    const second = bench.administer(add(5))
    bench.deliver(accepted(3, 3, 0))
    assert.deepStrictEqual([failed(first), failed(second)], [["OutcomeUnknown"], []])
    bench.take("AdminRequest")
    bench.deliver(append(3, 3, [0, 0])).persist()
    assert.deepStrictEqual(bench.take("AdminRequest").map(({ message }) => message.command), [add(5)])
  })
})

describe("a handover", () => {
  const caughtUp = () => new Bench().lead([2]).deliver(accepted(2, 2, 1, 1), accepted(3, 2, 1, 1))

  it("waits until its target has everything, and holds new writes (T02)", () => {
    const bench = caughtUp()
    bench.propose("a")
    bench.take("AppendRequest")
    const ends = bench.administer(transfer(3))
    const held = bench.propose("b")
    assert.lengthOf(bench.take("TimeoutNow"), 0)
    bench.persist().deliver(accepted(3, 2, 2))
    assert.deepStrictEqual(bench.take("TimeoutNow").map(({ to }) => to), [id(3)])
    bench.deliver(voteRequest(3, 3, [2, 2], { transfer: true })).persist()
    assert.deepStrictEqual([bench.node.role, ends.length, held.length], ["Follower", 0, 0])
    bench.deliver(append(3, 3, [2, 2]))
    assert.deepStrictEqual(failed(ends), ["Transferred"])
    assert.lengthOf(bench.take("ForwardRequest"), 1, "what was held goes to the successor")
  })

  it("to a target that does not move ends within an election time-out; what was held is written (T03)", () => {
    const bench = caughtUp()
    const ends = bench.administer(transfer(3))
    const held = bench.propose("b")
    for (let i = 2; i < 13; i++) bench.elapse(100).deliver(beat).deliver(accepted(2, 2, 1, i))
    assert.deepStrictEqual([bench.node.role, bench.node.log.last], ["Leader", index(2)])
    assert.deepStrictEqual(failed(ends), ["DeadlineExceeded"])
    bench.persist().deliver(accepted(2, 2, 2))
    assert.lengthOf(held, 1)
  })

  it("to odd targets is answered at once (T05)", () => {
    const bench = new Bench({ membership: cluster(3, 1) }).lead([2])
    assert.deepStrictEqual(failed(bench.administer(transfer(1))), ["Transferred"])
    assert.deepStrictEqual(failed(bench.administer(transfer(9))), ["NotFound"])
    assert.deepStrictEqual(failed(bench.administer(transfer(4))), ["MembershipRejected"])
    const first = bench.administer(transfer(2))
    bench.elapse(electionTimeout / 2).administer(transfer(2))
    const other = bench.administer(transfer(3))
    assert.deepStrictEqual([failed(first), failed(other)], [["MembershipRejected"], []])
  })

  it("lets its target campaign although everybody has a fresh leader, once", () => {
    const bench = new Bench({ log: [1], term: 1 }).deliver(append(2, 1, [1, 1])).persist()
    bench.deliver(peer(2, { _tag: "TimeoutNow", term: term(1) })).persist()
    assert.deepStrictEqual(bench.take("VoteRequest").map(({ message }) => [message.transfer, message.preVote]), [
      [true, false],
      [true, false]
    ])
    bench.deliver(vote(2, 2))
    assert.strictEqual(bench.node.role, "Leader")
  })
})
