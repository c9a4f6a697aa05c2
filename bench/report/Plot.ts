/** Charts as SVG, without a browser: what d3 scales and shapes, laid out on a page of its own. */
import { scaleLinear, scaleLog } from "d3-scale"
import { line } from "d3-shape"
import type { Chart, Series } from "./Report.ts"

const width = 760
const height = 400
const margin = { top: 56, right: 170, bottom: 56, left: 64 }
const area = { left: margin.left, right: width - margin.right, top: margin.top, bottom: height - margin.bottom }
/** Between the area's edges and the first and last point. */
const inset = 14

/** Told apart without colours too: each series has a dash of its own. */
const colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b07d00", "#3a9bd1", "#555555"]
const dashes = ["", "6 3", "2 3", "8 3 2 3", "12 4", "4 2", "1 2"]

/** On a page of its own colour, so that it reads alike on light and dark ones. */
const page = "#ffffff"
const ink = { text: "#222222", axis: "#555555", grid: "#e2e2e2" }

type Position = (value: number) => number

interface Axis {
  readonly at: Position
  readonly ticks: ReadonlyArray<number>
}

/** Where there are few values (numbers of clients, of nodes), they are the ticks; more would not fit. */
const fewValues = 8

/** 1, 2, 5, 10, … from the last that is not above `least` to the first that is not below `most`, both positive. */
const stepsBetween = (least: number, most: number): ReadonlyArray<number> => {
  const first = Math.floor(Math.log10(least))
  const decades = Array.from({ length: Math.ceil(Math.log10(most)) - first + 1 }, (_, i) => first + i)
  const steps = decades.flatMap((power) => [1, 2, 5].map((digit) => Number(`${digit}e${power}`)))
  const [from, to] = [steps.findLastIndex((step) => step <= least), steps.findIndex((step) => step >= most)]
  return steps.slice(from, to + 1)
}

const xAxisOf = ({ scale }: Chart["x"], values: ReadonlyArray<number>): Axis => {
  const [least, most] = [Math.min(...values), Math.max(...values)]
  const range = [area.left + inset, area.right - inset]
  const own = [...new Set(values)].sort((a, b) => a - b)
  const isFew = own.length <= fewValues
  if (scale === "log") {
    const at = scaleLog([least, Math.max(most, least * 1.01)], range)
    return { at, ticks: isFew ? own : stepsBetween(least, most).filter((step) => step >= least && step <= most) }
  }
  const at = scaleLinear([isFew ? least : 0, most === least ? most + 1 : most], range)
  return { at, ticks: isFew ? own : at.ticks(fewValues) }
}

const yAxisOf = ({ scale }: Chart["y"], values: ReadonlyArray<number>): Axis => {
  const [least, most] = [Math.min(...values), Math.max(...values)]
  const range = [area.bottom, area.top]
  if (scale === "linear") {
    const at = scaleLinear([0, most * 1.05], range).nice(6)
    return { at, ticks: at.ticks(6) }
  }
  // Whole decades would leave most of the area empty.
  const ticks = stepsBetween(least, most)
  return { at: scaleLog([ticks[0] ?? least, ticks.at(-1) ?? most], range), ticks }
}

const short = (value: number): string => {
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(3))} M`
  if (value >= 1e3) return `${Number((value / 1e3).toPrecision(3))} k`
  return String(Number(value.toPrecision(3)))
}

const escape = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

const text = (x: number, y: number, content: string, attributes = ""): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${escape(content)}</text>`

const rule = (x1: number, y1: number, x2: number, y2: number, attributes: string): string =>
  `<line x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}" ${attributes}/>`

/** Series are set apart a little, so that the bars at one value do not hide each other. */
const aside = (i: number, of: number) => (i - (of - 1) / 2) * 2.5

const seriesOf = ({ name, points }: Series, i: number, shift: number, x: Position, y: Position): string => {
  const colour = colours[i % colours.length] ?? ""
  const path = line<Series["points"][number]>().x((point) => Math.round((x(point.x) + shift) * 10) / 10)
    .y((point) => Math.round(y(point.y) * 10) / 10)([...points])
  const dash = dashes[i % dashes.length]
  const spread = points.map(({ high, low, x: at }) =>
    low === undefined || high === undefined
      ? ""
      : rule(x(at) + shift, y(low), x(at) + shift, y(high), `stroke="${colour}" stroke-width="1.5" opacity="0.5"`)
  )
  const dots = points.length > 3 * fewValues ?
    [] :
    points.map((point) =>
      `<circle cx="${(x(point.x) + shift).toFixed(1)}" cy="${y(point.y).toFixed(1)}" r="3.5" fill="${colour}"/>`
    )
  const legend = area.top + 10 + i * 22
  const left = area.right + 16
  return [
    `<path d="${path ?? ""}" fill="none" stroke="${colour}" stroke-width="2" stroke-dasharray="${dash}"/>`,
    ...spread,
    ...dots,
    rule(left, legend - 4, left + 26, legend - 4, `stroke="${colour}" stroke-width="2" stroke-dasharray="${dash}"`),
    `<circle cx="${left + 13}" cy="${legend - 4}" r="3.5" fill="${colour}"/>`,
    text(left + 33, legend, name)
  ].join("\n")
}

/** The chart as a page of SVG; bars through the points reach from the least to the most of the rounds. */
export const plot = (chart: Chart): string => {
  const points = chart.series.flatMap((series) => series.points)
  const xAxis = xAxisOf(chart.x, points.map(({ x }) => x))
  const yAxis = yAxisOf(chart.y, points.flatMap(({ high, low, y }) => [low ?? y, high ?? y]))
  const parts = [
    text(area.left, 22, chart.title, `font-size="15" font-weight="bold"`),
    text(area.left - 8, area.top - 16, chart.y.label, `text-anchor="end"`),
    ...yAxis.ticks.map((tick) =>
      rule(area.left, yAxis.at(tick), area.right, yAxis.at(tick), `stroke="${ink.grid}"`) +
      text(area.left - 8, yAxis.at(tick) + 4, short(tick), `text-anchor="end"`)
    ),
    ...xAxis.ticks.map((tick) =>
      rule(xAxis.at(tick), area.bottom, xAxis.at(tick), area.bottom + 5, `stroke="${ink.axis}"`) +
      text(xAxis.at(tick), area.bottom + 19, short(tick), `text-anchor="middle"`)
    ),
    rule(area.left, area.bottom, area.right, area.bottom, `stroke="${ink.axis}"`),
    text((area.left + area.right) / 2, height - 14, chart.x.label, `text-anchor="middle"`),
    ...chart.series.map((series, i) => seriesOf(series, i, aside(i, chart.series.length), xAxis.at, yAxis.at))
  ]
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12"` +
    ` fill="${ink.text}">`,
    `<rect width="${width}" height="${height}" rx="6" fill="${page}"/>`,
    ...parts,
    "</svg>\n"
  ].join("\n")
}
