// What many simulated runs added up to.
import { addCounts, missingFrom } from "@distkv/core/testing"
import { performance } from "node:perf_hooks"

/** @typedef {import("../packages/core/src/testing/Simulation.ts").SimReport} SimReport */

const hourMs = 3_600_000
const added = /** @type {const} */ ([
  "simulatedMs",
  "countedMs",
  "calls",
  "answered",
  "elections",
  "leaderChanges",
  "crashes",
  "powerCuts",
  "entries"
])

export class Totals {
  constructor() {
    this.began = performance.now()
    this.runs = 0
    this.violations = 0
    this.sums = {
      simulatedMs: 0,
      countedMs: 0,
      calls: 0,
      answered: 0,
      elections: 0,
      leaderChanges: 0,
      crashes: 0,
      powerCuts: 0,
      entries: 0
    }
    /** @type {Map<string, number>} */
    this.faults = new Map()
    /** @type {Map<string, number>} */
    this.transitions = new Map()
    /** @type {Map<string, number>} */
    this.meetings = new Map()
    this.slowest = { token: "", recovery: 0 }
  }

  /** @param {SimReport} report */
  add(report) {
    this.runs++
    if (report.violation !== null) this.violations++
    for (const name of added) this.sums[name] += report[name]
    addCounts(this.faults, report.faults)
    addCounts(this.transitions, report.transitions)
    addCounts(this.meetings, report.meetings)
    const recovery = report.recoveryMs / report.electionTimeoutMs
    if (recovery > this.slowest.recovery) this.slowest = { token: report.token, recovery }
  }

  get seconds() {
    return (performance.now() - this.began) / 1000
  }

  /** One line. */
  progress() {
    const { countedMs, powerCuts, simulatedMs } = this.sums
    return `${this.runs} seeds, ${this.violations} violations, ${(simulatedMs / hourMs).toFixed(2)} h simulated ` +
      `(${(countedMs / hourMs).toFixed(2)} h with 50 calls and a fault each minute), ${powerCuts} power cuts, ` +
      `${(simulatedMs / 1000 / this.seconds).toFixed(0)} times as fast as time`
  }

  /** Several lines. */
  summary() {
    const { answered, calls, crashes, elections, entries, leaderChanges } = this.sums
    const counts = (/** @type {Map<string, number>} */ map) =>
      [...map.keys()].sort().filter((name) => map.get(name) !== 0).map((name) => `${name} ${map.get(name)}`).join(", ")
    return [
      `${calls} calls, ${answered} answered, ${entries} entries committed, ${elections} elections, ` +
      `${leaderChanges} changes of leader, ${crashes} restarts; slowest recovery ` +
      `${this.slowest.recovery.toFixed(1)} T (${this.slowest.token})`,
      `faults: ${counts(this.faults)}`,
      `roles: ${counts(this.transitions)}`,
      `messages: ${counts(this.meetings)}`
    ].join("\n")
  }

  /**
   * What many runs should have shown and these have not.
   * @param {number} times
   */
  missing(times) {
    return missingFrom(this, times)
  }
}
