/** Makes the tables and plots of docs/PERFORMANCE.md from the results; what stands outside the marks stays. */
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import type { Options } from "./Options.ts"
import { plot } from "./report/Plot.ts"
import {
  type Chart,
  type Encryption,
  type Machine,
  readReport,
  type Report,
  resultsFile,
  resultsFolder,
  type Table
} from "./report/Report.ts"
import { allTargets } from "./report/Targets.ts"

const root = join(import.meta.dirname, "..")
const page = join(root, "docs", "PERFORMANCE.md")
const plots = join(root, "docs", "performance")
/** The results of which the page is made, in full. */
const results = join(plots, "results")

const cell = (text: string) => text.replaceAll("|", "\\|")

const tableText = ({ heads, rows, title }: Table): string => {
  const row = (cells: ReadonlyArray<string>) => `| ${cells.map(cell).join(" | ")} |`
  const numeric = heads.map((_, column) =>
    column > 0 && rows.some((cells) => cells[column] !== "") &&
    rows.every((cells) =>
      /^[\d.,–—<−-]*( ?[\w%/ .,]*)?$/.test(cells[column] ?? "") && !/^[a-z]/i.test(cells[column] ?? "")
    )
  )
  return [`**${title}**`, "", row(heads), row(numeric.map((is) => is ? "---:" : "---")), ...rows.map(row)].join("\n")
}

const machineText = ({ cpu, cpus, disk, linux, loadBefore, memoryGiB, node }: Machine): string =>
  `${cpus} × ${cpu}, ${memoryGiB} GiB, Linux ${linux}, ${disk}, Node ${node}; load before: ${loadBefore.toFixed(1)}`

const hasPoints = ({ series }: Chart) => series.some(({ points }) => points.length > 0)

const sectionText = (report: Report): string =>
  [
    `Made by \`${report.command}\` at ${report.at.slice(0, 16).replace("T", " ")} UTC in ${report.minutes} minutes, ` +
    `commit ${report.commit}, ssh2 in ${report.encryption === "native" ? "native code" : report.encryption}${
      report.runs === undefined ? "" : `, servers and commands from ${report.runs}`
    }. ` +
    `${machineText(report.machine)}.`,
    report.notes.map((note) => `- ${note}`).join("\n"),
    ...report.tables.map(tableText),
    ...report.charts.filter(hasPoints).map(({ file, title }) => `![${title}](performance/${file}.svg)`)
  ].join("\n\n")

/** Replaces what is between the section's marks. */
const placed = (text: string, name: string, content: string): string => {
  const [begin, end] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`]
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from === -1 || to < from) throw new Error(`${page} has no place for ${name}: ${begin} … ${end}`)
  return `${text.slice(0, from + begin.length)}\n${content}\n${text.slice(to)}`
}

/** The place of a section's results with the native addon: below those without, made where there is none yet. */
const withNativePlace = (text: string, name: string): string => {
  if (text.includes(`<!-- bench:${name}-native -->`)) return text
  const mark = `<!-- /bench:${name} -->`
  const at = text.indexOf(mark)
  if (at === -1) throw new Error(`${page} has no place for ${name}: ${mark}`)
  const end = at + mark.length
  const made = `### The same with ssh2's native addon\n\n<!-- bench:${name}-native -->\n<!-- /bench:${name}-native -->`
  return `${text.slice(0, end)}\n\n${made}${text.slice(end)}`
}

/** A new result, which is kept beside the page from now on. */
const newResult = (file: string): Report | undefined => {
  if (!existsSync(file)) return undefined
  const report = readReport(file)
  if (report.quick) throw new Error(`${file} is of a quick run, which says nothing of speed`)
  copyFileSync(file, join(results, basename(file)))
  return report
}

/** What the page shows of a section: the last result that was placed there. */
const keptRaw = (name: string, by: Encryption): unknown => {
  const file = resultsFile(name, by, results)
  return existsSync(file) ? readReport(file).raw : undefined
}

export const document = ({ from = resultsFolder }: Options, names: ReadonlyArray<string>): void => {
  let text = readFileSync(page, "utf8")
  mkdirSync(results, { recursive: true })
  for (const name of names) {
    const report = newResult(resultsFile(name, "JavaScript", from))
    if (report !== undefined) {
      text = placed(text, name, sectionText(report))
      for (const chart of report.charts.filter(hasPoints)) writeFileSync(join(plots, `${chart.file}.svg`), plot(chart))
    }
    // Plots are of what everybody has.
    const native = newResult(resultsFile(name, "native", from))
    if (native !== undefined) {
      text = placed(withNativePlace(text, name), `${name}-native`, sectionText({ ...native, charts: [] }))
    }
    if (report === undefined && native === undefined) {
      console.error(`${name}: no new result; its part of the page stays as it is`)
    }
  }
  writeFileSync(page, placed(text, "targets", tableText(allTargets(keptRaw))))
  console.log(page)
}
