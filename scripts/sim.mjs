#!/usr/bin/env node
// Runs simulated clusters, one per seed, on all cores:
//
//   npm run sim -- [--seeds N] [--from S] [--nodes N] [--ms N] [--off class,class] [--no-shrink]
//   npm run sim -- --replay TOKEN
//
// A seed decides everything that happens in its run. The first violation of an invariant is printed with the last
// events and the command that replays it, after leaving out what does not matter for it; then the exit status is 1.
// `--replay` runs one token and prints its timeline in full.
import { availableParallelism } from "node:os"
import { performance } from "node:perf_hooks"
import { parseArgs } from "node:util"
import { Worker } from "node:worker_threads"

const usage =
  "npm run sim -- [--seeds N] [--from S] [--nodes N] [--ms N] [--off class,class] [--no-shrink] | --replay TOKEN"

const readArguments = () => {
  try {
    const { values } = parseArgs({
      options: {
        seeds: { type: "string", default: "200" },
        from: { type: "string", default: "1" },
        nodes: { type: "string" },
        ms: { type: "string" },
        off: { type: "string" },
        replay: { type: "string" },
        workers: { type: "string" },
        "no-shrink": { type: "boolean", default: false }
      }
    })
    for (const name of /** @type {const} */ (["seeds", "from", "nodes", "ms", "workers"])) {
      if (values[name] !== undefined && !/^\d+$/.test(values[name])) throw new Error(`--${name} wants a number`)
    }
    return values
  } catch (error) {
    console.error(`${/** @type {Error} */ (error).message}\nusage: ${usage}`)
    return process.exit(2)
  }
}

const options = readArguments()

/** @param {number} seed */
const tokenOf = (seed) =>
  [
    String(seed),
    ...(options.nodes === undefined ? [] : [`n${options.nodes}`]),
    ...(options.ms === undefined ? [] : [`d${options.ms}`]),
    ...(options.off === undefined ? [] : [`off-${options.off.split(",").join("-")}`])
  ].join(".")

/** @typedef {import("../packages/core/src/testing/Simulation.ts").SimReport} SimReport */

class Pool {
  /** @param {number} size */
  constructor(size) {
    this.workers = Array.from({ length: size }, () => new Worker(new URL("./sim-worker.mjs", import.meta.url)))
    this.free = [...this.workers]
    /** @type {Array<(worker: Worker) => void>} */
    this.waiting = []
  }

  /**
   * @param {{ token: string, events?: number }} task
   * @returns {Promise<SimReport>}
   */
  async run(task) {
    /** @type {Worker} */
    const worker = this.free.pop() ?? await new Promise((resolve) => this.waiting.push(resolve))
    const [message] = await new Promise((resolve, reject) => {
      worker.once("error", reject)
      worker.once("message", (/** @type {unknown} */ answer) => {
        worker.off("error", reject)
        resolve([answer])
      })
      worker.postMessage(task)
    })
    const next = this.waiting.shift()
    if (next === undefined) this.free.push(worker)
    else next(worker)
    if ("error" in message) throw new Error(message.error)
    return message.report
  }

  async end() {
    await Promise.all(this.workers.map((worker) => worker.terminate()))
  }
}

/** @param {SimReport} report */
const line = ({ token, violation }) => `${token}: ${violation?.invariant} ${violation?.message.split("\n")[0]}`

/** @param {SimReport} report */
const print = (report) => {
  if (report.violation === null) return
  const { at, invariant, message } = report.violation
  console.log(report.timeline)
  console.log(`\n${invariant} after ${at.toFixed(3)} ms: ${message}`)
  console.log(`replay: npm run sim -- --replay ${report.token}`)
}

/**
 * Leaves out one class of faults after the other, and shortens the run, as long as the same invariant breaks.
 * @param {Pool} pool
 * @param {SimReport} report
 */
const shrink = async (pool, report) => {
  const { faultClasses, planOf, tokenOf: write } = await import("@distkv/core/testing")
  let best = report
  const tryPlan = async (/** @type {import("../packages/core/src/testing/SimPlan.ts").PlanOverrides} */ overrides) => {
    const plan = planOf(best.token)
    const token = write({ ...plan, overrides: { ...plan.overrides, ...overrides } })
    const next = await pool.run({ token })
    if (next.violation?.invariant !== report.violation?.invariant) return
    best = next
  }
  for (const name of faultClasses) {
    const plan = planOf(best.token)
    if (plan.classes.has(name)) await tryPlan({ off: [...(plan.overrides.off ?? []), name] })
  }
  for (let i = 0; i < 6; i++) await tryPlan({ faultMs: Math.ceil(planOf(best.token).faultMs / 2) })
  return best
}

const replay = async (/** @type {string} */ token) => {
  const pool = new Pool(1)
  const report = await pool.run({ token, events: 100_000 })
  await pool.end()
  print(report)
  const { timeline: _, ...rest } = report
  console.log(rest)
  return report.violation === null ? 0 : 1
}

const many = async () => {
  const from = Number(options.from)
  const count = Number(options.seeds)
  const pool = new Pool(
    Math.min(count, options.workers === undefined ? availableParallelism() : Number(options.workers))
  )
  const began = performance.now()
  const total = { runs: 0, simulatedMs: 0, answered: 0, elections: 0, leaderChanges: 0, crashes: 0, entries: 0 }
  /** @type {Map<string, number>} */
  const faults = new Map()
  /** @type {Array<SimReport>} */
  const bad = []
  let slowest = { token: "", recovery: 0 }
  const show = () => {
    const seconds = (performance.now() - began) / 1000
    return `${total.runs}/${count} seeds, ${bad.length} violations, ${
      (total.simulatedMs / 3_600_000).toFixed(2)
    } h simulated, ` +
      `${(total.simulatedMs / 1000 / seconds).toFixed(0)} times as fast as time`
  }
  const one = async (/** @type {number} */ seed) => {
    const report = await pool.run({ token: tokenOf(seed) })
    total.runs++
    for (
      const name
        of /** @type {const} */ (["simulatedMs", "answered", "elections", "leaderChanges", "crashes", "entries"])
    ) {
      total[name] += report[name]
    }
    for (const [name, times] of Object.entries(report.faults)) faults.set(name, (faults.get(name) ?? 0) + times)
    const recovery = report.recoveryMs / report.electionTimeoutMs
    if (recovery > slowest.recovery) slowest = { token: report.token, recovery }
    if (report.violation !== null) {
      bad.push(report)
      console.log(`${process.stdout.isTTY ? "\r\u001b[2K" : ""}${line(report)}`)
    }
    if (process.stdout.isTTY) process.stdout.write(`\r\u001b[2K${show()}`)
    else if (total.runs % 50 === 0) console.log(show())
  }
  await Promise.all(Array.from({ length: count }, (_, i) => one(from + i)))
  console.log(`${process.stdout.isTTY ? "\r\u001b[2K" : ""}${show()}`)
  console.log(
    `${total.answered} calls answered, ${total.entries} entries committed, ${total.elections} elections, ` +
      `${total.leaderChanges} changes of leader, ${total.crashes} restarts; slowest recovery ` +
      `${slowest.recovery.toFixed(1)} T (${slowest.token})`
  )
  console.log(
    `faults: ${[...faults].filter(([, times]) => times > 0).map(([name, times]) => `${name} ${times}`).join(", ")}`
  )
  const first = bad.sort((a, b) => a.simulatedMs - b.simulatedMs)[0]
  if (first !== undefined) {
    print(options["no-shrink"] ? first : await shrink(pool, first))
  }
  await pool.end()
  return bad.length === 0 ? 0 : 1
}

try {
  process.exitCode = options.replay === undefined ? await many() : await replay(options.replay)
} catch (error) {
  console.error(/** @type {Error} */ (error).message)
  process.exit(2)
}
