#!/usr/bin/env node
// Runs simulated clusters, one per seed, on all cores:
//
//   npm run sim -- [--seeds N] [--minutes M] [--from S] [--nodes N] [--ms N] [--off class,class] [--no-shrink]
//   npm run sim -- --seeds N --twice
//   npm run sim -- --power-cuts N
//   npm run sim -- --replay TOKEN
//
// Without `--seeds` it goes on until the minutes are over, or power has failed so often; `--from` goes on where another
// run ended. `--twice` runs each seed twice and compares the paths that both took. A thousand runs or more must also
// have shown every class of faults, every change of role, and every message in every role.
//
// A seed decides everything that happens in its run. The first violation of an invariant is printed with the last
// events and the command that replays it, after leaving out what does not matter for it; then the exit status is 1.
// `--replay` runs one token and prints its timeline in full.
import { availableParallelism } from "node:os"
import { parseArgs } from "node:util"
import { Pool } from "./sim-pool.mjs"
import { Totals } from "./sim-totals.mjs"

const usage =
  "npm run sim -- [--seeds N] [--minutes M] [--from S] [--nodes N] [--ms N] [--off class,class] [--no-shrink] [--twice] " +
  "| --power-cuts N | --replay TOKEN"

const readArguments = () => {
  try {
    const { values } = parseArgs({
      options: {
        seeds: { type: "string" },
        minutes: { type: "string" },
        "power-cuts": { type: "string" },
        twice: { type: "boolean", default: false },
        from: { type: "string", default: "1" },
        nodes: { type: "string" },
        ms: { type: "string" },
        off: { type: "string" },
        replay: { type: "string" },
        workers: { type: "string" },
        "no-shrink": { type: "boolean", default: false }
      }
    })
    for (const name of /** @type {const} */ (["seeds", "minutes", "power-cuts", "from", "nodes", "ms", "workers"])) {
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
    ...(options["power-cuts"] === undefined ? [] : ["power"]),
    ...(options.nodes === undefined ? [] : [`n${options.nodes}`]),
    ...(options.ms === undefined ? [] : [`d${options.ms}`]),
    ...(options.off === undefined ? [] : [`off-${options.off.split(",").join("-")}`])
  ].join(".")

/** @typedef {import("../packages/core/src/testing/Simulation.ts").SimReport} SimReport */

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

/** Numbers of seeds, until there were enough seeds, minutes, or power cuts. */
const seeds = function*(/** @type {Totals} */ totals) {
  const from = Number(options.from)
  const minutes = options.minutes === undefined ? Infinity : Number(options.minutes)
  const cuts = options["power-cuts"] === undefined ? Infinity : Number(options["power-cuts"])
  const count = options.seeds === undefined
    ? options.minutes === undefined && options["power-cuts"] === undefined ? 200 : Infinity
    : Number(options.seeds)
  for (let i = 0; i < count && totals.seconds < minutes * 60 && totals.sums.powerCuts < cuts; i++) yield from + i
}

const many = async () => {
  const pool = new Pool(options.workers === undefined ? availableParallelism() : Number(options.workers))
  const totals = new Totals()
  /** @type {Array<SimReport>} */
  const bad = []
  let shownAt = 0
  await pool.drain(seeds(totals), async (seed) => {
    const token = tokenOf(seed)
    const report = await pool.run({ token })
    totals.add(report)
    if (options.twice) {
      const { hash, steps } = await pool.run({ token })
      if (hash !== report.hash || steps !== report.steps) {
        bad.push({ ...report, violation: { invariant: "I26", message: "took two paths", at: 0 } })
      }
    }
    if (report.violation !== null) {
      bad.push(report)
      console.log(`${process.stdout.isTTY ? "\r\u001b[2K" : ""}${line(report)}`)
    }
    if (process.stdout.isTTY) process.stdout.write(`\r\u001b[2K${totals.progress()}`)
    else if (totals.seconds - shownAt > 30) {
      shownAt = totals.seconds
      console.log(totals.progress())
    }
  })
  console.log(`${process.stdout.isTTY ? "\r\u001b[2K" : ""}${totals.progress()}`)
  console.log(totals.summary())
  if (options.twice) {
    console.log(`${totals.runs} seeds run twice: ${bad.length === 0 ? "the same paths" : "NOT the same"}`)
  }
  const first = bad.sort((a, b) => a.simulatedMs - b.simulatedMs)[0]
  if (first !== undefined) {
    print(options["no-shrink"] || first.violation?.invariant === "I26" ? first : await shrink(pool, first))
  }
  await pool.end()
  // A choice of classes leaves out what it leaves out.
  const isWhole = totals.runs >= 1000 && options.off === undefined && options["power-cuts"] === undefined
  const missing = isWhole ? totals.missing(totals.runs / 100) : []
  if (missing.length > 0) console.log(`happened too seldom: ${missing.join(", ")}`)
  return bad.length === 0 && missing.length === 0 ? 0 : 1
}

try {
  process.exitCode = options.replay === undefined ? await many() : await replay(options.replay)
} catch (error) {
  console.error(/** @type {Error} */ (error).message)
  process.exit(2)
}
