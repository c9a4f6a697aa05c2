import { assert, describe, it } from "@effect/vitest"
import { TermRuns } from "../../src/domain/TermRuns.ts"
import { RaftLog } from "../../src/state/RaftLog.ts"
import { put } from "../roles/Bench.ts"
import { index, term } from "../rules/Logs.ts"

/** A log of 1,000 entries from before the start, of which the store says that a hundred weigh 10,000 bytes. */
const found = () => {
  const terms = new TermRuns([{ term: term(1), first: index(1) }], index(1000))
  const sizes = Array.from({ length: 10 }, (_, i) => ({ index: index((i + 1) * 100), total: (i + 1) * 10_000 }))
  return new RaftLog(terms, sizes)
}

describe("the size of a log", () => {
  it("counts what was there before the start", () => {
    assert.strictEqual(found().lowestWithin(100_000), 0)
    assert.strictEqual(found().lowestWithin(50_000), 500)
    assert.strictEqual(found().lowestWithin(0), 1000)
    const without = new RaftLog(new TermRuns([{ term: term(1), first: index(1) }], index(1000)))
    assert.strictEqual(without.lowestWithin(0), 0, "nothing is known")
  })

  it("counts what comes after it too, and not what is truncated", () => {
    const log = found()
    for (let i = 1001; i <= 1032; i++) log.push(put(1, i))
    assert.strictEqual(log.lowestWithin(50_000), 600)
    log.truncateFrom(index(1001))
    assert.strictEqual(log.lowestWithin(50_000), 500)
    log.truncateFrom(index(801))
    assert.strictEqual(log.lowestWithin(50_000), 300)
    log.dropUpTo(index(300))
    assert.strictEqual(log.lowestWithin(50_000), 300)
    assert.strictEqual(log.lowestWithin(10_000), 700)
  })
})
