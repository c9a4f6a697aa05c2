/**
 * Random runs, one per seed: everything goes wrong, then the cluster has to recover, serve and agree. A failure names
 * the invariant and prints the command that replays it. `npm run sim` runs more.
 */
import { assert, it } from "@effect/vitest"
import { drawPlan, faultClasses } from "../../src/testing/SimPlan.ts"
import { replayCommand, type SimReport, simulatePlan } from "../../src/testing/Simulation.ts"

const perTest = 20

/** Declares the tests of the seeds from `first` to `last`; two files share them, so that two processes do. */
export const seedTests = (first: number, last: number): void => {
  const reports: Array<SimReport> = []
  const seeds = last - first + 1

  for (let from = first; from <= last; from += perTest) {
    it(`seeds ${from} to ${from + perTest - 1} break no invariant, recover and agree`, () => {
      for (let seed = from; seed < from + perTest; seed++) {
        const plan = drawPlan(seed)
        const report = simulatePlan(plan)
        reports.push(report)
        const { violation } = report
        assert.isNull(
          violation,
          `${violation?.invariant}: ${violation?.message}\n${report.timeline}\n${replayCommand(plan)}`
        )
      }
    }, 120_000)
  }

  it("saw every kind of fault, elections and changes of leader, and served all the while", () => {
    assert.lengthOf(reports, seeds)
    const sum = (count: (report: SimReport) => number) => reports.reduce((total, report) => total + count(report), 0)
    assert.isAbove(sum((report) => report.elections), 1.5 * seeds)
    assert.isAbove(sum((report) => report.leaderChanges), seeds / 2)
    assert.isAbove(sum((report) => report.answered), 100 * seeds)
    assert.isAbove(sum((report) => report.crashes), seeds)
    assert.isTrue(reports.every((report) => report.answered >= 10), "a run without traffic proves nothing")
    // Classes that are not events of their own are counted under other names, or change how everything runs.
    const counted: Partial<Record<string, string>> = {
      drop: "dropped",
      dropType: "dropped",
      delay: "spiked",
      clog: "clogged",
      duplicate: "duplicated",
      replay: "replayed",
      reorder: "reordered"
    }
    const silent = ["clockRate", "tight", "fuzz"]
    for (const name of faultClasses) {
      if (silent.includes(name)) continue
      assert.isAtLeast(sum((report) => report.faults[counted[name] ?? name] ?? 0), 2, name)
    }
  })

  it("takes the same path when a seed is run again, and another for another seed", () => {
    const again = reports.filter((_, i) => i % 10 === 0)
    for (const report of again) {
      const { hash, steps } = simulatePlan(drawPlan(Number(report.token)))
      assert.deepStrictEqual({ hash, steps }, { hash: report.hash, steps: report.steps }, report.token)
    }
    assert.strictEqual(new Set(reports.map((report) => report.hash)).size, seeds)
  }, 120_000)
}
