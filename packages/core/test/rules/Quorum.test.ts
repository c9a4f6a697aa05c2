import { assert, describe, it } from "@effect/vitest"
import type { NodeId } from "../../src/domain/Identity.ts"
import type { LogIndex } from "../../src/domain/Position.ts"
import { failureTolerance, isQuorum, majority, quorumIndex } from "../../src/rules/Quorum.ts"
import { membership, node, nodes, subsets, vectors } from "./Voters.ts"

/** More than half, said by counting. */
const isMajority = (voters: ReadonlyArray<NodeId>, holders: ReadonlySet<NodeId>): boolean => {
  const inFavour = voters.filter((id) => holders.has(id)).length
  return inFavour > voters.length - inFavour
}

const intersects = <A>(a: ReadonlySet<A>, b: ReadonlySet<A>): boolean => [...a].some((one) => b.has(one))

describe("a quorum", () => {
  it("of 1 to 7 voters is more than half of them", () => {
    assert.deepStrictEqual([1, 2, 3, 4, 5, 6, 7].map(majority), [1, 2, 2, 3, 3, 4, 4])
    for (let count = 1; count <= 7; count++) {
      const voters = nodes(count)
      for (const holders of subsets(voters)) {
        assert.strictEqual(isQuorum(membership(voters), (id) => holders.has(id)), isMajority(voters, holders))
      }
    }
  })

  it("counts no learner, no stranger and nobody where there is no voter", () => {
    const voters = nodes(3)
    const learners = [node(4), node(5), node(6), node(7)]
    for (const holders of subsets([...voters, ...learners, node(8)])) {
      assert.strictEqual(
        isQuorum(membership(voters, learners), (id) => holders.has(id)),
        isMajority(voters, holders),
        [...holders].join()
      )
    }
    assert.isFalse(isQuorum(membership([]), () => true))
    assert.isFalse(isQuorum(membership([], learners), () => true))
  })

  it("of a joint configuration is one of each side", () => {
    const all = nodes(5)
    const sides = subsets(all).filter((side) => side.size > 0)
    for (const incoming of sides) {
      for (const outgoing of sides) {
        const joint = membership([...incoming], [], [...outgoing])
        for (const holders of subsets(all)) {
          assert.strictEqual(
            isQuorum(joint, (id) => holders.has(id)),
            isMajority([...incoming], holders) && isMajority([...outgoing], holders)
          )
        }
      }
    }
    assert.isFalse(isQuorum(membership(all, [], []), () => true), "an empty side has no majority")
  })

  it("shares a voter with every quorum of the same voters, and of those with one more or one fewer", () => {
    for (let count = 1; count <= 6; count++) {
      const voters = nodes(count)
      const more = nodes(count + 1)
      const of = (ids: ReadonlyArray<NodeId>) =>
        subsets(ids).filter((holders) => isQuorum(membership(ids), (id) => holders.has(id)))
      const [here, there] = [of(voters), of(more)]
      assert.isNotEmpty(here)
      for (const one of here) for (const other of [...here, ...there]) assert.isTrue(intersects(one, other))
    }
  })
})

describe("the index that a quorum has reached", () => {
  /** The highest index that more than half have reached, by trying each. */
  const naive = (match: ReadonlyArray<number>): number => {
    for (let index = Math.max(0, ...match);; index--) {
      if (index === 0 || match.filter((one) => one >= index).length * 2 > match.length) return index
    }
  }

  it("is the definition's, for all match vectors of 1 to 7 voters", () => {
    let tried = 0
    for (const [count, highest] of [[1, 9], [2, 9], [3, 7], [4, 5], [5, 5], [6, 3], [7, 2]] as const) {
      const voters = nodes(count)
      for (const match of vectors(count, highest)) {
        tried++
        const reached = (id: NodeId) => match[voters.indexOf(id)] as LogIndex
        assert.strictEqual(quorumIndex(voters, reached), naive(match), match.join())
      }
    }
    assert.isAbove(tried, 15_000)
  })

  it("is 0 where nobody votes", () => {
    assert.strictEqual(quorumIndex([], () => 7 as LogIndex), 0)
  })
})

describe("failure tolerance", () => {
  it("is how many of the live voters may fail, whichever they are, before the quorum is lost", () => {
    for (let count = 1; count <= 6; count++) {
      const voters = nodes(count)
      const config = membership(voters, [node(9)])
      for (const alive of subsets(voters)) {
        const tolerance = failureTolerance(config, (id) => alive.has(id) || id === node(9))
        const survives = (failures: number) =>
          subsets([...alive])
            .filter((failed) => failed.size === failures)
            .every((failed) => isQuorum(config, (id) => alive.has(id) && !failed.has(id)))
        if (tolerance < 0) assert.isFalse(survives(0), "it is lost already")
        else {
          assert.isTrue(survives(tolerance))
          assert.isFalse(tolerance < alive.size && survives(tolerance + 1))
        }
      }
    }
  })
})
