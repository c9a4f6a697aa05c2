/** The parts of `distkv bench` that need no cluster. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { LatencyHistogram } from "../../src/cli/bench/LatencyHistogram.ts"
import { progressLine } from "../../src/cli/bench/progressLine.ts"
import { Tally } from "../../src/cli/bench/Tally.ts"

const Micros = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3_600_000_000 }))

describe("the times of a benchmark", () => {
  it.prop(
    "every quantile is that of the sorted times, to 1.6 %, and never above the longest",
    { times: Schema.NonEmptyArray(Micros) },
    ({ times }) => {
      const histogram = new LatencyHistogram()
      for (const micros of times) histogram.add(micros / 1000)
      const sorted = times.toSorted((a, b) => a - b)
      for (const part of [0, 0.5, 0.9, 0.99, 0.999, 1]) {
        const exact = sorted[Math.max(1, Math.ceil(part * sorted.length)) - 1]! / 1000
        const told = histogram.quantile(part)
        assert.isAtLeast(told, exact)
        assert.isAtMost(told, exact * 1.016 + 1e-9)
      }
      assert.strictEqual(histogram.latency.max, sorted.at(-1)! / 1000)
      assert.strictEqual(histogram.count, times.length)
    },
    { arbitrary: { runs: 300, size: 200, seed: 1 } }
  )

  it("is 0 everywhere where nothing was counted", () => {
    assert.deepStrictEqual(new LatencyHistogram().latency, { p50: 0, p90: 0, p99: 0, p999: 0, max: 0 })
  })

  it("failures are counted by their code and are in no rate", () => {
    const tally = new Tally()
    for (const ms of [1, 2, 3]) tally.succeeded(ms)
    for (const code of ["NoLeader", "no reply", "NoLeader"]) tally.failed(code)
    const { count, errors, perSecond } = tally.json(2)
    assert.deepStrictEqual({ count, errors, perSecond }, {
      count: 3,
      errors: { NoLeader: 2, "no reply": 1 },
      perSecond: 1.5
    })
    assert.strictEqual(tally.failures, 3)
  })
})

describe("the progress of a benchmark", () => {
  it("is a bar as long as the part that is done, however far the clock went", () => {
    const line = (part: number, errors = 0) => progressLine({ part, perSecond: 1234.4, p99Ms: 8.06, errors })
    assert.strictEqual(line(0.5), `${"█".repeat(15)}${"░".repeat(15)}  50 %  1,234 calls/s  p99 8.1 ms`)
    assert.strictEqual(line(0), `${"░".repeat(30)}   0 %  1,234 calls/s  p99 8.1 ms`)
    assert.strictEqual(line(1.2, 2), `${"█".repeat(30)} 100 %  1,234 calls/s  p99 8.1 ms  2 failed`)
  })
})
