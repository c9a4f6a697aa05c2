// What `npm test` runs: everything that must hold before a change is good, cheapest first, up to the first failure.
//
//   node scripts/check.mjs [--only a,b | --no-tests] [arguments of vitest, where it runs …]
//
// The environment variable DISTKV_TEST_REPORT names a file to which vitest also writes its results as JSON.
import { spawn } from "node:child_process"
import { dirname, join } from "node:path"
import { performance } from "node:perf_hooks"
import { fileURLToPath } from "node:url"
import { endWithUsage } from "./arguments.mjs"

const root = join(dirname(fileURLToPath(import.meta.url)), "..")

/**
 * @typedef {object} Stage
 * @property {string} name
 * @property {string} finds What a failure of it means.
 * @property {ReadonlyArray<string>} command
 * @property {boolean} [live] Its output is shown while it runs, and not only when it fails.
 */

/** @param {ReadonlyArray<string>} args */
const vitest = (args) => {
  const report = process.env["DISTKV_TEST_REPORT"]
  const json = report === undefined ? [] : ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`]
  return ["vitest", "run", "--config", "vitest.workspace.ts", ...json, ...args]
}

/**
 * @param {ReadonlyArray<string>} vitestArgs
 * @returns {ReadonlyArray<Stage>}
 */
const stages = (vitestArgs) => [
  { name: "types", finds: "the types do not fit", command: ["tsc", "-b", "--pretty"] },
  {
    name: "effects",
    finds: "an Effect is built and never run, or lacks what it needs",
    command: ["effect-tsgo", "diagnostics", "--severity", "error", "--project", "tsconfig.json"]
  },
  { name: "lint", finds: "a rule of .oxlintrc.json is broken", command: ["oxlint", "--type-aware", "--deny-warnings"] },
  { name: "tidy", finds: "a rule of scripts/tidy.mjs is broken", command: ["node", "scripts/tidy.mjs"] },
  { name: "format", finds: "`npm run fix` has something to do", command: ["dprint", "check", "--list-different"] },
  { name: "unused", finds: "something is exported, depended on or kept, and not used", command: ["knip"] },
  {
    name: "scenarios",
    finds: "docs/SCENARIOS.md does not say what the tests do: `npm run scenarios`",
    command: ["node", "scripts/scenarios.mjs", "--check"]
  },
  { name: "tests", finds: "a test failed", command: vitest(vitestArgs), live: true }
]

/**
 * Answers with the exit status and, where the output was not live, what was printed.
 * @param {ReadonlyArray<string>} command
 * @param {boolean} live
 * @returns {Promise<{ status: number, output: string }>}
 */
const run = ([name = "", ...args], live) =>
  new Promise((resolve) => {
    const child = spawn(name, args, {
      cwd: root,
      stdio: ["ignore", live ? "inherit" : "pipe", live ? "inherit" : "pipe"]
    })
    let output = ""
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8").on("data", (text) => output += text)
    child.on("error", (error) => resolve({ status: 127, output: `${name}: ${error.message}\n` }))
    child.on("close", (code, signal) => resolve({ status: code ?? 1, output: output + (signal ?? "") }))
  })

/** @param {Stage} stage */
const passes = async ({ command, finds, live = false, name }) => {
  const began = performance.now()
  if (live) console.log(`\n── ${name}`)
  const { output, status } = await run(command, live)
  const seconds = ((performance.now() - began) / 1000).toFixed(1)
  if (status === 0) {
    console.log(`✓ ${name} (${seconds} s)`)
    return true
  }
  if (output !== "") console.log(output.trimEnd())
  console.error(`\n✗ ${name} (${seconds} s): ${finds}`)
  return false
}

/** Our own options come first; whatever follows is vitest's, as it was written. */
const [first, second, ...others] = process.argv.slice(2)
const only = first === "--only" ? (second ?? "").split(",") : undefined
const vitestArgs = only === undefined ? process.argv.slice(first === "--no-tests" ? 3 : 2) : others
const all = stages(vitestArgs)
const chosen = only === undefined
  ? all.filter(({ name }) => first !== "--no-tests" || !["scenarios", "tests"].includes(name))
  : all.filter(({ name }) => only.includes(name))
const usage =
  "npm test -- [--only a,b | --no-tests] [arguments of vitest …], or one of npm run verify, types, lint, format"
if (process.argv.includes("--help")) endWithUsage(usage)
if (only !== undefined && chosen.length !== only.length) {
  endWithUsage(usage, `the stages are ${all.map(({ name }) => name).join(", ")}`)
}
const [stray] = vitestArgs
if (stray !== undefined && !chosen.some(({ live }) => live)) {
  endWithUsage(usage, `${stray} is for the tests, which do not run`)
}

const began = performance.now()
for (const stage of chosen) {
  if (await passes(stage)) continue
  const left = chosen.slice(chosen.indexOf(stage) + 1).map(({ name }) => name)
  if (left.length > 0) console.error(`  not run: ${left.join(", ")}`)
  process.exit(1)
}
console.log(
  `\nAll is well: ${chosen.map(({ name }) => name).join(", ")} (${((performance.now() - began) / 1000).toFixed(0)} s)`
)
