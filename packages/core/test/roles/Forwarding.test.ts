import { assert, describe, it } from "@effect/vitest"
import { decodeCommand, encodeCommand } from "../../src/domain/CommandCodec.ts"
import type { Key } from "../../src/domain/Entry.ts"
import type { LogEntry } from "../../src/domain/LogEntry.ts"
import type { Outcome } from "../../src/domain/Outcome.ts"
import type { ForwardResult } from "../../src/domain/PeerMessage.ts"
import type { Revision } from "../../src/domain/Position.ts"
import { sequenceOf, sessionOf, stamp, unacknowledgedOf } from "../../src/domain/RecordCodec.ts"
import type { WriteSettlement } from "../../src/state/PendingWrites.ts"
import { index, term } from "../rules/Logs.ts"
import { node as id } from "../rules/Voters.ts"
import { accepted, append, Bench, cluster, configure, electionTimeout, peer, put, putRecord } from "./Bench.ts"

const nothing = { _tag: "SweepDue" } as const

const numbers = (record: Uint8Array) => [sessionOf(record), sequenceOf(record), unacknowledgedOf(record)]

const tags = (ends: ReadonlyArray<WriteSettlement>) =>
  ends.map((end) => end._tag === "Failed" ? end.error._tag : end._tag)

const reply = (from: number, request: number, result: ForwardResult) =>
  peer(from, { _tag: "ForwardReply", id: request, result })

const applied = (from: number, request: number, indexOf: number, outcome: Outcome) =>
  reply(from, request, { _tag: "Applied", index: index(indexOf), outcome })

const done: Outcome = { _tag: "Done", revision: 1 as Revision }

/** A follower of `n2` whose own session was opened by the second entry. */
const withSession = () => {
  const bench = new Bench().deliver(append(2, 1, [0, 0], [configure(1, 1, cluster(3))], 1)).persist()
  bench.propose("first")
  const asked = bench.take("ForwardRequest")
  assert.lengthOf(asked, 1, "the write waits for the session")
  const { id: request, record } = asked[0]!.message
  assert.deepInclude(decodeCommand(record), { owner: { member: id(1), run: bench.node.run } })
  const entry: LogEntry = stamp(record.slice(), term(1), index(2))
  bench.deliver(append(2, 1, [1, 1], [entry], 2)).persist()
  bench.deliver(applied(2, request, 2, { _tag: "SessionOpened", revision: 0 as Revision, session: 5 } as Outcome))
  bench.deliver(nothing)
  const [first] = bench.take("ForwardRequest")
  assert.deepStrictEqual(numbers(first!.message.record), [5, 1, 1])
  bench.deliver(applied(2, first!.message.id, 2, done))
  return bench
}

describe("a forwarded write", () => {
  it("is numbered, and says which numbers have their answer", () => {
    const bench = withSession()
    bench.propose("a")
    bench.propose("b")
    const [a, b] = bench.take("ForwardRequest").map(({ message }) => message)
    assert.deepStrictEqual([a, b].map((one) => numbers(one!.record)), [[5, 2, 2], [5, 3, 2]])
    bench.deliver(applied(2, b!.id, 0, done))
    bench.propose("c")
    const [c] = bench.take("ForwardRequest").map(({ message }) => message)
    assert.deepStrictEqual(numbers(c!.record), [5, 4, 2])
    bench.deliver(applied(2, a!.id, 0, done))
    bench.propose("d")
    assert.deepStrictEqual(numbers(bench.take("ForwardRequest")[0]!.message.record), [5, 5, 4])
  })

  it("whose answer is lost goes to the next leader under its number, and is answered once (CS02)", () => {
    const bench = withSession()
    const ends = bench.propose("a")
    const [lost] = bench.take("ForwardRequest")
    bench.deliver(append(3, 2, [1, 2]))
    const [again] = bench.take("ForwardRequest")
    assert.deepStrictEqual([again!.to, again!.message.leaderTerm as number], [id(3), 2])
    assert.deepStrictEqual(again!.message.record, lost!.message.record)
    bench.deliver(applied(2, lost!.message.id, 0, done))
    assert.lengthOf(ends, 0)
    bench.deliver(applied(3, again!.message.id, 0, done), applied(3, again!.message.id, 0, done))
    assert.deepStrictEqual(tags(ends), ["Applied"])
    assert.strictEqual(bench.node.counters.retried, 1)
  })

  it("goes again to the same leader when the answer stays away, less and less often (CS01)", () => {
    const bench = withSession()
    bench.propose("a", 60_000)
    bench.take("ForwardRequest")
    const times: Array<number> = []
    for (let i = 1; i <= 30; i++) {
      bench.elapse(electionTimeout / 2).deliver(append(2, 1, [1, 2], [], 2, 1 + i), nothing)
      for (const _ of bench.take("ForwardRequest")) times.push(i / 2)
    }
    assert.deepStrictEqual(times, [1, 3, 7, 15])
  })

  it("that may have been taken is not refused for certain any more, and names its number at its deadline", () => {
    const bench = withSession()
    const ends = bench.propose("a", 5000)
    bench.take("ForwardRequest")
    bench.deliver(append(3, 2, [1, 2]))
    const [again] = bench.take("ForwardRequest")
    const overloaded = { _tag: "Refused", error: { _tag: "Overloaded", message: "", retryAfterMs: 1 } } as ForwardResult
    bench.deliver(reply(3, again!.message.id, overloaded))
    assert.lengthOf(ends, 0)
    bench.deliver(append(2, 3, [1, 2]))
    bench.unreachable.add(id(2))
    bench.elapse(6000).deliver(nothing)
    assert.deepInclude(ends.map((end) => end._tag === "Failed" ? end.error : end)[0], {
      _tag: "OutcomeUnknown",
      session: "5",
      sequence: "2"
    })
    bench.unreachable.clear()
    bench.propose("b")
    const [, b] = bench.take("ForwardRequest").concat(bench.deliver(append(2, 3, [1, 2])).take("ForwardRequest"))
    assert.deepStrictEqual(numbers((b ?? assert.fail("not sent")).message.record), [5, 3, 2], "the unknown one is kept")
  })

  it("begins anew when its session has ended and no other copy of it is about", () => {
    const bench = withSession()
    const ends = bench.propose("a")
    const doubted = bench.propose("b")
    const [a, b] = bench.take("ForwardRequest").map(({ message }) => message)
    bench.deliver(applied(2, a!.id, 0, { _tag: "SessionExpired", revision: 1 as Revision }))
    assert.lengthOf(ends, 0)
    bench.deliver(append(2, 1, [1, 2], [], 2, 9))
    const again = bench.take("ForwardRequest").map(({ message }) => message)
    assert.deepStrictEqual(again.map(({ record }) => sequenceOf(record)), [4])
    bench.deliver(append(3, 2, [1, 2]))
    const last = bench.take("ForwardRequest").map(({ message }) => message)
    const copy = last.find(({ record }) => sequenceOf(record) === sequenceOf(b!.record))!
    bench.deliver(applied(3, copy.id, 0, { _tag: "SessionExpired", revision: 1 as Revision }))
    assert.deepStrictEqual(tags(doubted), ["OutcomeUnknown"])
  })

  it("waits for its session no longer than an election time-out", () => {
    const bench = new Bench().deliver(append(2, 1, [0, 0]))
    bench.propose("a")
    assert.lengthOf(bench.take("ForwardRequest"), 1)
    bench.elapse(electionTimeout).deliver(append(2, 1, [0, 0]), nothing)
    const records = bench.take("ForwardRequest").map(({ message }) => decodeCommand(message.record)._tag)
    assert.deepStrictEqual(records.toSorted(), ["OpenSession", "Put"])
  })
})

describe("a write that its leader has logged", () => {
  it("is logged again where another term took its place, by this node or by the one that forwarded it", () => {
    const bench = new Bench().lead([2])
    const own = bench.propose("own")
    bench.deliver(peer(2, {
      _tag: "ForwardRequest",
      run: 1,
      id: 1,
      leaderTerm: bench.node.term,
      hops: 1,
      remainingMs: 5000,
      record: putRecord("forwarded")
    }))
    bench.persist().deliver(append(3, 3, [2, 1], [put(3, 2), put(3, 3)], 3)).persist()
    assert.deepStrictEqual(bench.take("ForwardReply").map(({ message }) => message.result._tag), ["NotLeader"])
    assert.lengthOf(own, 0)
    bench.lead([2, 3])
    const { log } = bench.node
    const again = decodeCommand(log.entryAt(index(log.last - 1))!.record)
    assert.strictEqual(again._tag === "Put" ? again.key : again._tag, "own")
    bench.deliver(accepted(2, bench.node.term, log.last))
    assert.deepStrictEqual(tags(own), ["Applied"])
  })

  it("is answered though this node has led again and logged another one at its index", () => {
    const bench = new Bench().lead([2])
    const ends = ["a", "b", "c"].map((key) => bench.propose(key))
    const kept = [2, 3, 4].map((at) => bench.node.log.entryAt(index(at))!)
    // Deposed and cut back, it leads once more and logs another write where the third one was, which others still have.
    bench.persist().deliver(append(3, 3, [2, 1], [put(3, 2)])).persist()
    bench.lead([2, 3])
    const other = bench.propose("d")
    assert.strictEqual(bench.node.log.last, index(4))
    bench.persist().deliver(append(2, 9, [2, 1], kept, 4)).persist()
    assert.deepStrictEqual(ends.map(tags), [["Applied"], ["Applied"], ["Applied"]])
    assert.lengthOf(other, 0)
    bench.elapse(6000).deliver(nothing)
    assert.deepStrictEqual(tags(other), ["DeadlineExceeded"])
    assert.deepStrictEqual([bench.node.writes.count, bench.node.writes.loggedCount], [0, 0])
  })

  it("is not refused for certain by a node that may have logged it before its own start", () => {
    const bench = new Bench({ log: [1, 2], term: 2 })
    const asked = (number: number, leaderTerm: number) =>
      peer(2, {
        _tag: "ForwardRequest",
        run: 1,
        id: number,
        leaderTerm: term(leaderTerm),
        hops: 1,
        remainingMs: 5000,
        record: putRecord("k")
      })
    bench.deliver(append(3, 3, [2, 2])).persist()
    bench.deliver(asked(1, 1), asked(2, 2), asked(3, 3), asked(2, 2))
    assert.deepStrictEqual(bench.take("ForwardReply").map(({ message: { id: of, result } }) => [of, result._tag]), [
      [1, "Unknown"],
      [2, "Unknown"],
      [3, "NotLeader"]
    ])
  })

  it("is refused to whoever uses another member's session", () => {
    const bench = new Bench({ membership: cluster(3) }).lead([2])
    const session = bench.node.machine.sessions.open(index(1), { member: id(3), run: 7 })
    const request = (from: number, number: number, record: Uint8Array, hops = 1) =>
      peer(from, {
        _tag: "ForwardRequest",
        run: 1,
        id: number,
        leaderTerm: bench.node.term,
        hops,
        remainingMs: 5000,
        record
      })
    const foreign = encodeCommand(
      { _tag: "Put", key: "k" as Key, value: new Uint8Array(1), ifRevision: null, previous: false, leaseId: null },
      session,
      1,
      1
    )
    const opening = encodeCommand({ _tag: "OpenSession", owner: { member: id(3), run: 8 } })
    bench.deliver(request(2, 1, foreign.slice()), request(2, 2, opening.slice()))
    assert.deepStrictEqual(
      bench.take("ForwardReply").map(({ message: { result } }) => result._tag === "Refused" && result.error._tag),
      ["InvalidRequest", "InvalidRequest"]
    )
    const { last } = bench.node.log
    bench.deliver(request(3, 1, foreign.slice()), request(3, 2, opening.slice()), request(2, 3, foreign.slice(), 2))
    assert.strictEqual(bench.node.log.last, last + 3)
  })
})
