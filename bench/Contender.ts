/** What is measured: a cluster of three that takes writes, and can be held still while another is measured. */

/** One kind of load. */
export interface Level {
  /** Clients that write one after the other, each waiting for its reply. */
  readonly clients: number
  readonly keys: number
  readonly valueBytes: number
}

/** Milliseconds. */
export interface Latency {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

export interface LoadResult {
  /** Writes that were acknowledged. */
  readonly operations: number
  /** Writes that failed, or whose outcome is unknown. */
  readonly errors: number
  readonly seconds: number
  readonly latency: Latency
}

/** A process of the contender whose use of the processor counts. */
export interface Measured {
  readonly name: string
  readonly pid: number
}

export interface Contender {
  readonly name: string
  /** One line for the reader: what takes the load, and how. */
  readonly describe: string
  /** Starts three nodes with empty data. */
  readonly start: () => Promise<void>
  /** Answers once every node is well and a leader takes writes; called before each measurement. */
  readonly ready: () => Promise<void>
  /** Loads it for so long. The first process is the leader's. */
  readonly load: (level: Level, ms: number) => Promise<LoadResult>
  readonly processes: () => ReadonlyArray<Measured>
  readonly stop: () => Promise<void>
}

/** What one contender did at one level in one round. */
export interface Measurement extends LoadResult {
  readonly contender: string
  readonly round: number
  readonly clients: number
  readonly perSecond: number
  /** Microseconds of processor time for each acknowledged write, by process, the leader first. */
  readonly cpuMicros: ReadonlyArray<{ readonly name: string; readonly perOperation: number }>
}
