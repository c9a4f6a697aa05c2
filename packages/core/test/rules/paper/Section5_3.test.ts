import { assert, describe, it } from "@effect/vitest"
import { agreeingUpTo, matchAppend } from "../../../src/rules/LogMatching.ts"
import { at, entry, followerLog, idAt } from "../Logs.ts"

/** Figure 7: the leader of term 8, and what its followers' logs may look like. */
const leader = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6]
const followers = {
  a: { log: [1, 1, 1, 4, 4, 5, 5, 6, 6], meets: 9 },
  b: { log: [1, 1, 1, 4], meets: 4 },
  c: { log: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6], meets: 10 },
  d: { log: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7], meets: 10 },
  e: { log: [1, 1, 1, 4, 4, 4, 4], meets: 5 },
  f: { log: [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3], meets: 3 }
}

describe("§5.3, figure 7", () => {
  for (const [name, { log, meets }] of Object.entries(followers)) {
    it(`the logs of the leader and of follower ${name} meet at ${meets}, and then become equal`, () => {
      let previous = leader.length
      const asked: Array<number> = []
      while (true) {
        asked.push(previous)
        const match = matchAppend(followerLog(log), idAt(leader, previous), [])
        if (match._tag === "Accepted") break
        previous = agreeingUpTo(followerLog(leader), match.hint).index
      }
      assert.strictEqual(previous, meets)
      assert.isAtMost(asked.length, 3, "one exchange per term of conflicts")
      const entries = [...leader, 8].map((term, i) => entry(term, i + 1)).slice(previous)
      const match = matchAppend(followerLog(log), idAt(leader, previous), entries)
      assert.deepStrictEqual(match, { _tag: "Accepted", skip: 0, truncate: log.length > meets, end: at(8, 11).index })
    })
  }

  it("a follower answers consistently to an entry that it has: it keeps it, and what comes after it", () => {
    const match = matchAppend(followerLog(followers.d.log), at(6, 9), [entry(6, 10)])
    assert.deepStrictEqual(match, { _tag: "Accepted", skip: 1, truncate: false, end: at(6, 10).index })
  })

  it("an entry that conflicts goes, with all that follow it", () => {
    const match = matchAppend(followerLog(followers.e.log), at(4, 4), [entry(4, 5), entry(5, 6)])
    assert.deepStrictEqual(match, { _tag: "Accepted", skip: 1, truncate: true, end: at(5, 6).index })
  })
})
