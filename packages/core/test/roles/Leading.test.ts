import { assert, describe, it } from "@effect/vitest"
import { index, term } from "../rules/Logs.ts"
import { node as id } from "../rules/Voters.ts"
import { accepted, append, Bench, cluster, electionTimeout, peer, put, putRecord, rejected, vote } from "./Bench.ts"

const beat = { _tag: "HeartbeatDue" } as const

/** A write of a caller of `n3`, the same each time. */
const forwarded = () =>
  peer(3, {
    _tag: "ForwardRequest",
    run: 1,
    id: 1,
    leaderTerm: term(2),
    hops: 1,
    remainingMs: 1000,
    record: putRecord("a")
  })

describe("a leader's commit", () => {
  it("counts no entry of an earlier term, though a majority has it (C01)", () => {
    const bench = new Bench({ membership: cluster(5), log: [1, 2], term: 3 }).lead()
    bench.deliver(accepted(2, 4, 2), accepted(3, 4, 2))
    assert.strictEqual(bench.node.commit, index(0))
  })

  it("jumps over the entries of earlier terms to its own (C03)", () => {
    const bench = new Bench({ membership: cluster(5), log: [1, 1, 2], term: 3 }).lead()
    bench.deliver(accepted(2, 4, 4), accepted(3, 4, 4))
    assert.strictEqual(bench.node.commit, index(4))
    assert.strictEqual(bench.node.machine.applied, index(4))
  })

  it("counts no learners (C07), and its own disk like any other voter's", () => {
    const bench = new Bench({ membership: cluster(3, 2) }).lead([2])
    bench.deliver(accepted(4, 2, 1), accepted(5, 2, 1))
    assert.strictEqual(bench.node.commit, index(0))
    const ends = bench.propose("a")
    bench.deliver(accepted(2, 2, 1), accepted(2, 2, 2))
    assert.strictEqual(bench.node.commit, index(1), "the own disk does not hold the second yet")
    bench.deliver(accepted(3, 2, 2))
    assert.deepStrictEqual(ends.map((end) => end._tag), ["Applied"], "two others hold it durably")
  })

  it("of a node that is alone waits for its own disk", () => {
    const bench = new Bench({ membership: cluster(1) }).elapse(3000).deliver({ _tag: "ElectionDue" }).persist()
    const ends = bench.propose("a")
    assert.lengthOf(ends, 0)
    bench.persist()
    assert.lengthOf(ends, 1)
  })
})

describe("what a leader knows of its members' keys", () => {
  const report = (from: number, ...links: ReadonlyArray<readonly [to: number, accepts: boolean, connected: boolean]>) =>
    peer(from, {
      _tag: "LinkReport",
      term: term(2),
      links: links.map(([to, accepts, connected]) => ({ id: id(to), accepts, connected })),
      version: "test",
      full: false
    })
  const missing = (bench: Bench, of: number) => bench.node.leadership!.knows(id(of))!.missing

  it("names a key that a member lacks, whether its owner is up or not, and on one side only", () => {
    const bench = new Bench().lead([2]).deliver(accepted(2, 2, 1, 1), accepted(3, 2, 1, 1))
    bench.deliver(report(2, [1, true, true], [3, false, false]), report(3, [1, true, true], [2, true, false]))
    assert.deepStrictEqual([missing(bench, 2), missing(bench, 3)], [[id(3)], []])
    for (let i = 0; i < 25; i++) bench.elapse(100).deliver(beat, accepted(2, 2, 1, i + 1))
    assert.isFalse(bench.node.leadership!.isLive(id(3)))
    assert.deepStrictEqual(missing(bench, 2), [id(3)])
  })

  it("does not take a member that is down for one whose key is missing", () => {
    const bench = new Bench().lead([2]).deliver(accepted(2, 2, 1, 1), accepted(3, 2, 1, 1))
    bench.deliver(report(2, [1, true, true], [3, true, false]), report(3, [1, true, true], [2, true, false]))
    assert.deepStrictEqual(missing(bench, 2), [id(3)], "both are up, and yet there is no connection")
    for (let i = 0; i < 25; i++) bench.elapse(100).deliver(beat, accepted(2, 2, 1, i + 1))
    assert.deepStrictEqual(missing(bench, 2), [])
  })
})

describe("a leader's replication", () => {
  it("is not moved by late or repeated rejections (R07)", () => {
    const bench = new Bench({ log: [1, 1, 1], term: 1 }).lead([2])
    bench.deliver(accepted(2, 2, 4))
    const progress = () => {
      const { match, next } = bench.node.progress!.get(id(2))!
      return [match, next]
    }
    assert.deepStrictEqual(progress(), [4, 5])
    bench.deliver(rejected(2, 2, 3, [1, 2]), rejected(2, 2, 4, [1, 1]), accepted(2, 2, 2))
    assert.deepStrictEqual(progress(), [4, 5])
  })

  // fails-with: believes-who-forgot
  it("refuses a follower that comes back behind what it acknowledged (D09)", () => {
    const bench = new Bench({ log: [1, 1, 1], term: 1 }).lead([2]).deliver(accepted(2, 2, 4, 1), accepted(3, 2, 4, 1))
    const known = (of: number) => bench.node.leadership!.knows(id(of))!
    bench.deliver(rejected(2, 2, 4, [1, 2], 1))
    assert.isFalse(known(2).forgot, "a rejection may be older than the acknowledgement")
    for (let i = 0; i < 3; i++) bench.elapse(100).deliver(beat)
    bench.deliver(rejected(2, 2, 4, [2, 4], 3))
    assert.isFalse(known(2).forgot, "it still has what it acknowledged")
    bench.deliver(rejected(2, 2, 4, [1, 2], 3), accepted(3, 2, 4, 3))
    assert.deepStrictEqual([known(2).forgot, known(2).match, known(3).forgot], [true, index(0), false])
    assert.isFalse(bench.node.leadership!.isLive(id(2)))
    bench.take("AppendRequest")
    bench.elapse(100).deliver(beat, accepted(2, 2, 4, 4))
    assert.deepStrictEqual(bench.take("AppendRequest").map(({ to }) => to), [id(3)], "it is sent nothing any more")
    const ends = bench.propose("a")
    bench.persist().deliver(accepted(2, 2, 5, 4))
    assert.deepStrictEqual([bench.node.commit, ends.length], [index(4), 0], "it counts in no quorum")
    bench.deliver(accepted(3, 2, 5, 4))
    assert.deepStrictEqual([bench.node.commit, ends.length], [index(5), 1])
  })

  it("finds where a diverged log agrees in one exchange for each term", () => {
    const bench = new Bench({ log: [1, 1, 4, 4, 5, 5], term: 6 }).lead([2])
    bench.take("AppendRequest")
    bench.deliver(rejected(2, 7, 6, [3, 6]))
    const [probe] = bench.take("AppendRequest")
    assert.deepStrictEqual([probe!.message.previous.index, probe!.message.entries.length], [index(2), 5])
  })

  it("tries a link that takes nothing once in a heartbeat, not in every turn", () => {
    const bench = new Bench().lead([2])
    bench.deliver(accepted(2, 2, 1), accepted(3, 2, 1))
    bench.unreachable.add(id(3))
    bench.propose("a")
    bench.refused = 0
    for (const key of ["b", "c", "d"]) bench.propose(key)
    assert.strictEqual(bench.refused, 0)
    bench.unreachable.clear()
    bench.take("AppendRequest")
    bench.elapse(100).deliver(beat)
    const [caughtUp] = bench.take("AppendRequest").filter(({ to }) => to === id(3))
    assert.lengthOf(caughtUp!.message.entries, 4)
  })

  it("tells who forwarded a write of its commit at once, and nobody else", () => {
    const bench = new Bench().lead([2])
    bench.deliver(accepted(2, 2, 1), accepted(3, 2, 1))
    bench.deliver(forwarded())
    bench.persist()
    bench.take("AppendRequest")
    bench.deliver(accepted(2, 2, 2))
    assert.deepStrictEqual(bench.take("AppendRequest").map(({ to, message }) => [to, message.committed]), [[id(3), 2]])
    bench.deliver(accepted(3, 2, 2))
    assert.lengthOf(bench.take("AppendRequest"), 0)
  })

  it("logs nothing whose caller has given up, and says that it did not", () => {
    const bench = new Bench().lead([2])
    const [message, ends] = bench.write("a", 100)
    bench.elapse(150).deliver(message).elapse(50).deliver({ _tag: "SweepDue" })
    assert.deepStrictEqual([bench.node.log.last, ends.map((end) => end._tag === "Failed" && end.error._tag)], [
      index(1),
      ["DeadlineExceeded"]
    ])
  })

  it("executes a repeated forwarded write once", () => {
    const bench = new Bench().lead([2])
    bench.deliver(forwarded(), forwarded()).deliver(forwarded())
    assert.strictEqual(bench.node.log.last, index(2))
  })
})

describe("a leader that leads no more", () => {
  it("steps down when it has not heard from a quorum for an election time-out (E16)", () => {
    const bench = new Bench({ membership: cluster(5) }).lead()
    for (let i = 0; i < 5; i++) bench.elapse(electionTimeout / 4).deliver(beat)
    assert.deepStrictEqual([bench.node.role, bench.node.term, bench.node.leader], ["Follower", 2, null])
  })

  it("gives its followers time to be heard when it was stopped itself for less than that", () => {
    const bench = new Bench().lead([2])
    bench.elapse(100).deliver(beat)
    bench.elapse(0.95 * electionTimeout).deliver(beat)
    assert.strictEqual(bench.node.role, "Leader")
    for (let i = 0; i < 6; i++) bench.elapse(100).deliver(beat)
    assert.strictEqual(bench.node.role, "Follower")
  })

  it("steps down when its disk is stuck (D04)", () => {
    const bench = new Bench().lead([2])
    bench.busySince = bench.now
    for (let i = 1; i <= 16; i++) {
      bench.elapse(100).deliver(beat)
      if (bench.node.role === "Leader") bench.deliver(accepted(2, 2, 1, i), accepted(3, 2, 1, i))
    }
    assert.strictEqual(bench.node.role, "Follower")
  })

  it("settles nothing by stepping down; what its successor keeps succeeds, what it replaces goes again (CS10)", () => {
    const bench = new Bench().lead([2])
    const kept = bench.propose("kept")
    const replaced = bench.propose("replaced")
    const lost = bench.propose("lost")
    bench.persist().deliver(accepted(2, 3, 0))
    assert.strictEqual(bench.node.role, "Follower")
    assert.deepStrictEqual([kept.length, replaced.length, lost.length], [0, 0, 0])
    bench.deliver(append(3, 3, [2, 2], [put(3, 3)], 3)).persist()
    assert.deepStrictEqual(kept.map((end) => end._tag), ["Applied"])
    assert.lengthOf(replaced, 0)
    bench.elapse(6000).deliver({ _tag: "SweepDue" })
    // Its entry is not the committed one, so it is certain that nothing was written; of the other's place nobody knows.
    assert.deepStrictEqual(replaced.map((end) => end._tag === "Failed" && end.error._tag), ["DeadlineExceeded"])
    assert.deepStrictEqual(lost.map((end) => end._tag === "Failed" && end.error._tag), ["OutcomeUnknown"])
    assert.deepStrictEqual([bench.node.writes.count, bench.node.writes.bytes, bench.node.writes.loggedCount], [0, 0, 0])
  })

  it("answers no second leader of its own term", () => {
    const bench = new Bench().lead([2]).deliver(append(3, 2, [0, 0], [put(2, 1)]))
    assert.deepStrictEqual([bench.node.role, bench.take("AppendReply").length], ["Leader", 0])
  })
})

describe("a linearizable read", () => {
  it("waits until its leader has committed in its own term (RD02)", () => {
    const bench = new Bench({ log: [1], term: 1 }).lead([2])
    const ends = bench.read()
    bench.elapse(100).deliver(beat)
    const { round } = bench.take("AppendRequest").at(-1)!.message
    bench.deliver(accepted(2, 2, 1, round), accepted(3, 2, 1, round))
    assert.lengthOf(ends, 0)
    bench.deliver(accepted(2, 2, 2, round))
    assert.lengthOf(ends, 0, "the round began before the read could be registered")
    bench.deliver(accepted(2, 2, 2, bench.take("AppendRequest").at(-1)!.message.round))
    assert.deepStrictEqual(ends, [null])
  })

  it("counts only answers to a round begun after it, from a majority of voters (RD04, RD12)", () => {
    const bench = new Bench({ membership: cluster(5, 2) }).lead()
    bench.deliver(accepted(2, 2, 1, 1), accepted(3, 2, 1, 1))
    bench.elapse(100).deliver(beat)
    const before = bench.take("AppendRequest").at(-1)!.message.round
    const ends = bench.read()
    const after = bench.take("AppendRequest").at(-1)!.message.round
    assert.isAbove(after, before)
    bench.deliver(accepted(2, 2, 1, before), accepted(3, 2, 1, before), accepted(4, 2, 1, before))
    bench.deliver(accepted(2, 2, 1, after), accepted(6, 2, 1, after), accepted(7, 2, 1, after))
    assert.lengthOf(ends, 0)
    bench.deliver(accepted(3, 2, 1, after))
    assert.deepStrictEqual(ends, [null])
  })

  it("is not answered by a leader that nobody confirms (RD01), and waits for the next", () => {
    const bench = new Bench().lead([2])
    bench.deliver(accepted(2, 2, 1, 1))
    const ends = bench.read()
    for (let i = 0; i < 12; i++) bench.elapse(100).deliver(beat)
    assert.deepStrictEqual([bench.node.role, ends.length], ["Follower", 0])
    bench.take("ReadIndexRequest")
    bench.deliver(append(3, 3, [2, 1])).persist()
    const [question] = bench.take("ReadIndexRequest")
    bench.deliver(peer(3, { _tag: "ReadIndexReply", id: question!.message.id, index: index(1) }))
    assert.deepStrictEqual(ends, [null])
  })

  it("asked of one leader is asked again of the next, whose answer alone counts (RD06)", () => {
    const bench = new Bench({ log: [1], term: 1 }).deliver(append(2, 1, [1, 1], [], 1))
    const ends = bench.read()
    const [first] = bench.take("ReadIndexRequest")
    bench.deliver(append(3, 2, [1, 1])).persist()
    const [second] = bench.take("ReadIndexRequest")
    bench.deliver(peer(2, { _tag: "ReadIndexReply", id: first!.message.id, index: index(1) }))
    assert.lengthOf(ends, 0)
    bench.deliver(peer(3, { _tag: "ReadIndexReply", id: second!.message.id, index: index(2) }))
    assert.lengthOf(ends, 0, "the state has not reached the index")
    bench.deliver(append(3, 2, [1, 1], [put(2, 2)], 2))
    assert.deepStrictEqual(ends, [null])
  })
})

describe("a candidate that wins", () => {
  it("hears nothing of the votes of others than voters", () => {
    const bench = new Bench({ membership: cluster(3, 2) }).elapse(3000).deliver({ _tag: "ElectionDue" })
    bench.deliver(vote(4, 2, true, true), vote(5, 2, true, true))
    assert.strictEqual(bench.node.term, 1)
    bench.deliver(vote(2, 2, true, true)).persist().deliver(vote(4, 2), vote(5, 2))
    assert.strictEqual(bench.node.role, "Candidate")
  })
})
