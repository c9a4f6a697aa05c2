/** The measurements as a reader wants them: medians over the rounds, and ratios that were taken within a round. */
import type { Measurement } from "./Contender.ts"

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** One contender at one level, over all rounds. */
export interface Summary {
  readonly clients: number
  readonly contender: string
  readonly perSecond: { readonly median: number; readonly least: number; readonly most: number }
  /** Milliseconds, medians. */
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly errors: number
  /** Its writes per second over the rival's, each pair from one round; null without a rival, and for itself. */
  readonly ratio: { readonly median: number; readonly each: ReadonlyArray<number> } | null
  /** Microseconds per write: the leader's process, and all of the contender's processes together. */
  readonly cpuLeader: number
  readonly cpuAll: number
}

const summaryOf = (own: ReadonlyArray<Measurement>, rivals: ReadonlyArray<Measurement>): Summary => {
  const [first] = own
  if (first === undefined) throw new Error("nothing was measured")
  const rates = own.map(({ perSecond }) => perSecond)
  const ratios = own.flatMap(({ perSecond, round }) => {
    const rival = rivals.find((other) => other.round === round)
    return rival === undefined ? [] : [perSecond / rival.perSecond]
  })
  const cpu = (pick: (measurement: Measurement) => number) => median(own.map(pick))
  return {
    clients: first.clients,
    contender: first.contender,
    perSecond: { median: median(rates), least: Math.min(...rates), most: Math.max(...rates) },
    p50: median(own.map(({ latency }) => latency.p50)),
    p99: median(own.map(({ latency }) => latency.p99)),
    p999: median(own.map(({ latency }) => latency.p999)),
    errors: own.reduce((sum, { errors }) => sum + errors, 0),
    ratio: ratios.length === 0 || rivals === own ? null : { median: median(ratios), each: ratios },
    cpuLeader: cpu(({ cpuMicros }) => cpuMicros[0]?.perOperation ?? Number.NaN),
    cpuAll: cpu(({ cpuMicros }) => cpuMicros.reduce((sum, { perOperation }) => sum + perOperation, 0))
  }
}

export const summarize = (measurements: ReadonlyArray<Measurement>, rival: string): ReadonlyArray<Summary> => {
  const levels = [...new Set(measurements.map(({ clients }) => clients))]
  const contenders = [...new Set(measurements.map(({ contender }) => contender))]
  return levels.flatMap((clients) => {
    const level = measurements.filter((measurement) => measurement.clients === clients)
    const of = (name: string) => level.filter(({ contender }) => contender === name)
    const rivals = of(rival)
    return contenders.map(of).filter((own) => own.length > 0).map((own) =>
      summaryOf(own[0]?.contender === rival ? rivals : own, rivals)
    )
  })
}

const whole = (value: number) => Math.round(value).toLocaleString("en-US")
const millis = (value: number) => value < 10 ? value.toFixed(2) : value.toFixed(1)

const cells = ({ clients, contender, cpuAll, cpuLeader, errors, p50, p99, p999, perSecond, ratio }: Summary) => [
  String(clients),
  contender,
  whole(perSecond.median),
  `${whole(perSecond.least)}–${whole(perSecond.most)}`,
  ratio === null ? "" : ratio.median.toFixed(2),
  ratio === null ? "" : ratio.each.map((one) => one.toFixed(2)).join(" "),
  millis(p50),
  millis(p99),
  millis(p999),
  `${whole(cpuLeader)} / ${whole(cpuAll)}`,
  errors === 0 ? "" : whole(errors)
]

const heads = [
  "clients",
  "",
  "writes/s",
  "least–most",
  "ratio",
  "each round",
  "p50 ms",
  "p99",
  "p99.9",
  "CPU µs",
  "errors"
]

export const table = (summaries: ReadonlyArray<Summary>): string => {
  const rows = [heads, ...summaries.map(cells)]
  const widths = heads.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) =>
    row.map((cell, column) => column === 1 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))
      .join("  ").trimEnd()
  ).join("\n")
}
