#!/usr/bin/env node
// Puts known bugs into copies of the program, one at a time, and sees which invariant or test notices:
//
//   npm run mutants -- [--only id,id] [--seeds N] [--workers N] [--results FILE] [--write]
//   npm run mutants -- --fit
//
// The bugs, and what is expected to name each, are in scripts/mutants. A mutant that nobody notices within the seeds,
// or whose text is no longer in the program, makes the exit status 1; `--fit` looks for the texts only. With a results
// file a later call goes on where the last one ended: what was noticed is not run again, and of what was not, only the
// seeds that are left. `--write` puts the table of all results into docs/MUTANTS.md.
import { execFile } from "node:child_process"
import { rmSync } from "node:fs"
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises"
import { availableParallelism, constants, tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { performance } from "node:perf_hooks"
import { fileURLToPath, pathToFileURL } from "node:url"
import { promisify } from "node:util"
import { Worker } from "node:worker_threads"
import { endWithUsage, numberOf, readArguments } from "./arguments.mjs"
import { Findings } from "./mutants/findings.mjs"
import { mutants } from "./mutants/index.mjs"

/** @typedef {import("./mutants/index.mjs").Mutant} Mutant */
/**
 * @typedef {object} Verdict
 * @property {Mutant} mutant
 * @property {string | null} by What noticed; null where nothing did.
 * @property {number} seeds How many seeds it took; 0 where a test noticed.
 * @property {string} detail
 */

const root = join(dirname(fileURLToPath(import.meta.url)), "..")
const core = join(root, "packages/core")
/** A seed that takes longer than this is stuck. */
const stuckAfterMs = 120_000
/** Each seed is a storm of so many milliseconds: where the bugs are, and nothing else. */
const tail = ".d12000"

const usage = "npm run mutants -- [--only id,id] [--seeds N] [--workers N] [--results FILE] [--write] | --fit"
const options = readArguments(usage, {
  only: { type: "string" },
  seeds: { type: "string", default: "500" },
  workers: { type: "string" },
  results: { type: "string" },
  fit: { type: "boolean", default: false },
  write: { type: "boolean", default: false }
})
const seedsMost = numberOf(usage, "seeds", options.seeds)
const workers = options.workers === undefined
  ? availableParallelism()
  : Math.max(1, numberOf(usage, "workers", options.workers))

/**
 * Why a mutant's edits do not apply, or null where they do.
 * @param {Mutant} mutant
 */
const misfit = async ({ edits, id }) => {
  for (const { file, from } of edits) {
    const places = (await readFile(join(core, "src", file), "utf8")).split(from).length - 1
    if (places !== 1) return `${id}: ${places} places in ${file} match; the mutant has to be written anew`
  }
  return null
}

/** Copies that are there: none stays, however this ends. */
const places = /** @type {Set<string>} */ (new Set())
process.once("exit", () => {
  for (const place of places) rmSync(place, { recursive: true, force: true, maxRetries: 10 })
})
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
  process.once(signal, () => process.exit(128 + constants.signals[signal]))
}

/**
 * A copy of the core with the mutant's edits, which apply.
 * @param {Mutant} mutant
 */
const copyWith = async ({ edits }) => {
  const place = await mkdtemp(join(tmpdir(), "distkv-mutant-"))
  places.add(place)
  const copy = join(place, "packages/core")
  await mkdir(copy, { recursive: true })
  for (const name of ["src", "test", "package.json", "vitest.config.ts", "tsconfig.json"]) {
    await cp(join(core, name), join(copy, name), { recursive: true })
  }
  for (const name of await readdir(root)) {
    if (/^tsconfig.*\.json$/.test(name)) await cp(join(root, name), join(place, name))
  }
  await symlink(join(root, "node_modules"), join(place, "node_modules"))
  await symlink(join(core, "node_modules"), join(copy, "node_modules"))
  for (const { file, from, to } of edits) {
    const path = join(copy, "src", file)
    await writeFile(path, (await readFile(path, "utf8")).split(from).join(to))
  }
  return place
}

/**
 * @param {Mutant} mutant
 * @param {string} place
 * @param {number} done Seeds that have not noticed it before.
 * @returns {Promise<Verdict>}
 */
const simulate = (mutant, place, done) =>
  new Promise((resolve) => {
    const entry = pathToFileURL(join(place, "packages/core/src/testing/index.ts")).href
    const worker = new Worker(new URL("./mutant-worker.mjs", import.meta.url), {
      workerData: { entry, from: done + 1, seeds: seedsMost - done, tail },
      stderr: true
    })
    let seeds = done
    const end = (/** @type {string | null} */ by, /** @type {string} */ detail) => {
      clearTimeout(timer)
      void worker.terminate()
      resolve({ mutant, by, seeds, detail })
    }
    let timer = setTimeout(() => end("stuck", "a seed never ended"), stuckAfterMs)
    worker.on("message", ({ token, violation }) => {
      seeds++
      clearTimeout(timer)
      timer = setTimeout(() => end("stuck", "a seed never ended"), stuckAfterMs)
      if (violation !== null) end(violation.invariant, `${token}: ${violation.message.split("\n")[0]}`)
    })
    worker.on("error", (error) => end("defect", error.message))
    worker.on("exit", () => end(null, ""))
  })

const run = promisify(execFile)

/**
 * @param {Mutant} mutant
 * @param {string} place
 * @param {string} file
 * @returns {Promise<Verdict>}
 */
const test = async (mutant, place, file) => {
  const vitest = join(root, "node_modules/vitest/vitest.mjs")
  const output = join(place, "report.json")
  const args = [
    vitest,
    "run",
    "--root",
    join(place, "packages/core"),
    "--reporter=json",
    `--outputFile=${output}`,
    file
  ]
  // A failing test is what is hoped for here; what else went wrong shows in the report, or in its absence.
  await run(process.execPath, args, { cwd: root, maxBuffer: 1 << 28, timeout: 300_000 }).catch(() => {})
  const report = JSON.parse(await readFile(output, "utf8"))
  /** @type {ReadonlyArray<{ status: string, fullName: string }>} */
  const tests = report.testResults.flatMap((/** @type {{ assertionResults: object }} */ each) => each.assertionResults)
  if (tests.length === 0) throw new Error(`${mutant.id}: ${file} has no tests`)
  const failed = tests.find(({ status }) => status === "failed")
  return { mutant, by: failed === undefined ? null : file, seeds: 0, detail: failed?.fullName ?? "" }
}

/** @param {Mutant} mutant */
const judge = async (mutant) => {
  const known = findings.of(mutant)
  if (known !== null && (known.by !== null || known.seeds >= seedsMost)) return { mutant, ...known }
  const place = await copyWith(mutant)
  try {
    const verdict = "test" in mutant.expect
      ? await test(mutant, place, mutant.expect.test)
      : await simulate(mutant, place, known?.seeds ?? 0)
    findings.add(mutant, verdict)
    return verdict
  } finally {
    await rm(place, { recursive: true, force: true })
    places.delete(place)
  }
}

/** @param {Mutant} mutant */
const expected = ({ expect }) => "test" in expect ? [expect.test] : expect

const findings = new Findings(options.results)

/** @param {Verdict} verdict */
const isNamed = ({ by, mutant }) => by !== null && expected(mutant).includes(by)

/** @param {ReadonlyArray<Verdict>} verdicts */
const summary = (verdicts) => {
  const caught = verdicts.filter(({ by }) => by !== null)
  const counts = caught.filter(({ seeds }) => seeds > 0).map(({ seeds }) => seeds).sort((a, b) => a - b)
  const median = counts[Math.floor(counts.length / 2)] ?? 0
  return `${caught.length} of ${verdicts.length} mutants noticed, ${caught.filter(isNamed).length} by what was ` +
    `expected; by simulation after ${median} seeds at the median, ${counts.at(-1) ?? 0} at most`
}

/** @param {ReadonlyArray<Verdict>} verdicts */
const table = (verdicts) =>
  [
    "# Mutants",
    "",
    "Known bugs, put back into a copy of the program one at a time, and what noticed them. `npm run mutants -- --write`",
    "makes this file. The bugs, and what was expected to notice each before it was first run, are in `scripts/mutants`;",
    "where an expectation turned out to be wrong, or a mutant had to be replaced, a note says so. Each seed is a storm of",
    "twelve simulated seconds. A dash instead of a number of seeds: a test noticed.",
    "",
    `${summary(verdicts)}.`,
    "",
    "| mutant | bug | what it does wrong | expected | noticed by | seeds |",
    "|---|---|---|---|---|---|",
    ...verdicts.map(({ by, mutant, seeds }) =>
      `| ${mutant.id} | ${mutant.bug} | ${mutant.what} | ${expected(mutant).join(", ")} | ` +
      `${by ?? "**nobody**"} | ${"test" in mutant.expect ? "–" : seeds} |`
    ),
    "",
    "## Notes",
    "",
    ...verdicts.filter(({ mutant }) => mutant.note !== undefined).map(({ mutant }) =>
      `- **${mutant.id}**: ${mutant.note}`
    ),
    ""
  ].join("\n")

const chosen = options.only === undefined
  ? mutants
  : mutants.filter(({ id }) => options.only?.split(",").includes(id))
for (const id of options.only?.split(",") ?? []) {
  if (!mutants.some((mutant) => mutant.id === id)) endWithUsage(usage, `there is no mutant ${id}`)
}
const began = performance.now()
const misfits = (await Promise.all(chosen.map(misfit))).filter((text) => text !== null)
for (const text of misfits) console.error(text)
if (options.fit || misfits.length > 0) process.exit(misfits.length > 0 ? 1 : 0)
/** @type {Array<Verdict>} */
const verdicts = []
/** @type {Array<string>} */
const broken = []
const queue = chosen.values()
await Promise.all(Array.from({ length: workers }, async () => {
  for (const mutant of queue) {
    try {
      const verdict = await judge(mutant)
      verdicts.push(verdict)
      const mark = verdict.by === null ? "✗" : isNamed(verdict) ? "✓" : "~"
      console.log(
        `${mark} ${mutant.id}: ${verdict.by ?? "nobody notices"} (expected ${expected(mutant).join(", ")})` +
          `${verdict.seeds > 0 ? ` after ${verdict.seeds} seeds` : ""} ${verdict.detail.slice(0, 160)}`
      )
    } catch (error) {
      broken.push(mutant.id)
      console.error(`✗ ${/** @type {Error} */ (error).message}`)
    }
  }
}))
verdicts.sort((a, b) => chosen.indexOf(a.mutant) - chosen.indexOf(b.mutant))
console.log(`${summary(verdicts)} (${((performance.now() - began) / 1000).toFixed(0)} s)`)
if (options.write) await writeFile(join(root, "docs/MUTANTS.md"), table(verdicts))
process.exitCode = broken.length === 0 && verdicts.every(({ by }) => by !== null) ? 0 : 1
