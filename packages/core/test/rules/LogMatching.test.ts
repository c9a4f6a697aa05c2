import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import type { Term } from "../../src/domain/Position.ts"
import { TermRuns } from "../../src/domain/TermRuns.ts"
import { agreeingUpTo, matchAppend } from "../../src/rules/LogMatching.ts"
import type { Terms } from "./Logs.ts"
import { at, entry, followerLog, idAt, index, pairOf, shared, term } from "./Logs.ts"

const Rise = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 }))
const Rises = Schema.Array(Rise)
const place = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 60 }))
const runs = { arbitrary: { runs: 1000, size: 24 } }

/** The receiver's steps 2 to 4 of figure 2, word by word. */
const naiveAppend = (log: Terms, previous: number, previousTerm: number, entries: Terms): Terms | "rejected" => {
  if (previous > 0 && log[previous - 1] !== previousTerm) return "rejected"
  let result = [...log]
  entries.forEach((one, i) => {
    const at = previous + i
    if (at < result.length && result[at] !== one) result = result.slice(0, at)
    if (at >= result.length) result.push(one)
  })
  return result
}

/** What a follower does with the rule's answer. */
const performed = (log: Terms, previous: number, previousTerm: number, entries: Terms): Terms | "rejected" => {
  const arriving = entries.map((one, i) => entry(one, previous + 1 + i))
  const match = matchAppend(followerLog(log), at(previousTerm, previous), arriving)
  if (match._tag === "Rejected") return "rejected"
  assert.strictEqual(match.end, previous + entries.length)
  if (match.skip === entries.length) assert.isFalse(match.truncate)
  const from = previous + match.skip
  assert.strictEqual(match.truncate, match.skip < entries.length && from < log.length)
  return match.skip === entries.length ? log : [...log.slice(0, from), ...entries.slice(match.skip)]
}

describe("an append", () => {
  it.prop("does to the follower's log what figure 2 says", [Rises, Rises, Rises, place, place], (
    [stem, left, right, from, count]
  ) => {
    const [leader, follower] = pairOf(stem, left, right)
    const previous = from % (leader.length + 1)
    const entries = leader.slice(previous, previous + count)
    const previousTerm = idAt(leader, previous).term
    const after = performed(follower, previous, previousTerm, entries)
    assert.deepStrictEqual(after, naiveAppend(follower, previous, previousTerm, entries))
    if (after !== "rejected") {
      assert.isAtLeast(shared(after, leader), previous + entries.length, "the logs are equal up to its end")
      assert.isAtLeast(shared(after, follower), Math.min(shared(follower, leader), follower.length))
    }
  }, runs)

  it.prop("that is old or repeated removes nothing", [Rises, Rises, place, place], ([stem, more, from, count]) => {
    const [leader] = pairOf(stem, more, [])
    const previous = from % (leader.length + 1)
    const entries = leader.slice(previous, previous + count)
    assert.deepStrictEqual(performed(leader, previous, idAt(leader, previous).term, entries), leader)
  }, runs)

  it.prop("keeps every entry that both logs share", [Rises, Rises, Rises], ([stem, left, right]) => {
    const [leader, follower] = pairOf(stem, left, right)
    const common = shared(leader, follower)
    const after = performed(follower, common, idAt(leader, common).term, leader.slice(common))
    assert.deepStrictEqual(after, common === leader.length ? follower : leader)
  }, runs)
})

describe("a rejection", () => {
  /** Follower and leader in turn, until the follower accepts: the exchanges that it took, and where. */
  const converge = (leader: Terms, follower: Terms): { readonly exchanges: number; readonly agreed: number } => {
    let previous = leader.length
    for (let exchanges = 1;; exchanges++) {
      assert.isAtMost(exchanges, leader.length + 2, "the leader gets nowhere")
      const match = matchAppend(followerLog(follower), idAt(leader, previous), [])
      if (match._tag === "Accepted") return { exchanges, agreed: previous }
      assert.isAtMost(match.hint.index, previous)
      assert.deepStrictEqual(match.hint, idAt(follower, match.hint.index), "the hint is an entry of the follower's")
      const next = agreeingUpTo(followerLog(leader), match.hint)
      assert.isAtLeast(next.index, shared(leader, follower), "what both have is never given up")
      assert.deepStrictEqual(next, idAt(leader, next.index))
      assert.isBelow(next.index, previous)
      previous = next.index
    }
  }

  it.prop("leads to the last shared entry, a whole term of conflicts per exchange", [Rises, Rises, Rises], (
    [stem, left, right]
  ) => {
    const [leader, follower] = pairOf(stem, left, right)
    const common = shared(leader, follower)
    const { agreed, exchanges } = converge(leader, follower)
    assert.strictEqual(agreed, common)
    const conflicting = new Set([...leader.slice(common), ...follower.slice(common)]).size
    assert.isAtMost(exchanges, conflicting + 2)
  }, runs)

  it("of a follower that is only short points to its last entry", () => {
    const match = matchAppend(followerLog([1, 1, 4]), at(4, 9), [])
    assert.deepStrictEqual(match, { _tag: "Rejected", hint: at(4, 3) })
  })

  it("skips all of a term that the leader has passed, and everything newer than it", () => {
    const match = matchAppend(followerLog([1, 1, 2, 2, 2, 3, 3]), at(5, 6), [])
    assert.deepStrictEqual(match, { _tag: "Rejected", hint: at(3, 6) })
    assert.deepStrictEqual(agreeingUpTo(followerLog([1, 1, 1, 1, 5, 5]), at(3, 6)), at(1, 4))
  })
})

describe("the terms of a log", () => {
  const Edit = Schema.TaggedUnion({ Push: { rise: Rise }, Truncate: { from: place } })

  it.prop("are those of a list that had the same pushed and cut off", [
    Schema.Array(Edit),
    place,
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 }))
  ], ([edits, start, startTerm]) => {
    const base = start === 0 ? at(0, 0) : at(startTerm, start)
    const runsOf = new TermRuns([], base.index, base)
    let list: Array<number> = []
    for (const edit of edits) {
      if (edit._tag === "Push") {
        const next = (list.at(-1) ?? base.term) + edit.rise
        list.push(next)
        runsOf.push(term(next))
      } else {
        const from = base.index + 1 + edit.from % (list.length + 2)
        list = list.slice(0, from - 1 - base.index)
        runsOf.truncateFrom(index(from))
      }
      sameAs(runsOf, list, base.index, base.term)
    }
  }, { arbitrary: { runs: 300, size: 30 } })

  const sameAs = (terms: TermRuns, list: Terms, base: number, baseTerm: number): void => {
    const last = base + list.length
    const termAt = (i: number) => i === base ? baseTerm : list[i - base - 1]
    assert.strictEqual(terms.last, last)
    assert.deepStrictEqual(terms.lastId, at(termAt(last) ?? 0, last))
    for (let i = Math.max(0, base - 1); i <= last + 1; i++) {
      assert.strictEqual(terms.termAt(index(i)), i < base ? undefined : termAt(i) as Term | undefined)
      for (let limit = 0; limit <= (list.at(-1) ?? 0) + 1; limit++) {
        let expected = Math.min(i, last)
        while (expected > base && (termAt(expected) ?? 0) > limit) expected--
        assert.strictEqual(terms.lastAtMost(index(i), term(limit)), Math.max(expected, base))
      }
    }
  }
})
