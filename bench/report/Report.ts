/** What a benchmark leaves behind: everything it measured, and how it is shown. */
import { encryption } from "@distkv/transport-ssh"
import { execFileSync } from "node:child_process"
import { mkdirSync, readFileSync, statfsSync, writeFileSync } from "node:fs"
import { cpus, loadavg, release, totalmem } from "node:os"
import { dirname, join } from "node:path"
import { type Runs, usually } from "../clusters/Bundle.ts"
import type { Options } from "../Options.ts"

/** Cells as they are shown; the first column names the row. */
export interface Table {
  readonly title: string
  readonly heads: ReadonlyArray<string>
  readonly rows: ReadonlyArray<ReadonlyArray<string>>
}

export interface Series {
  readonly name: string
  readonly points: ReadonlyArray<
    { readonly x: number; readonly y: number; readonly low?: number; readonly high?: number }
  >
}

export interface Chart {
  /** The file's name without its ending. */
  readonly file: string
  readonly title: string
  readonly x: { readonly label: string; readonly scale: "linear" | "log" }
  readonly y: { readonly label: string; readonly scale: "linear" | "log" }
  readonly series: ReadonlyArray<Series>
}

export interface Machine {
  readonly cpus: number
  readonly cpu: string
  readonly memoryGiB: number
  readonly linux: string
  readonly node: string
  /** The kind of file system that holds the data. */
  readonly disk: string
  /** The system's load before the benchmark began. */
  readonly loadBefore: number
}

/** Of packets between the nodes: ssh2's addon, or JavaScript. */
export type Encryption = typeof encryption

export interface Report {
  readonly section: string
  readonly title: string
  readonly at: string
  readonly minutes: number
  /** Too short to say anything: it only shows that the section works. */
  readonly quick: boolean
  readonly command: string
  readonly commit: string
  readonly encryption: Encryption
  readonly machine: Machine
  /** One line each: what was measured, and how. */
  readonly notes: ReadonlyArray<string>
  readonly tables: ReadonlyArray<Table>
  readonly charts: ReadonlyArray<Chart>
  /** What `distkv` ran: the bundle, as users have it, or the sources; older results do not say it. */
  readonly runs?: Runs
  /** Every measurement. */
  readonly raw: unknown
}

/** What a section has to say, before the circumstances are added. */
export type Findings = Pick<Report, "notes" | "tables" | "charts" | "raw">

const tmpfsMagic = 0x01021994
const fileSystems = new Map([[tmpfsMagic, "tmpfs (memory!)"], [0xef53, "ext4"], [0x58465342, "xfs"], [
  0x9123683e,
  "btrfs"
], [0x794c7630, "overlay"]])

export const isInMemory = (folder: string): boolean => statfsSync(folder).type === tmpfsMagic

const machineOf = (folder: string, loadBefore: number): Machine => ({
  cpus: cpus().length,
  cpu: cpus()[0]?.model ?? "unknown",
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  linux: release(),
  node: process.version,
  disk: fileSystems.get(statfsSync(folder).type) ?? "another file system",
  loadBefore
})

const commitOf = (): string => {
  try {
    return execFileSync("git", ["describe", "--always", "--dirty"], { cwd: import.meta.dirname, encoding: "utf8" })
      .trim()
  } catch {
    return "unknown"
  }
}

export const resultsFolder = join(import.meta.dirname, "..", "results")

/** Results with the native addon stand beside those without. */
export const resultsFile = (section: string, by: Encryption, folder: string): string =>
  join(folder, `${section}${by === "native" ? "-native" : ""}.json`)

/** Shows one table for a terminal. */
const shown = ({ heads, rows, title }: Table): string => {
  const all = [heads, ...rows]
  const widths = heads.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  const isText = heads.map((_, column) => rows.every((row) => !/^[\d–—<]/.test(row[column] ?? "")))
  const lines = all.map((row) =>
    row.map((cell, column) =>
      isText[column] === true || column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)
    ).join("  ").trimEnd()
  )
  return `${title}\n\n${lines.join("\n")}`
}

/** What was measured, and not where the data and results went. */
const withoutPlaces = (args: ReadonlyArray<string>): ReadonlyArray<string> =>
  args.filter((arg, i) => !/^--(dir|json)(=|$)/.test(arg) && !/^--(dir|json)$/.test(args[i - 1] ?? ""))

/** Keeps a section's results, and shows them when they are whole. */
export const reporter = (section: string, title: string, options: Options, runs = usually) => {
  const began = performance.now()
  const load = loadavg()[0] ?? 0
  const folder = options.quick ? join(resultsFolder, "quick") : resultsFolder
  const file = options.json ?? resultsFile(section, encryption, folder)
  return {
    /** Writes what is known so far to the section's file; called after every round, so that nothing is lost. */
    save: (findings: Findings): Report => {
      const report: Report = {
        section,
        title,
        at: new Date().toISOString(),
        minutes: Math.round((performance.now() - began) / 6_000) / 10,
        quick: options.quick,
        command: ["npm run bench --", section, ...withoutPlaces(options.args)].join(" "),
        commit: commitOf(),
        encryption,
        runs,
        machine: machineOf(options.dir, load),
        ...findings
      }
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, `${JSON.stringify(report, null, 1)}\n`)
      return report
    },
    print: ({ encryption, notes, runs, tables }: Report): void =>
      console.log([
        `ssh2 encrypts in ${encryption === "native" ? "native code" : encryption}`,
        ...runs === undefined ? [] : [`distkv's servers and commands run ${runs}`],
        ...notes,
        "",
        ...tables.map((table) => `${shown(table)}\n`),
        file
      ].join("\n"))
  }
}

export const readReport = (file: string): Report => JSON.parse(readFileSync(file, "utf8")) as Report
