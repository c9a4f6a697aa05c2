import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import type { NodeId } from "../../src/domain/Identity.ts"
import type { Membership } from "../../src/domain/Membership.ts"
import type { LogIndex, Term } from "../../src/domain/Position.ts"
import { commitIndex } from "../../src/rules/Commitment.ts"
import { membership, node, nodes, vectors } from "./Voters.ts"

const natural = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

/** The paper's own words (figure 2): the highest N above the commit index that a majority has, of the current term. */
const naive = (
  config: Membership,
  match: ReadonlyMap<NodeId, number>,
  log: ReadonlyArray<number>,
  term: number,
  committed: number
): number => {
  const sets = [config.members.filter((one) => one.standing === "voter").map((one) => one.id)]
  if (config.outgoing !== null) sets.push([...config.outgoing])
  let highest = committed
  for (let index = committed + 1; index <= log.length; index++) {
    const held = sets.every((set) => set.filter((id) => (match.get(id) ?? 0) >= index).length * 2 > set.length)
    if (held && log[index - 1] === term) highest = index
  }
  return highest
}

const rule = (
  config: Membership,
  match: ReadonlyMap<NodeId, number>,
  log: ReadonlyArray<number>,
  term: number,
  committed: number
): number =>
  commitIndex(
    {
      membership: config,
      match: (id) => (match.get(id) ?? 0) as LogIndex,
      termAt: (index) => (index === 0 ? 0 : log[index - 1]) as Term | undefined
    },
    term as Term,
    committed as LogIndex
  )

/** All logs of `length` entries whose terms never fall and reach at most `term`. */
const logs = (length: number, term: number): ReadonlyArray<ReadonlyArray<number>> =>
  [...vectors(length, term - 1)].map((log) => log.map((one) => one + 1)).filter((log) =>
    log.every((one, i) => i === 0 || one >= (log[i - 1] ?? 0))
  )

describe("the commit index", () => {
  it("is the paper's, for all logs of 4 entries, match vectors of 1 to 4 voters and commit indexes before", () => {
    let tried = 0
    for (let count = 1; count <= 4; count++) {
      const config = membership(nodes(count), [node(8), node(9)])
      for (const log of logs(4, 3)) {
        for (const vector of vectors(count, 4)) {
          const match = new Map([...nodes(count).map((id, i) => [id, vector[i] ?? 0] as const), [node(8), 4], [
            node(9),
            4
          ]])
          for (let committed = 0; committed <= 4; committed++) {
            tried++
            assert.strictEqual(rule(config, match, log, 3, committed), naive(config, match, log, 3, committed))
          }
        }
      }
    }
    assert.isAbove(tried, 50_000)
  })

  it("of a joint configuration needs both sides, for all match vectors", () => {
    const log = [1, 2, 2, 3, 3]
    for (const outgoing of [[1, 2, 3], [3, 4, 5], [1], [1, 2], [2, 3, 4, 5]]) {
      const config = membership(nodes(3), [node(4)], outgoing.map(node))
      for (const vector of vectors(5, 5)) {
        const match = new Map(nodes(5).map((id, i) => [id, vector[i] ?? 0]))
        assert.strictEqual(rule(config, match, log, 3, 1), naive(config, match, log, 3, 1))
      }
    }
  })

  it.prop("is the same step by step as from scratch, however the acknowledgements arrive", [
    natural(6),
    Schema.Array(Schema.Struct({ voter: natural(6), index: natural(12) })),
    Schema.Array(natural(2))
  ], ([more, acknowledgements, rises]) => {
    const config = membership(nodes(more + 1))
    let term = 1
    const log = [...rises, 0, 0].map((rise) => term += rise === 2 ? 1 : 0)
    const match = new Map<NodeId, number>()
    let committed = 0
    for (const { index, voter } of acknowledgements) {
      const id = node(1 + voter % (more + 1))
      match.set(id, Math.max(match.get(id) ?? 0, Math.min(index, log.length)))
      const next = rule(config, match, log, term, committed)
      assert.isAtLeast(next, committed)
      committed = next
      assert.strictEqual(committed, rule(config, match, log, term, 0))
      assert.strictEqual(committed, naive(config, match, log, term, 0))
    }
  }, { arbitrary: { runs: 1000, size: 60 } })

  it("never falls when a voter is added that has nothing yet", () => {
    const match = new Map([[node(1), 3], [node(2), 3]])
    assert.strictEqual(rule(membership(nodes(2)), match, [1, 1, 1], 1, 0), 3)
    assert.strictEqual(rule(membership(nodes(4)), match, [1, 1, 1], 1, 3), 3)
  })

  it("counts the leader as any other voter, and not at all where it is none", () => {
    const match = new Map([[node(1), 3], [node(2), 2], [node(3), 0]])
    assert.strictEqual(rule(membership(nodes(3)), match, [1, 1, 1], 1, 0), 2)
    assert.strictEqual(rule(membership([node(2), node(3)], [node(1)]), match, [1, 1, 1], 1, 0), 0)
  })
})
