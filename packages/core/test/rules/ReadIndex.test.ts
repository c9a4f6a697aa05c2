import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { ReadQueue } from "../../src/rules/ReadIndex.ts"
import { index } from "./Logs.ts"
import { node } from "./Voters.ts"

const natural = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
const Step = Schema.TaggedUnion({
  Add: {},
  Begin: { commits: natural(3) },
  Confirm: { back: Schema.Int.check(Schema.isBetween({ minimum: -2, maximum: 2 })) },
  Drain: {}
})

describe("reads that wait for a quorum", () => {
  it.prop("are each answered once, by a round begun after they came, at an index of that time", [Schema.Array(Step)], (
    [steps]
  ) => {
    const queue = new ReadQueue<number>()
    const cameBefore = new Map<number, number>()
    const answered = new Set<number>()
    let round = 0
    let committed = 0
    let reads = 0
    const commitAt = new Map<number, number>()
    for (const step of steps) {
      switch (step._tag) {
        case "Add":
          cameBefore.set(reads, round)
          queue.add(reads++)
          break
        case "Begin":
          committed += step.commits
          if (!queue.wantsRound) break
          assert.isAbove(queue.size, 0)
          round++
          commitAt.set(round, committed)
          queue.begin(round, index(committed))
          break
        case "Confirm": {
          const waiting = queue.pendingRound
          const said = round + step.back
          const batch = queue.confirm(said)
          assert.strictEqual(batch !== null, waiting !== null && said >= waiting, "an earlier round confirms nothing")
          if (batch === null || waiting === null) break
          assert.isNotEmpty(batch.reads)
          assert.strictEqual(batch.readIndex, commitAt.get(waiting))
          for (const read of batch.reads) {
            assert.isBelow(cameBefore.get(read) ?? Number.NaN, waiting, "the round began after the read came")
            assert.isFalse(answered.has(read))
            answered.add(read)
          }
          break
        }
        case "Drain": {
          for (const read of queue.drain().reads) {
            assert.isFalse(answered.has(read))
            answered.add(read)
          }
          assert.strictEqual(answered.size, reads, "nobody is forgotten")
          assert.strictEqual(queue.pendingRound, null)
        }
      }
      assert.strictEqual(queue.size, reads - answered.size)
    }
    for (const read of queue.drain().reads) answered.add(read)
    assert.strictEqual(answered.size, reads)
  }, { arbitrary: { runs: 1500, size: 60 } })

  it("share a round with all that wait, and those that come later need the next", () => {
    const queue = new ReadQueue<string>()
    assert.isFalse(queue.wantsRound)
    queue.add("a")
    queue.add("b")
    assert.isTrue(queue.wantsRound)
    queue.begin(7, index(40))
    queue.add("c")
    assert.isFalse(queue.wantsRound, "one round at a time")
    assert.isNull(queue.confirm(6))
    const confirmed = queue.confirm(7)
    assert.deepStrictEqual([confirmed?.readIndex, confirmed?.reads], [40, ["a", "b"]])
    assert.isNull(queue.confirm(7), "a repeated answer confirms nothing")
    assert.isTrue(queue.wantsRound)
    queue.begin(8, index(41))
    assert.deepStrictEqual(queue.confirm(9)?.reads, ["c"])
  })

  it("keep one question for each follower, the last one, and none that nobody waits for", () => {
    const queue = new ReadQueue<string>()
    for (let id = 1; id <= 1000; id++) queue.ask(node(2), id)
    queue.ask(node(3), 7)
    queue.add("gone")
    queue.add("here")
    queue.prune((read) => read === "gone")
    assert.strictEqual(queue.size, 3)
    queue.begin(1, index(5))
    queue.ask(node(2), 1001)
    assert.strictEqual(queue.size, 4)
    const confirmed = queue.confirm(1)
    assert.deepStrictEqual([...confirmed?.questions ?? []], [[node(2), 1000], [node(3), 7]])
    assert.deepStrictEqual(confirmed?.reads, ["here"])
    assert.isTrue(queue.wantsRound, "the question that came after the round had begun needs the next one")
    assert.deepStrictEqual([...queue.drain().questions], [[node(2), 1001]])
    assert.strictEqual(queue.size, 0)
  })
})
