/**
 * Single figures out of what the sections measured. A ratio is the median of ratios that were taken within a round
 * each.
 */
import type { Measurement } from "../Rounds.ts"
import { bareKind, type Committed } from "../sections/limits.ts"
import { median, millis, whole } from "./Summary.ts"

/** A figure out of a section's result. */
export interface Found {
  readonly value: number
  /** As it is shown, where that is more than the value. */
  readonly shown?: string
  /** Of how many rounds it is the median. */
  readonly rounds: number
  /** Calls that failed while it was measured. */
  readonly errors: number
}

type Pick = (measurement: Measurement) => number

/** Calls per second. */
export const rate: Pick = ({ perSecond }) => perSecond
const p99: Pick = ({ latency }) => latency.p99

const measurementsOf = (raw: unknown, label: string, contender: string): ReadonlyArray<Measurement> => {
  const all: unknown = typeof raw === "object" && raw !== null && "measurements" in raw ? raw.measurements : raw
  return Array.isArray(all)
    ? (all as ReadonlyArray<Measurement>).filter((one) => one.label === label && one.contender === contender)
    : []
}

const failuresOf = (measurements: ReadonlyArray<Measurement>) =>
  measurements.reduce((sum, { errors }) => sum + errors, 0)

/** The median of one figure over the rounds. */
export const figureOf = (label: string, contender: string, pick: Pick) => (raw: unknown): Found | undefined => {
  const own = measurementsOf(raw, label, contender)
  return own.length === 0
    ? undefined
    : { value: median(own.map(pick)), rounds: own.length, errors: failuresOf(own) }
}

const pairsOf = (raw: unknown, label: string, contender: string, rival: string) => {
  const rivals = measurementsOf(raw, label, rival)
  return measurementsOf(raw, label, contender).flatMap((own) => {
    const other = rivals.find(({ round }) => round === own.round)
    return other === undefined ? [] : [[own, other] as const]
  })
}

/** A contender's figure over its rival's. */
export const ratioOf =
  (label: string, contender: string, rival: string, pick = rate) => (raw: unknown): Found | undefined => {
    const pairs = pairsOf(raw, label, contender, rival)
    return pairs.length === 0
      ? undefined
      : {
        value: median(pairs.map(([own, other]) => pick(own) / pick(other))),
        rounds: pairs.length,
        errors: failuresOf(pairs.flat())
      }
  }

/** The 99th percentile over the rival's, and beside it what it is made of. */
export const latencyRatioOf =
  (label: string, contender: string, rival: string) => (raw: unknown): Found | undefined => {
    const found = ratioOf(label, contender, rival, p99)(raw)
    if (found === undefined) return undefined
    const [own, other] = [contender, rival].map((name) => median(measurementsOf(raw, label, name).map(p99)))
    return {
      ...found,
      shown: `${found.value.toFixed(2)}: ${millis(own ?? Number.NaN)} / ${millis(other ?? Number.NaN)} ms`
    }
  }

/** Microseconds of processor time per call: the leader's, or the mean of the others. */
export const cpuOf = (whose: "leader" | "follower"): Pick => ({ cpuMicros }) => {
  const [leader, ...followers] = cpuMicros.map(({ perOperation }) => perOperation)
  const sum = followers.reduce((total, micros) => total + micros, 0)
  return (whose === "leader" ? leader : sum / followers.length) ?? Number.NaN
}

/** Records per second over those of the bare file; the least of all sizes of a commit. */
export const groupCommitOf = (kind: string) => (raw: unknown): Found | undefined => {
  const { commits = [] } = raw as { readonly commits?: ReadonlyArray<Committed> }
  const ratios = Map.groupBy(
    commits.filter((one) => one.kind === kind).flatMap(({ recordsPerSecond, records, round }) => {
      const bare = commits.find((one) => one.kind === bareKind && one.records === records && one.round === round)
      return bare === undefined ? [] : [{ records, ratio: recordsPerSecond / bare.recordsPerSecond }]
    }),
    ({ records }) => records
  )
  const medians = [...ratios].map(([records, all]) => ({
    records,
    rounds: all.length,
    value: median(all.map(({ ratio }) => ratio))
  }))
  const [least] = medians.toSorted((a, b) => a.value - b.value)
  if (least === undefined) return undefined
  const { records, rounds, value } = least
  return { value, rounds, errors: 0, shown: `${value.toFixed(2)} (least: ${records} a commit)` }
}

/** A node without data, in MB. */
export const idleOf = (raw: unknown): Found | undefined => {
  const { idles = [] } = raw as {
    readonly idles?: ReadonlyArray<{ readonly cluster: string; readonly residentMb: number }>
  }
  const own = idles.filter(({ cluster }) => cluster === "http").map(({ residentMb }) => residentMb)
  return own.length === 0 ? undefined : { value: median(own), rounds: own.length, errors: 0 }
}

/** What growth knows of a size of the data. */
interface Weighed {
  readonly name: string
  readonly keys: number
  readonly when: string
  readonly weights: ReadonlyArray<{ readonly residentMb: number }>
}

/** A node with a million keys over one of etcd's: once they are written, or after changes and reads of them. */
export const memoryAtMillion = (state: "filled" | "used") => (raw: unknown): Found | undefined => {
  const { sizes = [] } = raw as { readonly sizes?: ReadonlyArray<Weighed> }
  const of = (wanted: string) =>
    sizes.filter(({ keys, name, when }) => keys === 1_000_000 && name === wanted && when === state)
      .flatMap(({ weights }) => weights.map(({ residentMb }) => residentMb))
  const [own, theirs] = [of("http"), of("etcd")]
  if (own.length === 0 || theirs.length === 0) return undefined
  const value = median(own) / median(theirs)
  const shown = `${value.toFixed(2)}: ${whole(median(own))} / ${whole(median(theirs))} MB`
  return { value, rounds: own.length, errors: 0, shown }
}

/** From the call to the end of `distkv status`, in milliseconds. */
export const startUpOf = (raw: unknown): Found | undefined => {
  const { starts = [] } = raw as {
    readonly starts?: ReadonlyArray<{ readonly name: string; readonly ms: ReadonlyArray<number> }>
  }
  const own = starts.find(({ name }) => name === "distkv status")?.ms ?? []
  return own.length === 0 ? undefined : { value: median(own), rounds: own.length, errors: 0 }
}
