/**
 * Random runs, one per seed: everything goes wrong, then the cluster has to recover, serve and agree. A failure names
 * the invariant and prints the command that replays it. `npm run sim` runs more.
 */
import { assert, it } from "@effect/vitest"
import { addCounts, missingFrom } from "../../src/testing/Coverage.ts"
import { drawPlan } from "../../src/testing/SimPlan.ts"
import { replayCommand, type SimReport, simulatePlan } from "../../src/testing/Simulation.ts"

const perTest = 10

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
    assert.isAbove(sum((report) => report.countedMs), 100_000 * seeds)
    assert.isAbove(sum((report) => report.elections), 1.5 * seeds)
    assert.isAbove(sum((report) => report.leaderChanges), seeds / 2)
    assert.isAbove(sum((report) => report.answered), 100 * seeds)
    assert.isAbove(sum((report) => report.crashes), seeds)
    assert.isTrue(reports.every((report) => report.answered >= 10), "a run without traffic proves nothing")
    const totals = { faults: new Map(), transitions: new Map(), meetings: new Map(), happenings: new Map() }
    for (const { faults, happenings, meetings, transitions } of reports) {
      addCounts(totals.faults, faults)
      addCounts(totals.transitions, transitions)
      addCounts(totals.meetings, meetings)
      addCounts(totals.happenings, happenings)
    }
    assert.deepStrictEqual(missingFrom(totals, 2), [])
  })

  it("takes the same path when a seed is run again, and another for another seed", () => {
    const again = reports.filter((_, i) => i % 25 === 0)
    for (const report of again) {
      const { hash, steps } = simulatePlan(drawPlan(Number(report.token)))
      assert.deepStrictEqual({ hash, steps }, { hash: report.hash, steps: report.steps }, report.token)
    }
    assert.strictEqual(new Set(reports.map((report) => report.hash)).size, seeds)
  }, 120_000)
}
