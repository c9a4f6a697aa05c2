/** The measurements as a reader wants them: medians over the rounds, and ratios that were taken within a round. */
import type { Measurement } from "../Rounds.ts"
import type { Chart, Table } from "./Report.ts"

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** One contender at one level, over all rounds. */
export interface Summary {
  readonly label: string
  readonly clients: number
  readonly contender: string
  readonly perSecond: { readonly median: number; readonly least: number; readonly most: number }
  /** Milliseconds, medians. */
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly errors: number
  /** Its calls per second over the rival's, each pair from one round; null without a rival, and for itself. */
  readonly ratio: { readonly median: number; readonly each: ReadonlyArray<number> } | null
  /** Microseconds per call: the leader's process, the mean of the others, and all of the contender's together. */
  readonly cpuLeader: number
  readonly cpuOther: number
  readonly cpuAll: number
}

const sum = (values: ReadonlyArray<number>) => values.reduce((total, value) => total + value, 0)

const summaryOf = (own: ReadonlyArray<Measurement>, rivals: ReadonlyArray<Measurement>): Summary => {
  const [first] = own
  if (first === undefined) throw new Error("nothing was measured")
  const rates = own.map(({ perSecond }) => perSecond)
  const ratios = own.flatMap(({ perSecond, round }) => {
    const rival = rivals.find((other) => other.round === round)
    return rival === undefined ? [] : [perSecond / rival.perSecond]
  })
  const cpu = (pick: (micros: ReadonlyArray<number>) => number) =>
    median(own.map(({ cpuMicros }) => pick(cpuMicros.map(({ perOperation }) => perOperation))))
  return {
    label: first.label,
    clients: first.clients,
    contender: first.contender,
    perSecond: { median: median(rates), least: Math.min(...rates), most: Math.max(...rates) },
    p50: median(own.map(({ latency }) => latency.p50)),
    p99: median(own.map(({ latency }) => latency.p99)),
    p999: median(own.map(({ latency }) => latency.p999)),
    errors: sum(own.map(({ errors }) => errors)),
    ratio: ratios.length === 0 || rivals[0]?.contender === first.contender
      ? null
      : { median: median(ratios), each: ratios },
    cpuLeader: cpu((micros) => micros[0] ?? Number.NaN),
    cpuOther: cpu((micros) => sum(micros.slice(1)) / Math.max(1, micros.length - 1)),
    cpuAll: cpu(sum)
  }
}

/** Medians by level and contender; `rivalOf` names whom each one is compared with. */
export const summarize = (
  measurements: ReadonlyArray<Measurement>,
  rivalOf: (contender: string, label: string) => string
): ReadonlyArray<Summary> => {
  const labels = [...new Set(measurements.map(({ label }) => label))]
  const contenders = [...new Set(measurements.map(({ contender }) => contender))]
  return labels.flatMap((label) => {
    const of = (name: string) =>
      measurements.filter((measurement) => measurement.label === label && measurement.contender === name)
    return contenders.map((name) => [name, of(name)] as const).filter(([, own]) => own.length > 0)
      .map(([name, own]) => summaryOf(own, of(rivalOf(name, label))))
  })
}

export const whole = (value: number): string => Math.round(value).toLocaleString("en-US")
export const millis = (value: number): string => value < 10 ? value.toFixed(2) : value.toFixed(1)

const cells = (
  { contender, cpuAll, cpuLeader, cpuOther, errors, label, p50, p99, p999, perSecond, ratio }: Summary
) => [
  label,
  contender,
  whole(perSecond.median),
  `${whole(perSecond.least)}–${whole(perSecond.most)}`,
  ratio === null ? "" : ratio.median.toFixed(2),
  ratio === null ? "" : ratio.each.map((one) => one.toFixed(2)).join(" "),
  millis(p50),
  millis(p99),
  millis(p999),
  `${whole(cpuLeader)} / ${whole(cpuOther)} / ${whole(cpuAll)}`,
  errors === 0 ? "" : whole(errors)
]

/** All of it; `axis` heads the first column. */
export const summaryTable = (title: string, axis: string, summaries: ReadonlyArray<Summary>): Table => ({
  title,
  heads: [
    axis,
    "",
    "calls/s",
    "least–most",
    "ratio",
    "each round",
    "p50 ms",
    "p99",
    "p99.9",
    "CPU µs: leader / other / all",
    "errors"
  ],
  rows: summaries.map(cells)
})

/** What a chart's points stand over, and which of them are joined. */
export interface Over {
  readonly label: string
  readonly scale: "linear" | "log"
  readonly x: (summary: Summary) => number
  readonly series: (summary: Summary) => string
}

/** Throughput, and the latencies' 99th percentile. */
export const chartsOver = (
  file: string,
  title: string,
  { label, scale, series, x }: Over,
  summaries: ReadonlyArray<Summary>
): ReadonlyArray<Chart> => {
  const drawn = (point: (summary: Summary) => Chart["series"][number]["points"][number]): Chart["series"] =>
    [...new Set(summaries.map(series))].map((name) => ({
      name,
      points: summaries.filter((summary) => series(summary) === name).map(point)
    }))
  return [
    {
      file: `${file}-throughput`,
      title: `${title}: calls per second`,
      x: { label, scale },
      y: { label: "calls/s", scale: "linear" },
      series: drawn((summary) => ({
        x: x(summary),
        y: summary.perSecond.median,
        low: summary.perSecond.least,
        high: summary.perSecond.most
      }))
    },
    {
      file: `${file}-latency`,
      title: `${title}: 99th percentile`,
      x: { label, scale },
      y: { label: "ms", scale: "log" },
      series: drawn((summary) => ({ x: x(summary), y: summary.p99 }))
    }
  ]
}
