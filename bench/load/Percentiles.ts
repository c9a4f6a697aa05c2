/** Latencies in a histogram of constant size, so that measuring costs the same however long it goes on. */
import { build, decodeFromCompressedBase64, type Histogram } from "hdr-histogram-js"
import type { Latency } from "../Contender.ts"

const mostMicros = 60_000_000

/** Microseconds up to a minute, three digits. */
export const histogram = (): Histogram =>
  build({ lowestDiscernibleValue: 1, highestTrackableValue: mostMicros, numberOfSignificantValueDigits: 3 })

/** Adds a time in milliseconds; a longer one than a minute counts as a minute. */
export const record = (micros: Histogram, ms: number): void =>
  micros.recordValue(Math.min(mostMicros, Math.max(1, Math.round(ms * 1000))))

export const latencyOf = (micros: Histogram): Latency => {
  const at = (percentile: number) => micros.getValueAtPercentile(percentile) / 1000
  return { p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: micros.maxValue / 1000 }
}

/** What several processes recorded, as one. */
export const merged = (encoded: ReadonlyArray<string>): Histogram => {
  const all = histogram()
  for (const one of encoded) all.add(decodeFromCompressedBase64(one))
  return all
}
