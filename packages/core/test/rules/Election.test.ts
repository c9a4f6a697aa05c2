import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import type { NodeId } from "../../src/domain/Identity.ts"
import type { LogId, LogIndex, Term } from "../../src/domain/Position.ts"
import type { Answer, Ballot, Voter } from "../../src/rules/Election.ts"
import { answerBallot, isUpToDate } from "../../src/rules/Election.ts"
import { isQuorum } from "../../src/rules/Quorum.ts"
import { membership, node, nodes, vectors } from "./Voters.ts"

const at = (term: number, index: number): LogId => ({ term: term as Term, index: index as LogIndex })

const voter = (fields: Partial<Voter> = {}): Voter => ({
  term: 5 as Term,
  votedFor: null,
  lastLog: at(3, 10),
  hasFreshLeader: false,
  ...fields
})

const ballot = (fields: Partial<Ballot> = {}): Ballot => ({
  candidate: node(2),
  term: 6 as Term,
  preVote: false,
  transfer: false,
  lastLog: at(3, 10),
  ...fields
})

describe("a log is up to date", () => {
  it("exactly when its last term is higher, or equal and the log not shorter, in all nine cases", () => {
    const expected: Readonly<Record<string, boolean>> = {
      "-1,-1": false,
      "-1,0": false,
      "-1,1": false,
      "0,-1": false,
      "0,0": true,
      "0,1": true,
      "1,-1": true,
      "1,0": true,
      "1,1": true
    }
    for (const [cell, upToDate] of Object.entries(expected)) {
      const [term = 0, index = 0] = cell.split(",").map(Number)
      const candidate = at(3 + term, 10 + index)
      assert.strictEqual(isUpToDate(candidate, at(3, 10)), upToDate, cell)
      for (const preVote of [false, true]) {
        const answer = answerBallot(voter(), ballot({ preVote, lastLog: candidate }))
        assert.strictEqual(answer, upToDate ? "grant" : "refuse", `${cell}, pre-vote ${preVote}`)
      }
    }
  })
})

describe("an answer to a request for a vote", () => {
  /** Reasons against a vote, each on its own. */
  const naive = (one: Voter, asked: Ballot): Answer => {
    const stale = asked.term < one.term
    const sticky = one.hasFreshLeader && !asked.transfer
    const reasons = [
      stale,
      asked.lastLog.term < one.lastLog.term,
      asked.lastLog.term === one.lastLog.term && asked.lastLog.index < one.lastLog.index,
      asked.preVote && asked.term === one.term,
      !asked.preVote && asked.term === one.term && one.votedFor !== null && one.votedFor !== asked.candidate
    ]
    if (sticky && !stale) return asked.preVote ? "refuse" : "ignore"
    return reasons.some((reason) => reason) ? "refuse" : "grant"
  }

  it("follows from the reasons against it, in every combination of them", () => {
    const counts = { grant: 0, refuse: 0, ignore: 0 }
    for (const term of [4, 5, 6]) {
      for (const votedFor of [null, node(2), node(3)]) {
        for (const lastLog of [at(2, 11), at(3, 9), at(3, 10), at(3, 11), at(4, 1)]) {
          for (let bits = 0; bits < 8; bits++) {
            const one = voter({ votedFor, hasFreshLeader: bits % 2 === 1 })
            const asked = ballot({ term: term as Term, lastLog, preVote: (bits >> 1) % 2 === 1, transfer: bits > 3 })
            const answer = answerBallot(one, asked)
            assert.strictEqual(answer, naive(one, asked), JSON.stringify({ one, asked }))
            counts[answer]++
          }
        }
      }
    }
    assert.isTrue(counts.grant > 20 && counts.refuse > 20 && counts.ignore > 20, JSON.stringify(counts))
  })

  it("is the same when the same candidate asks again, since the first answer may be lost", () => {
    assert.strictEqual(answerBallot(voter({ term: 6 as Term, votedFor: node(2) }), ballot()), "grant")
    assert.strictEqual(answerBallot(voter({ term: 6 as Term, votedFor: node(3) }), ballot()), "refuse")
  })

  it("does not raise the term of a voter that hears its leader, unless the leader itself hands over", () => {
    const content = voter({ hasFreshLeader: true })
    assert.strictEqual(answerBallot(content, ballot({ term: 99 as Term })), "ignore")
    assert.strictEqual(answerBallot(content, ballot({ term: 99 as Term, preVote: true })), "refuse")
    assert.strictEqual(answerBallot(content, ballot({ transfer: true })), "grant")
  })
})

const natural = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
const Request = Schema.Struct({
  voter: natural(4),
  candidate: natural(4),
  term: natural(4),
  preVote: Schema.Boolean,
  fresh: Schema.Boolean,
  transfer: Schema.Boolean,
  lastTerm: natural(3),
  lastIndex: natural(3)
})

describe("over any sequence of requests", () => {
  it.prop(
    "a node votes for at most one candidate per term, and a term has at most one winner",
    [Schema.Array(Request)],
    (
      [requests]
    ) => {
      const voters = nodes(5)
      const states = new Map(voters.map((id) => [id, voter({ term: 0 as Term, lastLog: at(1, 1) })]))
      const votes = new Map<number, Map<NodeId, NodeId>>()
      for (const request of requests) {
        const id = node(request.voter + 1)
        const state = states.get(id) ?? voter()
        const asked: Ballot = {
          candidate: node(request.candidate + 1),
          term: request.term as Term,
          preVote: request.preVote,
          transfer: request.transfer,
          lastLog: at(request.lastTerm, request.lastIndex)
        }
        const answer = answerBallot({ ...state, hasFreshLeader: request.fresh }, asked)
        if (answer !== "grant" || asked.preVote) continue
        assert.isTrue(asked.term >= state.term, "a vote for a past term")
        assert.isTrue(isUpToDate(asked.lastLog, state.lastLog), "a vote for a shorter log")
        states.set(id, { ...state, term: asked.term, votedFor: asked.candidate })
        const inTerm = votes.get(asked.term) ?? new Map<NodeId, NodeId>()
        votes.set(asked.term, inTerm)
        assert.strictEqual(inTerm.get(id) ?? asked.candidate, asked.candidate, "a second vote in one term")
        inTerm.set(id, asked.candidate)
      }
      for (const inTerm of votes.values()) {
        const winners = voters.filter((candidate) => isQuorum(membership(voters), (id) => inTerm.get(id) === candidate))
        assert.isAtMost(winners.length, 1)
      }
    },
    { arbitrary: { runs: 1500, size: 60 } }
  )

  it("wins exactly who is not behind more than a minority, for all ends of three logs", () => {
    const voters = nodes(3)
    const ends = [1, 2, 3].flatMap((term) => [1, 2, 3].map((index) => at(term, index)))
    const isBehind = (a: LogId, b: LogId) => a.term === b.term ? a.index < b.index : a.term < b.term
    for (const [one, two, three] of vectors(3, ends.length - 1)) {
      const logs = [one, two, three].map((i) => ends[i ?? 0] ?? at(0, 0))
      for (const lastLog of ends) {
        const wins = isQuorum(membership(voters), (id) => {
          const own = logs[voters.indexOf(id)] ?? at(0, 0)
          return answerBallot(voter({ lastLog: own }), ballot({ lastLog })) === "grant"
        })
        assert.strictEqual(wins, logs.filter((own) => isBehind(lastLog, own)).length <= 1)
      }
    }
  })
})
