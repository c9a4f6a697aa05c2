import { assert, describe, it } from "@effect/vitest"
import type { LogIndex } from "../../src/domain/Position.ts"
import { type CompactionView, dropUpTo } from "../../src/rules/Compaction.ts"

const index = (n: number) => n as LogIndex

/** A log from 1 to `last` whose entries weigh `weight` bytes each, all of it in a checkpoint, needed by nobody. */
const log = (last: number, weight: number, more: Partial<CompactionView> = {}): CompactionView => ({
  base: index(0),
  last: index(last),
  lowestWithin: (bytes) => index(Math.max(0, last - Math.floor(bytes / weight))),
  checkpointed: index(last),
  needed: Number.POSITIVE_INFINITY,
  ...more
})

const limits = { logEntries: 1000, logBytes: 100_000 }

describe("how much of a log is kept", () => {
  it("is what the bounds allow, by number or by size, whichever is less", () => {
    assert.strictEqual(dropUpTo(log(1500, 1), limits), 500)
    assert.strictEqual(dropUpTo(log(1500, 1000), limits), 1400)
    assert.strictEqual(dropUpTo(log(150, 1000), limits), 50, "a few large entries are enough")
  })

  it("is everything within the bounds, and a hundredth more", () => {
    assert.isNull(dropUpTo(log(1010, 1), limits))
    assert.strictEqual(dropUpTo(log(1011, 1), limits), 11)
    assert.isNull(dropUpTo(log(101, 1000), limits))
    assert.strictEqual(dropUpTo(log(102, 1000), limits), 2)
  })

  it("never lacks what no checkpoint holds", () => {
    assert.strictEqual(dropUpTo(log(5000, 1, { checkpointed: index(70) }), limits), 70)
    assert.isNull(dropUpTo(log(5000, 1, { checkpointed: index(0) }), limits))
    assert.isNull(dropUpTo(log(5000, 1, { base: index(70), checkpointed: index(70) }), limits))
  })

  it("waits for followers in contact, but not for ever", () => {
    assert.strictEqual(dropUpTo(log(5000, 1, { needed: 300 }), limits), 300)
    assert.isNull(dropUpTo(log(5000, 1, { base: index(300), needed: 300 }), limits))
    assert.strictEqual(dropUpTo(log(40_000, 1, { needed: 300 }), limits), 8000)
  })
})
