/**
 * Chapter 6 of the thesis, client interaction, and §3.10, transferring leadership, sentence by sentence. The sentences
 * are paraphrased. Sessions (§6.3) are in `Sessions.test.ts`.
 */
import { assert, describe, it } from "@effect/vitest"
import { ownFeatures } from "../../src/domain/Features.ts"
import type { Address } from "../../src/domain/Identity.ts"
import type { Member } from "../../src/domain/Membership.ts"
import {
  accepted,
  append,
  Bench,
  cluster,
  configure,
  electionTimeout,
  incarnationOf,
  peer,
  put,
  putRecord,
  rejected
} from "../roles/Bench.ts"
import { index, term } from "../rules/Logs.ts"
import { member, node as id } from "../rules/Voters.ts"

const due = { _tag: "ElectionDue" } as const
const beat = { _tag: "HeartbeatDue" } as const

/** A leader of three in term 2 that has committed its first entry, 1. */
const leader = () => new Bench().lead([2]).deliver(accepted(2, 2, 1, 1))

const ends = (list: ReadonlyArray<{ readonly _tag: string; readonly error?: { readonly _tag: string } }>) =>
  list.map((end) => end.error?._tag ?? end._tag)

describe("§3.10, leadership transfer", () => {
  it("the leader takes no new requests, brings the target up to date, then tells it to campaign", () => {
    const bench = leader()
    bench.administer({ _tag: "Transfer", to: id(3) })
    const writes = bench.propose("k")
    assert.strictEqual(bench.node.log.last, index(1), "the request waits")
    assert.lengthOf(bench.take("TimeoutNow"), 0)
    bench.deliver(accepted(3, 2, 1))
    assert.deepStrictEqual(bench.take("TimeoutNow").map(({ to }) => to), [id(3)])
    assert.lengthOf(writes, 0)
  })

  it("the target campaigns at once, without waiting for its time-out", () => {
    const bench = new Bench({ log: [1], term: 1 }).deliver(append(2, 1, [1, 1])).persist()
    bench.deliver(peer(2, { _tag: "TimeoutNow", term: term(1) })).persist()
    assert.deepStrictEqual(bench.take("VoteRequest").map(({ message }) => [message.term, message.transfer]), [
      [term(2), true],
      [term(2), true]
    ])
  })

  it("when the target has not taken over within an election time-out, the leader takes requests again", () => {
    const bench = leader()
    bench.administer({ _tag: "Transfer", to: id(3) })
    const writes = bench.propose("k", 60_000)
    for (let i = 0; i < 12; i++) {
      bench.elapse(100).deliver(beat, accepted(2, 2, 1, 2 + i))
    }
    assert.strictEqual(bench.node.role, "Leader")
    bench.persist().deliver(accepted(2, 2, 2))
    assert.deepStrictEqual(ends(writes), ["Applied"])
  })
})

describe("§6.1, finding the cluster", () => {
  const newcomer = { id: id(4), incarnation: incarnationOf(id(4)), publicKey: member(id(4)).publicKey }
  const join = (number: number, hops: number) => ({
    _tag: "AdminRequest" as const,
    id: number,
    hops,
    remainingMs: 5000,
    command: {
      _tag: "Join" as const,
      ...newcomer,
      address: "host4:1" as Address,
      http: null,
      learner: true
    }
  })

  it("who knows one server of the cluster finds all: whichever is asked answers for the leader", () => {
    const asked = new Bench({ log: [1], term: 1 }).deliver(append(2, 1, [1, 1])).persist()
    asked.deliver(peer(4, join(7, 0), { features: ownFeatures }))
    const [passed] = asked.take("AdminRequest")
    assert.deepStrictEqual([passed?.to, passed?.message.command._tag], [id(2), "Join"])

    const bench = leader()
    bench.deliver(peer(2, join(passed!.message.id, passed!.message.hops), { features: ownFeatures }))
    bench.persist().deliver(accepted(2, 2, 2))
    const [answer] = bench.take("AdminReply")
    assert.strictEqual(answer?.to, id(2))
    asked.deliver(peer(2, answer!.message))
    const [told] = asked.take("AdminReply")
    assert.deepStrictEqual([told?.to, told?.message.id], [id(4), 7])
    const placesOf = (members: ReadonlyArray<Member>) => members.map(({ address, id: of }) => `${of} ${address}`)
    const { result } = told!.message
    assert.deepStrictEqual(
      result._tag === "Admitted" ? placesOf(result.members ?? []) : result._tag,
      placesOf(bench.node.membership.members)
    )
  })

  it("where a server is to be found changes with it, and all others learn it from the log", () => {
    const bench = leader()
    bench.introduced.set(id(3), { address: "elsewhere:9" as Address, http: "http://elsewhere:8" })
    bench.elapse(100).deliver(beat)
    const { members } = bench.node.membership
    const found = members.find((one) => one.id === id(3))
    assert.deepStrictEqual([found?.address, found?.http], ["elsewhere:9", "http://elsewhere:8"])
    const follower = new Bench({ log: [1], term: 1 }).deliver(
      append(2, 2, [1, 1], [configure(2, 2, bench.node.membership)])
    )
    assert.deepStrictEqual(follower.node.membership.members, members)
  })
})

describe("§6.2, routing requests to the leader", () => {
  it("a server that does not lead passes a request on to the leader that it knows", () => {
    const bench = new Bench({ log: [1], term: 1 }).deliver(append(2, 1, [1, 1])).persist()
    bench.take("AppendReply")
    bench.propose("k")
    assert.deepStrictEqual(bench.take("ForwardRequest").map(({ to }) => to), [id(2)])
  })

  it("without a leader a request waits, and fails for certain at its deadline", () => {
    const bench = new Bench({ log: [1], term: 1 })
    const writes = bench.propose("k", 500)
    bench.elapse(600).deliver({ _tag: "SweepDue" })
    assert.deepStrictEqual(ends(writes), ["NoLeader"])
    assert.strictEqual(bench.node.log.last, index(1))
  })

  it("a leader that has had no round of heartbeats with a majority for an election time-out steps down", () => {
    const bench = new Bench({ membership: cluster(5) }).lead().deliver(accepted(2, 2, 1, 1), accepted(3, 2, 1, 1))
    for (let i = 0; i < 9; i++) bench.elapse(100).deliver(beat, accepted(2, 2, 1, 2 + i))
    assert.strictEqual(bench.node.role, "Leader")
    for (let i = 0; i < 3; i++) bench.elapse(100).deliver(beat, accepted(2, 2, 1, 11 + i))
    assert.strictEqual(bench.node.role, "Follower", "two of five are no majority")
  })

  it("a follower whose time-out has passed sends its clients' requests no more to the leader of before", () => {
    const bench = new Bench({ log: [1], term: 1 }).deliver(append(2, 1, [1, 1])).persist()
    bench.elapse(3000).deliver(due)
    bench.take("VoteRequest")
    bench.propose("k")
    assert.lengthOf(bench.take("ForwardRequest"), 0)
  })
})

describe("§6.3, linearizable semantics: a request that is sent again is done once", () => {
  it("a leader executes a forwarded request that comes twice once", () => {
    const bench = leader()
    const request = peer(2, {
      _tag: "ForwardRequest",
      run: 5,
      id: 7,
      leaderTerm: term(2),
      hops: 1,
      remainingMs: 1000,
      record: putRecord("k")
    })
    bench.deliver(request, request)
    bench.deliver(request)
    assert.strictEqual(bench.node.log.last, index(2))
  })
})

describe("§6.4, reads without the log", () => {
  it("1. a leader reads only when it has committed an entry of its own term", () => {
    const bench = new Bench({ log: [1], term: 1 }).lead([2])
    const reads = bench.read()
    bench.deliver(accepted(2, 2, 1, 1), accepted(3, 2, 1, 1))
    for (let i = 0; i < 3; i++) bench.elapse(100).deliver(beat, accepted(2, 2, 1, 2 + i))
    assert.lengthOf(reads, 0)
    bench.deliver(accepted(2, 2, 2, 4))
    bench.deliver(accepted(2, 2, 2, bench.take("AppendRequest").at(-1)!.message.round))
    assert.deepStrictEqual(reads, [null])
  })

  it("2. a read shows at least what was committed when it came", () => {
    const bench = leader()
    bench.propose("k")
    bench.persist().deliver(accepted(2, 2, 2, 1))
    const reads = bench.read()
    const round = bench.take("AppendRequest").at(-1)!.message.round
    bench.deliver(accepted(2, 2, 2, round))
    assert.deepStrictEqual([reads, bench.node.machine.applied], [[null], index(2)])
  })

  it("3. it is answered after a round of heartbeats, begun after it came, with a majority", () => {
    const bench = new Bench({ membership: cluster(5) }).lead().deliver(accepted(2, 2, 1, 1), accepted(3, 2, 1, 1))
    bench.take("AppendRequest")
    const reads = bench.read()
    const round = bench.take("AppendRequest").at(-1)!.message.round
    bench.deliver(accepted(2, 2, 1, round), accepted(3, 2, 1, round - 1), accepted(4, 2, 1, round - 1))
    assert.lengthOf(reads, 0, "an answer to an earlier round confirms nothing")
    bench.deliver(accepted(3, 2, 1, round))
    assert.deepStrictEqual(reads, [null])
  })

  it("4. it waits until the state has reached the commit index of when it came", () => {
    const bench = new Bench({ log: [1], term: 1 }).deliver(append(2, 1, [1, 1])).persist()
    bench.take("AppendReply")
    const reads = bench.read()
    const [question] = bench.take("ReadIndexRequest")
    bench.deliver(peer(2, { _tag: "ReadIndexReply", id: question!.message.id, index: index(3) }))
    assert.lengthOf(reads, 0)
    bench.deliver(append(2, 1, [1, 1], [put(1, 2), put(1, 3)], 2))
    assert.lengthOf(reads, 0)
    bench.deliver(append(2, 1, [1, 3], [], 3))
    assert.deepStrictEqual(reads, [null])
  })

  it("reads that come while a round is under way share the next one", () => {
    const bench = leader()
    bench.take("AppendRequest")
    const first = bench.read()
    const round = bench.take("AppendRequest").at(-1)!.message.round
    const later = [bench.read(), bench.read(), bench.read()]
    assert.lengthOf(bench.take("AppendRequest"), 0)
    bench.deliver(accepted(2, 2, 1, round))
    const next = bench.take("AppendRequest").at(-1)!.message.round
    assert.deepStrictEqual([first, ...later], [[null], [], [], []])
    bench.deliver(accepted(2, 2, 1, next))
    assert.deepStrictEqual(later, [[null], [null], [null]])
  })

  it("a follower asks its leader for the index, and the leader answers when it is confirmed", () => {
    const bench = leader()
    bench.take("AppendRequest")
    bench.deliver(peer(3, { _tag: "ReadIndexRequest", id: 77, term: term(2), remainingMs: 1000 }))
    const { round } = bench.take("AppendRequest").at(-1)!.message
    bench.deliver(accepted(2, 2, 1, round))
    assert.deepStrictEqual(bench.take("ReadIndexReply").map(({ message, to }) => [to, message.id, message.index]), [
      [id(3), 77, index(1)]
    ])
  })

  it("a leader that is deposed meanwhile answers nothing", () => {
    const bench = leader()
    const reads = bench.read()
    bench.deliver(rejected(2, 3, 1, [1, 1]), accepted(3, 2, 1, 99))
    assert.lengthOf(reads, 0)
    assert.strictEqual(bench.node.role, "Follower")
  })
})

describe("§6.4.1, reads by a lease", () => {
  it("without a stated bound on the drift of clocks there is none", () => {
    assert.strictEqual(leader().node.leaseUntil, Number.NEGATIVE_INFINITY)
  })

  it("one lasts from the beginning of a round that a majority answered, less than an election time-out", () => {
    const bench = new Bench({ clockDrift: 0.1 }).lead([2])
    bench.deliver(withholding(2), withholding(3), accepted(2, 2, 1, 1))
    bench.elapse(100).deliver(beat)
    const began = bench.now
    const round = bench.take("AppendRequest").at(-1)!.message.round
    bench.elapse(50).deliver(accepted(2, 2, 1, round))
    assert.isAbove(bench.node.leaseUntil, began)
    assert.isBelow(bench.node.leaseUntil, began + electionTimeout, "shorter by what clocks may drift apart")
  })

  it("a transfer of leadership ends it first", () => {
    const bench = new Bench({ clockDrift: 0.1 }).lead([2])
    bench.deliver(withholding(2), withholding(3), accepted(2, 2, 1, 1))
    bench.elapse(100).deliver(beat, accepted(2, 2, 1, 2))
    bench.administer({ _tag: "Transfer", to: id(2) })
    assert.strictEqual(bench.node.leaseUntil, Number.NEGATIVE_INFINITY)
  })
})

/** A voter's word that it grants no vote for an election time-out after contact. */
const withholding = (from: number) =>
  peer(from, {
    _tag: "LinkReport",
    term: term(2),
    links: [],
    version: "test",
    full: false,
    withholdsMs: electionTimeout
  })
