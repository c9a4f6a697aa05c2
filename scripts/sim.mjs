#!/usr/bin/env node
// Runs simulated clusters, one per seed, on all cores:
//
//   npm run sim -- [--seeds N] [--minutes M] [--from S] [--nodes N] [--ms N] [--off class,class] [--no-shrink]
//   npm run sim -- --results FILE [--seeds N] [--hours H] [--minutes M]
//   npm run sim -- --seeds N --twice
//   npm run sim -- --power-cuts N
//   npm run sim -- --replay TOKEN
//
// Without `--seeds` it goes on until the minutes are over, so many hours are simulated, or power has failed so often.
// With a results file a later call goes on where the last one ended, whatever ended it; seeds, hours and power cuts
// then count over all calls, minutes are those of this one. `--twice` runs each seed twice and compares the paths that
// both took. A thousand runs or more must also have shown every class of faults, every change of role, and every
// message in every role.
//
// A seed decides everything that happens in its run. The first violation of an invariant is printed with the last
// events and the command that replays it, after leaving out what does not matter for it; then the exit status is 1.
// `--replay` runs one token and prints its timeline in full.
import { availableParallelism } from "node:os"
import { numberOf, readArguments } from "./arguments.mjs"
import { Pool } from "./sim-pool.mjs"
import { Results } from "./sim-results.mjs"

const usage = "npm run sim -- [--seeds N] [--minutes M] [--hours H] [--results FILE] [--from S] [--nodes N] [--ms N] " +
  "[--off class,class] [--workers N] [--no-shrink] [--twice] | --power-cuts N | --replay TOKEN"

const options = readArguments(usage, {
  seeds: { type: "string" },
  minutes: { type: "string" },
  hours: { type: "string" },
  results: { type: "string" },
  "power-cuts": { type: "string" },
  twice: { type: "boolean", default: false },
  from: { type: "string", default: "1" },
  nodes: { type: "string" },
  ms: { type: "string" },
  off: { type: "string" },
  replay: { type: "string" },
  workers: { type: "string" },
  "no-shrink": { type: "boolean", default: false }
})
const numbers = /** @type {const} */ (["seeds", "minutes", "hours", "power-cuts", "from", "nodes", "ms", "workers"])
for (const name of numbers) numberOf(usage, name, options[name] ?? "0")

/** What the tokens of these runs hold beside the seed. */
const kind = [
  ...(options["power-cuts"] === undefined ? [] : [".power"]),
  ...(options.nodes === undefined ? [] : [`.n${options.nodes}`]),
  ...(options.ms === undefined ? [] : [`.d${options.ms}`]),
  ...(options.off === undefined ? [] : [`.off-${options.off.split(",").join("-")}`])
].join("")

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

/** Seeds, until there were enough of them, or enough minutes, hours, or power cuts, or somebody ends it. */
const seeds = function*(/** @type {Results} */ results) {
  const limit = (/** @type {string | undefined} */ value) => value === undefined ? Infinity : Number(value)
  const { hours, minutes } = options
  const cuts = limit(options["power-cuts"])
  const isBounded = [minutes, hours, options["power-cuts"]].some((value) => value !== undefined)
  const count = options.seeds === undefined && !isBounded ? 200 : limit(options.seeds)
  const { totals } = results
  let isEnded = false
  const end = () => void (isEnded = true)
  process.once("SIGINT", end).once("SIGTERM", end)
  while (
    !isEnded && results.taken < count && totals.secondsNow < limit(minutes) * 60 &&
    totals.simulatedHours < limit(hours) && totals.sums.powerCuts < cuts
  ) yield results.take()
}

const many = async () => {
  const results = new Results(options.results, { from: Number(options.from), kind })
  const { totals } = results
  const pool = new Pool(options.workers === undefined ? availableParallelism() : Math.max(1, Number(options.workers)))
  /** @type {Array<SimReport>} */
  const bad = []
  let shownAt = 0
  await pool.drain(seeds(results), async (seed) => {
    const token = `${seed}${kind}`
    let report = await pool.run({ token })
    if (options.twice) {
      const { hash, steps } = await pool.run({ token })
      if (hash !== report.hash || steps !== report.steps) {
        report = { ...report, violation: { invariant: "I26", message: "took two paths", at: 0 } }
      }
    }
    results.add(seed, report)
    if (report.violation !== null) {
      bad.push(report)
      console.log(`${process.stdout.isTTY ? "\r\u001b[2K" : ""}${line(report)}`)
    }
    if (process.stdout.isTTY) process.stdout.write(`\r\u001b[2K${totals.progress()}`)
    else if (totals.secondsNow - shownAt > 30) {
      shownAt = totals.secondsNow
      console.log(totals.progress())
    }
  })
  results.save()
  console.log(`${process.stdout.isTTY ? "\r\u001b[2K" : ""}${totals.progress()}`)
  console.log([totals.summary(), ...results.calls()].join("\n"))
  if (options.twice) {
    console.log(`${totals.runs} seeds run twice: ${totals.violations === 0 ? "the same paths" : "NOT the same"}`)
  }
  for (const violated of totals.violated) console.log(violated)
  const first = bad.sort((a, b) => a.simulatedMs - b.simulatedMs)[0]
  if (first !== undefined) {
    print(options["no-shrink"] || first.violation?.invariant === "I26" ? first : await shrink(pool, first))
  }
  await pool.end()
  // A choice of classes leaves out what it leaves out.
  const isWhole = totals.runs >= 1000 && options.off === undefined && options["power-cuts"] === undefined
  const missing = isWhole ? totals.missing(totals.runs / 100) : []
  if (missing.length > 0) console.log(`happened too seldom: ${missing.join(", ")}`)
  return totals.violations === 0 && missing.length === 0 ? 0 : 1
}

try {
  process.exitCode = options.replay === undefined ? await many() : await replay(options.replay)
} catch (error) {
  console.error(/** @type {Error} */ (error).message)
  process.exit(2)
}
