/** Makes the tables and plots of docs/PERFORMANCE.md from the results; what stands outside the marks stays. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Options } from "./Options.ts"
import { plot } from "./report/Plot.ts"
import {
  type Chart,
  type Machine,
  readReport,
  type Report,
  resultsFile,
  resultsFolder,
  type Table
} from "./report/Report.ts"

const root = join(import.meta.dirname, "..")
const page = join(root, "docs", "PERFORMANCE.md")
const plots = join(root, "docs", "performance")

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

export const document = ({ from = resultsFolder }: Options, names: ReadonlyArray<string>): void => {
  let text = readFileSync(page, "utf8")
  mkdirSync(plots, { recursive: true })
  for (const name of names) {
    const file = resultsFile(name, "JavaScript", from)
    if (existsSync(file)) {
      const report = readReport(file)
      text = placed(text, name, sectionText(report))
      for (const chart of report.charts.filter(hasPoints)) writeFileSync(join(plots, `${chart.file}.svg`), plot(chart))
    } else console.error(`${name}: no result; its part of the page stays as it is`)
    // The native addon's tables stand below some sections'; plots are of what everybody has.
    const native = resultsFile(name, "native", from)
    if (!existsSync(native) || !text.includes(`<!-- bench:${name}-native -->`)) continue
    text = placed(text, `${name}-native`, sectionText({ ...readReport(native), charts: [] }))
  }
  writeFileSync(page, text)
  console.log(page)
}
