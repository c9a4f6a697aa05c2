/** What a run found, for people and, as JSON, for programs. */
import { mkdirSync, writeFileSync } from "node:fs"
import { arch, cpus, loadavg, release } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

/** A figure that a run measured, with the bound that it has to keep. */
export interface Figure {
  readonly name: string
  readonly value: number
  readonly unit: string
  /** The bound and whether it is kept; absent where the figure is only told. */
  readonly bound?: string | undefined
  readonly kept?: boolean | undefined
}

export interface Report {
  readonly command: string
  readonly seed: number | null
  readonly seconds: number
  readonly figures: ReadonlyArray<Figure>
  readonly counts: Readonly<Record<string, number>>
  /** What must not be; empty when all is well. */
  readonly problems: ReadonlyArray<string>
  /** What this run could not do. */
  readonly leftOut?: ReadonlyArray<string>
}

const results = fileURLToPath(new URL("results/", import.meta.url))

export const atMost = (name: string, value: number, bound: number, unit: string): Figure => ({
  name,
  value,
  unit,
  bound: `≤ ${bound}`,
  kept: value <= bound
})

export const atLeast = (name: string, value: number, bound: number, unit: string): Figure => ({
  name,
  value,
  unit,
  bound: `≥ ${bound}`,
  kept: value >= bound
})

export const told = (name: string, value: number, unit: string): Figure => ({ name, value, unit })

/** The value below which so many of a hundred lie. */
export const percentile = (values: ReadonlyArray<number>, percent: number): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(sorted.length * percent / 100) - 1))] ?? Number.NaN
}

/** Prints a report, and writes it as JSON; the status of the program is a failure when it is one. */
export const conclude = (report: Report): void => {
  const machine = { cpus: cpus().length, model: cpus()[0]?.model ?? "", arch: arch(), kernel: release() }
  mkdirSync(results, { recursive: true })
  const file = join(results, `${report.command}-${new Date().toISOString().replaceAll(":", "")}.json`)
  writeFileSync(file, JSON.stringify({ ...report, machine, load: loadavg() }, null, 2))
  const seed = report.seed === null ? "" : `, seed ${report.seed}`
  console.log(`\n${report.command}: ${report.seconds.toFixed(0)} s${seed}`)
  for (const { bound, kept, name, unit, value } of report.figures) {
    const shown = Number.isInteger(value) ? String(value) : value.toFixed(1)
    const verdict = bound === undefined ? "" : `  (${bound} ${unit}: ${kept === true ? "kept" : "NOT KEPT"})`
    console.log(`  ${name.padEnd(44)} ${shown} ${unit}${verdict}`)
  }
  for (const [name, count] of Object.entries(report.counts)) console.log(`  ${name.padEnd(44)} ${count}`)
  for (const one of report.leftOut ?? []) console.log(`  LEFT OUT ${one}`)
  for (const problem of report.problems.slice(0, 20)) console.error(`  PROBLEM ${problem.slice(0, 2000)}`)
  if (report.problems.length > 20) console.error(`  … and ${report.problems.length - 20} more`)
  const isWell = report.problems.length === 0 && report.figures.every(({ kept }) => kept !== false)
  console.log(isWell ? "  all is well" : "  NOT WELL")
  console.log(`  ${file}`)
  if (!isWell) process.exitCode = 1
}
