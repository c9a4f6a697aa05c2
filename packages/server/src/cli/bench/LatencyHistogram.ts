/**
 * Counts times in buckets that grow with them, so that percentiles are known to 1.6 % however many are counted: 64
 * buckets for each doubling of the microseconds, up to an hour (what takes longer counts as that).
 */

const linear = 128
const perDoubling = 64
const doublings = 25
const longestMicros = 3_600_000_000

const bucketOf = (micros: number): number => {
  if (micros < linear) return micros
  const doubling = 31 - Math.clz32(micros) - 7
  return linear + doubling * perDoubling + Math.floor(micros / 2 ** (doubling + 1)) - perDoubling
}

/** The highest number of microseconds in a bucket. */
const highestIn = (bucket: number): number => {
  if (bucket < linear) return bucket
  const doubling = Math.floor((bucket - linear) / perDoubling)
  return (((bucket - linear) % perDoubling) + perDoubling + 1) * 2 ** (doubling + 1) - 1
}

/** Milliseconds. */
export interface Latency {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

export class LatencyHistogram {
  private readonly counts = new Float64Array(linear + doublings * perDoubling)
  private highest = 0
  count = 0

  add(ms: number): void {
    const micros = Math.min(longestMicros, Math.max(0, Math.round(ms * 1000)))
    const bucket = bucketOf(micros)
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1
    this.count++
    if (micros > this.highest) this.highest = micros
  }

  /** The least number of milliseconds that this part of the times (0 to 1) does not exceed; 0 where there is none. */
  quantile(part: number): number {
    const wanted = Math.max(1, Math.ceil(part * this.count))
    let seen = 0
    for (let bucket = 0; bucket < this.counts.length; bucket++) {
      seen += this.counts[bucket] ?? 0
      if (seen >= wanted) return Math.min(this.highest, highestIn(bucket)) / 1000
    }
    return this.highest / 1000
  }

  get latency(): Latency {
    return {
      p50: this.quantile(0.5),
      p90: this.quantile(0.9),
      p99: this.quantile(0.99),
      p999: this.quantile(0.999),
      max: this.highest / 1000
    }
  }
}
