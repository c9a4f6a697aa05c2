import { assert, describe, it } from "@effect/vitest"
import type { NodeId } from "../../../src/domain/Identity.ts"
import { commitIndex } from "../../../src/rules/Commitment.ts"
import { answerBallot } from "../../../src/rules/Election.ts"
import { isQuorum } from "../../../src/rules/Quorum.ts"
import type { Terms } from "../Logs.ts"
import { idAt, index, term } from "../Logs.ts"
import { membership, node, nodes } from "../Voters.ts"

const servers = nodes(5)
const [s1, s2, s3, s4, s5] = [1, 2, 3, 4, 5].map(node)
type Cluster = ReadonlyMap<NodeId | undefined, Terms>

/** Whether a candidate with its log wins in `newTerm` when everybody else answers. */
const wins = (cluster: Cluster, candidate: NodeId | undefined, newTerm: number): boolean =>
  isQuorum(membership(servers), (id) => {
    const log = cluster.get(id) ?? []
    const own = cluster.get(candidate) ?? []
    const voter = { term: term(newTerm - 1), votedFor: null, lastLog: idAt(log, log.length), hasFreshLeader: false }
    return answerBallot(voter, {
      candidate: candidate ?? id,
      term: term(newTerm),
      preVote: false,
      transfer: false,
      lastLog: idAt(own, own.length)
    }) === "grant"
  })

/** What the leader of `leaderTerm` with `log` may call committed when servers hold it up to these indexes. */
const committed = (log: Terms, leaderTerm: number, held: ReadonlyMap<NodeId | undefined, number>): number =>
  commitIndex(
    {
      membership: membership(servers),
      match: (id) => index(held.get(id) ?? 0),
      termAt: (at) => idAt(log, at).term
    },
    term(leaderTerm),
    index(1)
  )

describe("§5.4, figure 8", () => {
  const c: Cluster = new Map([[s1, [1, 2, 4]], [s2, [1, 2]], [s3, [1, 2]], [s4, [1]], [s5, [1, 3]]])
  const e: Cluster = new Map([[s1, [1, 2, 4]], [s2, [1, 2, 4]], [s3, [1, 2, 4]], [s4, [1]], [s5, [1, 3]]])

  it("(c) the entry of term 2 is on a majority, but the leader of term 4 may not call it committed", () => {
    assert.strictEqual(committed([1, 2, 4], 4, new Map([[s1, 3], [s2, 2], [s3, 2], [s4, 1], [s5, 1]])), 1)
  })

  it("(d) for S5 can still be elected, and would overwrite it", () => {
    assert.isTrue(wins(c, s5, 5))
  })

  it("(e) once an entry of term 4 is on a majority, it commits all before it, and S5 can win no more", () => {
    assert.strictEqual(committed([1, 2, 4], 4, new Map([[s1, 3], [s2, 3], [s3, 3], [s4, 1], [s5, 1]])), 3)
    assert.isFalse(wins(e, s5, 5))
    assert.isTrue(wins(e, s2, 5))
  })
})

describe("§5.4.1", () => {
  it("a candidate must be at least as up to date as a majority, whatever the length of its log", () => {
    const cluster: Cluster = new Map([[s1, [1, 1, 1, 1]], [s2, [1, 2]], [s3, [1, 2]], [s4, [1, 2]], [s5, [1]]])
    assert.isFalse(wins(cluster, s1, 3), "long, but of an old term")
    assert.isTrue(wins(cluster, s2, 3))
    assert.isFalse(wins(cluster, s5, 3), "short and old")
  })
})
