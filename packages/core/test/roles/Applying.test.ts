/** Applying that lags behind committing: what waits is bounded, and what has to see it waits. */
import { assert, describe, it } from "@effect/vitest"
import { index } from "../rules/Logs.ts"
import { accepted, Bench, put } from "./Bench.ts"

describe("a leader whose applying is slow", () => {
  // scenario: C12
  // fails-with: takes-writes-without-end serves-what-it-has
  it("takes writes until so many wait to be applied, lets reads wait, and goes on when it has caught up", () => {
    const bench = new Bench({ log: [1, 1, 1], term: 1, limits: { pendingWrites: 4 } })
    // What was in the log before the start has to be read back, which takes its time.
    bench.node.log.evict(index(3), 0)
    bench.lead([2]).deliver(accepted(2, 2, 4))
    assert.deepStrictEqual([bench.node.commit, bench.node.machine.applied], [index(4), index(0)])
    const reads = bench.read()
    const { round } = bench.take("AppendRequest").at(-1)!.message
    bench.deliver(accepted(2, 2, 4, round))
    const ends = Array.from({ length: 20 }, (_, i) => {
      const write = bench.propose(`k${i}`)
      bench.persist().deliver(accepted(2, 2, Number(bench.node.log.last), round))
      return write
    })
    assert.isAtMost(bench.node.commit - bench.node.machine.applied, 4 * 4 + 1)
    const refused = ends.flat().map((end) => end._tag === "Failed" ? end.error._tag : end._tag)
    assert.isAbove(refused.length, 0)
    assert.deepStrictEqual([...new Set(refused)], ["Overloaded"])
    assert.lengthOf(reads, 0)
    bench.deliver({ _tag: "EntriesRead", to: null, entries: [put(1, 1), put(1, 2), put(1, 3)] })
    assert.strictEqual(bench.node.machine.applied, bench.node.commit)
    assert.deepStrictEqual(reads, [null])
    const last = bench.propose("last")
    bench.persist().deliver(accepted(2, 2, Number(bench.node.log.last), round))
    assert.deepStrictEqual(last.map((end) => end._tag), ["Applied"])
  })
})
