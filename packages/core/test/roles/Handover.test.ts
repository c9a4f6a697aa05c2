/** Leadership transfer (thesis §3.10), as the leader and its target take part in it. */
import { assert, describe, it } from "@effect/vitest"
import type { AdminCommand } from "../../src/domain/PeerMessage.ts"
import { index, term } from "../rules/Logs.ts"
import { node as id } from "../rules/Voters.ts"
import { accepted, append, Bench, cluster, electionTimeout, peer, vote, voteRequest } from "./Bench.ts"

const beat = { _tag: "HeartbeatDue" } as const

const transfer = (to: number | null): AdminCommand => ({ _tag: "Transfer", to: to === null ? null : id(to) })

const failed = (ends: ReadonlyArray<{ readonly _tag: string; readonly error?: { readonly _tag: string } }>) =>
  ends.map((end) => end.error?._tag ?? end._tag)

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
    assert.deepStrictEqual(failed(ends), ["OutcomeUnknown"], "the order went out: it may still take effect")
    bench.persist().deliver(accepted(2, 2, 2))
    assert.lengthOf(held, 1)
  })

  it("to odd targets is answered at once (T05)", () => {
    const bench = new Bench({ membership: cluster(3, 1) }).lead([2])
    assert.deepStrictEqual(failed(bench.administer(transfer(1))), ["Transferred"])
    assert.deepStrictEqual(failed(bench.administer(transfer(9))), ["NotFound"])
    assert.deepStrictEqual(failed(bench.administer(transfer(4))), ["MembershipRejected"])
    const first = bench.administer(transfer(2))
    bench.elapse(electionTimeout / 2)
    bench.deliver(accepted(2, 2, 0, 1), accepted(3, 2, 0, 1))
    const again = bench.administer(transfer(2))
    const other = bench.administer(transfer(3))
    assert.deepStrictEqual([failed(first), failed(again), failed(other)], [
      ["MembershipRejected"],
      ["MembershipRejected"],
      []
    ])
  })

  it("holds proposals for one election time-out, however many orders come (T05)", () => {
    const bench = caughtUp()
    bench.unreachable.add(id(2)).add(id(3))
    const ends = [bench.administer(transfer(2))]
    const held = bench.propose("b")
    for (let i = 1; i <= 9; i++) {
      bench.elapse(100).deliver(accepted(2, 2, 1, i), accepted(3, 2, 1, i), beat)
      ends.push(bench.administer(transfer(i % 2 === 0 ? 2 : 3)))
    }
    assert.deepStrictEqual([bench.node.log.last, held.length], [index(1), 0])
    bench.elapse(100).deliver(beat)
    assert.strictEqual(bench.node.log.last, index(2), "what was held is proposed")
    assert.deepStrictEqual(ends.map((end) => failed(end)).flat().length, ends.length, "everybody is answered")
    assert.deepStrictEqual(failed(ends.at(-1)!), ["DeadlineExceeded"], "nobody was told: nothing can come of it")
  })

  it("is awaited once its target was told, whoever else is named (T05)", () => {
    const bench = caughtUp()
    const first = bench.administer(transfer(3))
    assert.lengthOf(bench.take("TimeoutNow"), 1)
    const others = [bench.administer(transfer(2)), bench.administer(transfer(1))]
    assert.deepStrictEqual(others.map(failed), [["MembershipRejected"], ["MembershipRejected"]])
    const any = bench.administer(transfer(null))
    assert.deepStrictEqual([failed(first), failed(any)], [[], []])
    bench.deliver(voteRequest(3, 3, [2, 1], { transfer: true })).persist().deliver(append(3, 3, [2, 1]))
    assert.deepStrictEqual([failed(first), failed(any)], [["Transferred"], ["Transferred"]])
  })

  it("is called off by an order for the leader itself, before its target was told (T05)", () => {
    const bench = caughtUp()
    bench.unreachable.add(id(2))
    const first = bench.administer(transfer(2))
    bench.propose("b")
    assert.deepStrictEqual(failed(bench.administer(transfer(1))), ["Transferred"])
    assert.deepStrictEqual([failed(first), bench.node.log.last], [["MembershipRejected"], index(2)])
  })

  it("answers who asked at the deadline, and goes on only for others", () => {
    const bench = caughtUp()
    bench.unreachable.add(id(2))
    const ends = bench.administer(transfer(2), 100)
    const held = bench.propose("b")
    assert.isFalse(bench.node.isIdle)
    bench.elapse(100).deliver({ _tag: "SweepDue" })
    assert.deepStrictEqual(failed(ends), ["OutcomeUnknown"])
    assert.strictEqual(bench.node.log.last, index(2), "nobody waits for the transfer, and nobody was told of it")
    bench.persist().deliver(accepted(3, 2, 2))
    assert.lengthOf(held, 1)
  })

  it("is refused at once where the target was not in contact within an election time-out", () => {
    const bench = caughtUp()
    for (let i = 2; i < 13; i++) bench.elapse(100).deliver(beat).deliver(accepted(2, 2, 1, i))
    assert.deepStrictEqual(failed(bench.administer(transfer(3))), ["MembershipRejected"])
  })

  it("of a leader whose disk is stuck needs nothing of that disk", () => {
    const bench = caughtUp()
    bench.deliver(
      ...[2, 3].map((from) => peer(from, { _tag: "LinkReport", term: term(2), links: [], version: "", full: false }))
    )
    bench.propose("a")
    bench.busySince = bench.now
    bench.elapse(100).deliver(beat).deliver(accepted(2, 2, 2, 2), accepted(3, 2, 2, 2))
    assert.isEmpty(bench.take("TimeoutNow"))
    bench.elapse(500).deliver(beat)
    assert.lengthOf(bench.take("TimeoutNow"), 1)
  })

  /** A leader whose followers answer at once, and that is held up for so long between heartbeats, time after time. */
  const heldUp = (pauses: ReadonlyArray<number>, { full = false, before = 100 } = {}) => {
    const bench = caughtUp()
    bench.deliver(
      ...[2, 3].map((from) => peer(from, { _tag: "LinkReport", term: term(2), links: [], version: "", full }))
    )
    let round = 1
    const beats = (ms: number) => {
      bench.elapse(ms).deliver(beat)
      round++
      bench.deliver(accepted(2, 2, 1, round), accepted(3, 2, 1, round))
    }
    for (let i = 0; i < before; i++) beats(100)
    for (const pause of pauses) {
      beats(pause)
      beats(100)
    }
    return bench
  }

  it("of a leader that is held up again and again, though always back in time", () => {
    const bench = heldUp([700, 650, 650])
    assert.isNotEmpty(bench.take("TimeoutNow"))
    assert.strictEqual(bench.node.counters.pauses, 3)
  })

  it("is not wished for by a leader that is held up now and then, or not for long", () => {
    for (const pauses of [[700, 700], [600, 600, 600, 600, 600, 600]]) {
      assert.isEmpty(heldUp(pauses).take("TimeoutNow"), pauses.join(" "))
    }
    assert.isEmpty(heldUp([700, 650, 650], { before: 0 }).take("TimeoutNow"), "it has led for a moment only")
    // Two pauses, and the third one when the first is forgotten.
    const rare = heldUp([700, 700, ...Array.from({ length: 46 }, () => 100), 700])
    assert.strictEqual(rare.node.counters.pauses, 3)
    assert.isEmpty(rare.take("TimeoutNow"))
  })

  it("of a leader that is held up again and again finds nobody where all others have full disks", () => {
    assert.isEmpty(heldUp([700, 650, 650, 650], { full: true }).take("TimeoutNow"))
  })

  it("of a leader that is held up is not tried again at once", () => {
    const bench = heldUp([700, 650, 650])
    bench.take("TimeoutNow")
    for (let i = 110; i < 130; i++) bench.elapse(100).deliver(beat).deliver(accepted(2, 2, 1, i), accepted(3, 2, 1, i))
    // The order is repeated while the attempt lasts, and there is no second attempt.
    assert.isAtMost(bench.take("TimeoutNow").length, 10)
    bench.take("TimeoutNow")
    for (let i = 130; i < 165; i++) bench.elapse(100).deliver(beat).deliver(accepted(2, 2, 1, i), accepted(3, 2, 1, i))
    assert.isEmpty(bench.take("TimeoutNow"))
  })

  it("asks another voter when the first did not take over", () => {
    const bench = caughtUp()
    bench.administer(transfer(2))
    for (let i = 2; i < 13; i++) bench.elapse(100).deliver(beat).deliver(accepted(2, 2, 1, i), accepted(3, 2, 1, i))
    bench.take("TimeoutNow")
    bench.administer(transfer(null))
    assert.deepStrictEqual(bench.take("TimeoutNow").map(({ to }) => to), [id(3)])
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
