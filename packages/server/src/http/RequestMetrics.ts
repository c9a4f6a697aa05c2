/** Counts and times requests; plain numbers, since every request passes here. */

/** What a request does, as metrics name it. */
export type Operation =
  | "get"
  | "set"
  | "delete"
  | "list"
  | "delete_range"
  | "set_many"
  | "session"
  | "snapshot"
  | "cluster"
  | "other"

/** Upper bounds of the duration buckets, in seconds. */
export const bucketBounds: ReadonlyArray<number> = [
  0.0005,
  0.001,
  0.0025,
  0.005,
  0.01,
  0.025,
  0.05,
  0.1,
  0.25,
  0.5,
  1,
  2.5,
  5,
  10,
  60
]

/** One operation's durations; `buckets[i]` counts those up to `bucketBounds[i]` and over the bound before. */
export class Durations {
  readonly buckets: Float64Array = new Float64Array(bucketBounds.length + 1)
  count = 0
  sumSeconds = 0

  add(seconds: number): void {
    let i = 0
    while (i < bucketBounds.length && seconds > (bucketBounds[i] ?? 0)) i++
    this.buckets[i] = (this.buckets[i] ?? 0) + 1
    this.count++
    this.sumSeconds += seconds
  }
}

/** The requests of one server. Outcomes are `ok`, `aborted` or an error's tag, so their number is bounded. */
export class RequestMetrics {
  readonly outcomes = new Map<Operation, Map<string, number>>()
  readonly durations = new Map<Operation, Durations>()
  inFlight = 0
  connectionsDropped = 0

  /** One request begins; returns the time to pass to `end`, in milliseconds of the monotonic clock. */
  begin(): number {
    this.inFlight++
    return performance.now()
  }

  end(operation: Operation, outcome: string, startedMs: number): void {
    this.inFlight--
    let byOutcome = this.outcomes.get(operation)
    if (byOutcome === undefined) this.outcomes.set(operation, byOutcome = new Map())
    byOutcome.set(outcome, (byOutcome.get(outcome) ?? 0) + 1)
    let durations = this.durations.get(operation)
    if (durations === undefined) this.durations.set(operation, durations = new Durations())
    durations.add((performance.now() - startedMs) / 1000)
  }
}
