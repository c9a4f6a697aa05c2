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

const maps = /** @type {const} */ (["faults", "transitions", "meetings", "happenings"])

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
    /** @type {Map<string, number>} */
    this.happenings = new Map()
    this.slowest = { token: "", recovery: 0 }
    /** What was violated, as `token: invariant message`. @type {Array<string>} */
    this.violated = []
    /** Seconds of earlier calls. */
    this.secondsBefore = 0
  }

  /**
   * What `toJSON` made of it, or new totals.
   * @param {any} saved
   */
  static from(saved) {
    const totals = new Totals()
    if (saved === null) return totals
    totals.runs = saved.runs
    totals.violations = saved.violations
    totals.violated = saved.violated
    totals.secondsBefore = saved.seconds
    totals.slowest = saved.slowest
    Object.assign(totals.sums, saved.sums)
    for (const name of maps) addCounts(totals[name], saved[name] ?? {})
    return totals
  }

  toJSON() {
    const { runs, seconds, slowest, sums, violated, violations } = this
    const counts = Object.fromEntries(maps.map((name) => [name, Object.fromEntries(this[name])]))
    return { runs, violations, violated, seconds, slowest, sums, ...counts }
  }

  /** @param {SimReport} report */
  add(report) {
    this.runs++
    if (report.violation !== null) {
      this.violations++
      this.violated.push(`${report.token}: ${report.violation.invariant} ${report.violation.message.split("\n")[0]}`)
    }
    for (const name of added) this.sums[name] += report[name]
    addCounts(this.faults, report.faults)
    addCounts(this.transitions, report.transitions)
    addCounts(this.meetings, report.meetings)
    addCounts(this.happenings, report.happenings)
    const recovery = report.recoveryMs / report.electionTimeoutMs
    if (recovery > this.slowest.recovery) this.slowest = { token: report.token, recovery }
  }

  /** Of this call. */
  get secondsNow() {
    return (performance.now() - this.began) / 1000
  }

  /** Over all calls. */
  get seconds() {
    return this.secondsBefore + this.secondsNow
  }

  get simulatedHours() {
    return this.sums.simulatedMs / hourMs
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
      `messages: ${counts(this.meetings)}`,
      `happenings: ${counts(this.happenings)}`
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
