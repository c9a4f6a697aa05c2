/**
 * Figure 2 of the Raft paper, sentence by sentence: what servers keep, how they answer, and the rules of each role.
 * The sentences are paraphrased. Where this program departs from one (pre-votes before a campaign, one disk write for a
 * turn) the test says how.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  accepted,
  append,
  Bench,
  type BenchOptions,
  cluster,
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

/** What the node at hand answers to its leader: whether it matched, and up to where. */
const replies = (bench: Bench) =>
  bench.take("AppendReply").map(({ message }) => [message.matched, Number(message.index)] as const)

const grants = (bench: Bench) => bench.take("VoteReply").map(({ message }) => message.granted)

/** The terms of its log. */
const terms = (bench: Bench): ReadonlyArray<number> =>
  Array.from({ length: bench.node.log.last }, (_, i) => Number(bench.node.log.termAt(index(i + 1))))

const follower = (options: BenchOptions) => new Bench(options)

describe("Figure 2, state", () => {
  it("term and vote are on stable storage before a server answers by them", () => {
    const bench = follower({ log: [1], term: 1 }).deliver(voteRequest(2, 5, [1, 1]))
    assert.deepStrictEqual([bench.node.term, bench.node.votedFor], [term(5), id(2)])
    assert.deepStrictEqual(grants(bench), [], "not said yet")
    assert.deepStrictEqual(grants(bench.persist()), [true])
  })

  it("log entries are on stable storage before a server answers by them", () => {
    const bench = follower({ log: [1], term: 1 }).deliver(append(2, 1, [1, 1], [put(1, 2), put(1, 3)]))
    assert.deepStrictEqual(replies(bench), [[true, 1]])
    assert.deepStrictEqual(replies(bench.persist()), [[true, 3]])
  })

  it("the term only rises", () => {
    const bench = follower({ log: [1], term: 7 })
    for (const message of [append(2, 6, [1, 1]), voteRequest(2, 3, [9, 9]), vote(3, 5), accepted(2, 6, 1)]) {
      bench.deliver(message).persist()
      assert.strictEqual(bench.node.term, term(7))
    }
  })

  it("commit index and last applied begin at what is known and only rise", () => {
    const bench = follower({ log: [1, 1, 1], term: 1 })
    assert.deepStrictEqual([bench.node.commit, bench.node.machine.applied], [index(0), index(0)])
    for (const [committed, expected] of [[2, 2], [1, 2], [3, 3], [0, 3]] as const) {
      bench.deliver(append(2, 1, [1, 3], [], committed))
      assert.deepStrictEqual([bench.node.commit, bench.node.machine.applied], [index(expected), index(expected)])
    }
  })

  it("a new leader believes of each follower that it needs the entry after the leader's last, and has nothing", () => {
    const bench = follower({ log: [1, 1, 1], term: 1 }).lead()
    for (const progress of bench.node.progress!.values()) {
      assert.deepStrictEqual([progress.match, progress.next], [index(0), index(4)])
    }
  })
})

describe("Figure 2, AppendEntries, what the receiver does", () => {
  it("1. refuses when the term is older than its own", () => {
    const bench = follower({ log: [1], term: 4 }).deliver(append(2, 3, [1, 1], [put(3, 2)]))
    assert.deepStrictEqual(bench.take("AppendReply").map(({ message }) => [message.matched, message.term]), [
      [false, term(4)]
    ])
    assert.deepStrictEqual(terms(bench), [1])
  })

  it("2. refuses when its log has no entry at the previous index, or one of another term", () => {
    const bench = follower({ log: [1, 1, 2], term: 3 })
    assert.deepStrictEqual(replies(bench.deliver(append(2, 3, [3, 5], [put(3, 6)])).persist()), [[false, 5]])
    assert.deepStrictEqual(replies(bench.deliver(append(2, 3, [3, 3], [put(3, 4)])).persist()), [[false, 3]])
    assert.deepStrictEqual(terms(bench), [1, 1, 2])
  })

  it("3. removes an entry that differs in its term from the new one, with all that follow", () => {
    const bench = follower({ log: [1, 1, 2, 2, 2], term: 3 }).deliver(append(2, 3, [1, 2], [put(3, 3)]))
    assert.deepStrictEqual(terms(bench), [1, 1, 3])
  })

  it("4. appends what it does not have, and keeps what it has", () => {
    const bench = follower({ log: [1, 1, 1, 1], term: 1 })
    bench.deliver(append(2, 1, [1, 1], [put(1, 2), put(1, 3)]))
    assert.deepStrictEqual(terms(bench), [1, 1, 1, 1], "an older append cuts nothing off")
    bench.deliver(append(2, 1, [1, 3], [put(1, 4), put(1, 5)]))
    assert.deepStrictEqual(terms(bench), [1, 1, 1, 1, 1])
  })

  it("5. commits up to the leader's commit index, at most to the last new entry", () => {
    const bench = follower({ log: [1, 1, 1, 1], term: 1 }).deliver(append(2, 1, [1, 2], [put(1, 3)], 9))
    assert.strictEqual(bench.node.commit, index(3))
  })
})

describe("Figure 2, RequestVote, what the receiver does", () => {
  it("1. refuses when the term is older than its own", () => {
    const bench = follower({ log: [1], term: 4 }).deliver(voteRequest(2, 3, [9, 9]))
    assert.deepStrictEqual(bench.take("VoteReply").map(({ message }) => [message.granted, message.term]), [
      [false, term(4)]
    ])
  })

  it("2. grants when it has not voted, or for this candidate, and the candidate's log is up to date", () => {
    for (const [last, isGranted] of [[[1, 9], false], [[2, 2], false], [[2, 3], true], [[3, 1], true]] as const) {
      const bench = follower({ log: [1, 1, 2], term: 3 }).deliver(voteRequest(2, 4, last)).persist()
      assert.deepStrictEqual(grants(bench), [isGranted], `candidate's last entry ${last.join(".")}`)
    }
    const bench = follower({ log: [1], term: 4, votedFor: id(2) })
    assert.deepStrictEqual(grants(bench.deliver(voteRequest(3, 4, [9, 9]))), [false])
    assert.deepStrictEqual(grants(bench.deliver(voteRequest(2, 4, [1, 1]))), [true])
  })
})

describe("Figure 2, rules for all servers", () => {
  it("what is committed and not applied is applied, in order", () => {
    const bench = follower({ log: [1, 1, 1], term: 1 }).deliver(append(2, 1, [1, 3], [], 3))
    assert.strictEqual(bench.node.machine.applied, index(3))
    assert.strictEqual(Number(bench.node.machine.revision), 3)
  })

  const higher = {
    "a request to append": append(2, 9, [1, 1]),
    "a request for a vote": voteRequest(2, 9, [9, 9], { transfer: true }),
    "an answer to an append": rejected(2, 9, 1, [1, 1]),
    "an answer to a request for a vote": vote(2, 9, false)
  }
  for (const [name, message] of Object.entries(higher)) {
    for (const role of ["Follower", "Candidate", "Leader"] as const) {
      it(`${name} with a higher term makes a ${role} a follower of that term`, () => {
        const bench = follower({ log: [1], term: 1 })
        if (role === "Leader") bench.lead()
        if (role === "Candidate") bench.elapse(3000).deliver(due)
        assert.strictEqual(bench.node.role, role)
        bench.deliver(message)
        assert.deepStrictEqual([bench.node.role, bench.node.term], ["Follower", term(9)])
      })
    }
  }
})

describe("Figure 2, rules for followers", () => {
  it("they answer leaders and candidates", () => {
    const bench = follower({ log: [1], term: 1 }).deliver(append(2, 1, [1, 1]))
    assert.lengthOf(replies(bench), 1)
    bench.deliver(voteRequest(3, 1, [1, 1]))
    bench.elapse(1000).deliver(voteRequest(3, 2, [1, 1])).persist()
    assert.deepStrictEqual(grants(bench), [true])
  })

  it("one that hears no leader and grants no vote for an election time-out becomes a candidate", () => {
    // A time-out of 1,500 ms was drawn; each contact begins another.
    const bench = follower({ log: [1], term: 1, random: [0.5] })
    bench.elapse(1400).deliver(append(2, 1, [1, 1]), due)
    bench.elapse(1400).deliver(due)
    assert.strictEqual(bench.node.role, "Follower", "the leader was heard of")
    bench.deliver(voteRequest(3, 2, [1, 1])).persist().elapse(1400).deliver(due)
    assert.strictEqual(bench.node.role, "Follower", "a vote was granted")
    bench.elapse(101).deliver(due)
    assert.strictEqual(bench.node.role, "Candidate")
  })
})

describe("Figure 2, rules for candidates", () => {
  it("a campaign raises the term, votes for itself, draws a new time-out, and asks everybody", () => {
    const bench = follower({ membership: cluster(5), log: [1, 1], term: 3 })
    bench.elapse(2000).deliver(due)
    // Pre-votes come first (thesis §9.6): they change nothing anywhere.
    assert.strictEqual(bench.node.term, term(3))
    bench.take("VoteRequest")
    bench.deliver(vote(2, 4, true, true), vote(3, 4, true, true)).persist()
    assert.deepStrictEqual([bench.node.term, bench.node.votedFor], [term(4), id(1)])
    assert.isAbove(bench.node.electionDeadline, bench.now)
    const asked = bench.take("VoteRequest")
    assert.deepStrictEqual(asked.map(({ to }) => to), [2, 3, 4, 5].map((n) => id(n)))
    for (const { message } of asked) {
      assert.deepStrictEqual([message.term, message.lastLog], [term(4), { term: term(1), index: index(2) }])
    }
  })

  it("votes of a majority make it the leader", () => {
    const bench = follower({ membership: cluster(5), log: [1], term: 1 }).elapse(2000).deliver(due)
    bench.deliver(vote(2, 2, true, true), vote(3, 2, true, true)).persist()
    bench.deliver(vote(2, 2), vote(3, 2, false))
    assert.strictEqual(bench.node.role, "Candidate", "two of five, itself included")
    bench.deliver(vote(4, 2))
    assert.strictEqual(bench.node.role, "Leader")
  })

  it("an append of a new leader makes it a follower", () => {
    const bench = follower({ log: [1], term: 1 }).elapse(2000).deliver(due).deliver(vote(2, 2, true, true)).persist()
    bench.deliver(append(3, 2, [1, 1]))
    assert.deepStrictEqual([bench.node.role, bench.node.leader], ["Follower", id(3)])
  })

  it("when the time is over without a decision it begins another election", () => {
    const bench = follower({ log: [1], term: 1 }).elapse(2000).deliver(due).deliver(vote(2, 2, true, true)).persist()
    assert.strictEqual(bench.node.term, term(2))
    bench.elapse(2000).deliver(due).deliver(vote(2, 3, true, true)).persist()
    assert.deepStrictEqual([bench.node.role, bench.node.term], ["Candidate", term(3)])
  })
})

describe("Figure 2, rules for leaders", () => {
  it("a new leader speaks to everybody at once, and again in idle times before time-outs end", () => {
    const bench = follower({ log: [1], term: 1 }).elapse(2000).deliver(due)
    bench.deliver(vote(2, 2, true, true)).persist().deliver(vote(2, 2))
    assert.deepStrictEqual(bench.take("AppendRequest").map(({ to }) => to), [id(2), id(3)])
    bench.persist().deliver(accepted(2, 2, 2, 1), accepted(3, 2, 2, 1))
    bench.take("AppendRequest")
    bench.elapse(100).deliver(beat)
    const beats = bench.take("AppendRequest")
    assert.deepStrictEqual(beats.map(({ message, to }) => [to, message.entries.length]), [[id(2), 0], [id(3), 0]])
  })

  it("a client's command is appended, and answered once it is applied", () => {
    const bench = follower({ log: [1], term: 1 }).lead()
    bench.deliver(accepted(2, 2, 2))
    const ends = bench.propose("k")
    assert.deepStrictEqual(terms(bench), [1, 2, 2])
    bench.persist()
    assert.lengthOf(ends, 0)
    bench.deliver(accepted(2, 2, 3))
    assert.deepStrictEqual([ends[0]?._tag, bench.node.machine.applied], ["Applied", index(3)])
  })

  it("a follower gets the entries from the next index on; when it has them, its next and match indexes rise", () => {
    const bench = follower({ log: [1], term: 1 }).lead()
    bench.deliver(accepted(2, 2, 2)).take("AppendRequest")
    bench.propose("a")
    const [sent] = bench.take("AppendRequest").filter(({ to }) => to === id(2))
    assert.deepStrictEqual([sent?.message.previous.index, sent?.message.entries[0]?.index], [index(2), index(3)])
    bench.deliver(accepted(2, 2, 3))
    const progress = bench.node.progress!.get(id(2))!
    assert.deepStrictEqual([progress.match, progress.next], [index(3), index(4)])
  })

  it("of each follower the match index begins at nothing and only rises, whatever comes late or twice", () => {
    const bench = follower({ log: [1, 1, 1, 1], term: 1 }).lead()
    const match = () => Number(bench.node.progress!.get(id(2))!.match)
    const seen = [match()]
    const late = [accepted(2, 2, 3, 1), rejected(2, 2, 4, [1, 1], 1), accepted(2, 2, 2, 1), rejected(2, 2, 2, [0, 0])]
    for (const answer of [accepted(2, 2, 2, 1), ...late, accepted(2, 2, 5, 1), ...late, accepted(2, 1, 1), ...late]) {
      bench.deliver(answer)
      seen.push(match())
    }
    assert.deepStrictEqual(seen, [...seen].sort((a, b) => a - b))
    assert.deepStrictEqual([seen[0], seen.at(-1)], [0, 5])
  })

  it("when a follower's log does not match, the next index goes back and the append is tried again", () => {
    const bench = follower({ log: [1, 1, 1, 1], term: 1 }).lead()
    bench.take("AppendRequest")
    bench.deliver(rejected(2, 2, 4, [1, 2]))
    const [again] = bench.take("AppendRequest").filter(({ to }) => to === id(2))
    assert.strictEqual(again?.message.previous.index, index(2), "at once to where the logs may agree (§5.3)")
    assert.deepStrictEqual(again?.message.entries.map((entry) => Number(entry.index)), [3, 4, 5])
  })

  it("an index that a majority has, of an entry of the leader's term, is committed; none of an older term is", () => {
    const bench = follower({ membership: cluster(5), log: [1, 1], term: 2 }).lead()
    bench.deliver(accepted(2, 3, 2), accepted(3, 3, 2))
    assert.strictEqual(bench.node.commit, index(0), "a majority has 1.2, and the term is 3")
    bench.deliver(accepted(2, 3, 3))
    assert.strictEqual(bench.node.commit, index(0), "two of five")
    bench.deliver(accepted(3, 3, 3))
    assert.strictEqual(bench.node.commit, index(3), "and everything before it")
  })

  it("a peer that is no member is neither counted nor answered", () => {
    const bench = follower({ log: [1], term: 1 }).lead()
    bench.deliver(peer(9, { _tag: "TimeoutNow", term: term(9) }), accepted(9, 2, 2))
    assert.deepStrictEqual([bench.node.role, bench.node.term, bench.node.commit], ["Leader", term(2), index(0)])
  })
})
