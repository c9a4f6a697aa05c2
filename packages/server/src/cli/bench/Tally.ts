/** What became of the calls of one kind. */
import { type Latency, LatencyHistogram } from "./LatencyHistogram.ts"

/** As it is printed for programs. */
export interface TallyJson {
  readonly count: number
  readonly perSecond: number
  /** By the failure's code; calls that failed are in neither of the other figures. */
  readonly errors: Readonly<Record<string, number>>
  readonly latencyMs: Latency
}

export class Tally {
  readonly times = new LatencyHistogram()
  readonly errors = new Map<string, number>()

  succeeded(ms: number): void {
    this.times.add(ms)
  }

  failed(code: string): void {
    this.errors.set(code, (this.errors.get(code) ?? 0) + 1)
  }

  get failures(): number {
    return [...this.errors.values()].reduce((sum, count) => sum + count, 0)
  }

  json(seconds: number): TallyJson {
    return {
      count: this.times.count,
      perSecond: Math.round(10 * this.times.count / seconds) / 10,
      errors: Object.fromEntries([...this.errors].toSorted(([a], [b]) => a < b ? -1 : 1)),
      latencyMs: this.times.latency
    }
  }
}
