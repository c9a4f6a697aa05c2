/** Charts as SVG, without a browser: what d3 scales and shapes, laid out on a page of its own. */
import { scaleLinear, scaleLog } from "d3-scale"
import { line } from "d3-shape"
import type { Chart, Series } from "./Report.ts"

const width = 720
const height = 400
const margin = { top: 44, right: 170, bottom: 52, left: 72 }

/** Told apart without colours too: each series has a dash of its own. */
const colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555"]
const dashes = ["", "6 3", "2 3", "8 3 2 3", "12 4", "4 2", "1 2"]

type Position = (value: number) => number

interface Axis {
  readonly at: Position
  readonly ticks: ReadonlyArray<number>
}

const axisOf = (
  { scale }: Chart["x"],
  values: ReadonlyArray<number>,
  range: readonly [number, number],
  few: boolean
): Axis => {
  const least = Math.min(...values)
  const most = Math.max(...values)
  if (scale === "log") {
    const at = scaleLog([Math.max(least, 1e-6), Math.max(most, least * 1.01)], range)
    // Where there are few values (numbers of clients), they are the ticks.
    return { at, ticks: few ? [...new Set(values)] : at.nice().ticks(4).filter((tick) => /^[125]/.test(String(tick))) }
  }
  const at = scaleLinear([0, most * 1.05], range)
  return { at, ticks: few ? [...new Set(values)] : at.ticks(6) }
}

const short = (value: number): string => {
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(3))} M`
  if (value >= 1e4) return `${Number((value / 1e3).toPrecision(3))} k`
  return String(Number(value.toPrecision(3)))
}

const escape = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

const text = (x: number, y: number, content: string, attributes = ""): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${escape(content)}</text>`

const rule = (x1: number, y1: number, x2: number, y2: number, attributes: string): string =>
  `<line x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}" ${attributes}/>`

const seriesOf = ({ name, points }: Series, i: number, x: Position, y: Position): string => {
  const colour = colours[i % colours.length] ?? ""
  const path = line<Series["points"][number]>().x((point) => Math.round(x(point.x) * 10) / 10)
    .y((point) => Math.round(y(point.y) * 10) / 10)([...points])
  const dash = dashes[i % dashes.length]
  const spread = points.map(({ high, low, x: at }) =>
    low === undefined || high === undefined
      ? ""
      : rule(x(at), y(low), x(at), y(high), `stroke="${colour}" opacity="0.5"`)
  )
  const dots = points.map((point) =>
    `<circle cx="${x(point.x).toFixed(1)}" cy="${y(point.y).toFixed(1)}" r="3" fill="${colour}"/>`
  )
  const legend = margin.top + 10 + i * 20
  const right = width - margin.right + 14
  return [
    `<path d="${path ?? ""}" fill="none" stroke="${colour}" stroke-width="2" stroke-dasharray="${dash}"/>`,
    ...spread,
    ...dots,
    rule(right, legend - 4, right + 22, legend - 4, `stroke="${colour}" stroke-width="2" stroke-dasharray="${dash}"`),
    text(right + 28, legend, name)
  ].join("\n")
}

/** The chart as a page of SVG; bars through the points reach from the least to the most of the rounds. */
export const plot = (chart: Chart): string => {
  const points = chart.series.flatMap((series) => series.points)
  const bottom = height - margin.bottom
  const xAxis = axisOf(chart.x, points.map(({ x }) => x), [margin.left, width - margin.right - 10], true)
  const yAxis = axisOf(
    chart.y,
    points.flatMap(({ high, low, y }) => [low ?? y, high ?? y]),
    [bottom, margin.top],
    false
  )
  const parts = [
    text(margin.left, 22, chart.title, `font-size="15" font-weight="bold"`),
    ...yAxis.ticks.map((tick) =>
      rule(margin.left, yAxis.at(tick), width - margin.right, yAxis.at(tick), `stroke="#dddddd"`) +
      text(margin.left - 8, yAxis.at(tick) + 4, short(tick), `text-anchor="end"`)
    ),
    ...xAxis.ticks.map((tick) =>
      rule(xAxis.at(tick), bottom, xAxis.at(tick), bottom + 5, `stroke="#333333"`) +
      text(xAxis.at(tick), bottom + 19, short(tick), `text-anchor="middle"`)
    ),
    rule(margin.left, bottom, width - margin.right, bottom, `stroke="#333333"`),
    text((margin.left + width - margin.right) / 2, height - 12, chart.x.label, `text-anchor="middle"`),
    text(margin.left - 8, margin.top - 8, chart.y.label, `text-anchor="end"`),
    ...chart.series.map((series, i) => seriesOf(series, i, xAxis.at, yAxis.at))
  ]
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12"` +
    ` fill="#222222">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...parts,
    "</svg>\n"
  ].join("\n")
}
