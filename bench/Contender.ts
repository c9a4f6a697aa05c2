/** What is measured: clusters that can be held still while another is measured, and the loads that are put on them. */

/** One kind of load. */
export interface Level {
  /** Clients that call one after the other, each waiting for its reply. */
  readonly clients: number
  /** Keys to choose from, at random. */
  readonly keys: number
  /** What their names begin with; `fill` writes those that begin with `commonPrefix`. */
  readonly prefix: string
  readonly valueBytes: number
  /** The part of the calls that read, 0 to 1; the others write. */
  readonly reads: number
  /** What the reads ask for; `stale` is etcd's `serializable`, and etcd has nothing like `lease`. */
  readonly consistency: "linearizable" | "lease" | "stale"
}

/** Of the keys that every load has in common unless it must not. */
export const commonPrefix = "key-"

/** Writes of 256 bytes to 10,000 keys. */
export const writesBy = (clients: number): Level => ({
  clients,
  keys: 10_000,
  prefix: commonPrefix,
  valueBytes: 256,
  reads: 0,
  consistency: "linearizable"
})

/** Reads of 10,000 keys of 256 bytes, all of which exist. */
export const readsBy = (clients: number, consistency: Level["consistency"]): Level => ({
  ...writesBy(clients),
  reads: 1,
  consistency
})

/** Milliseconds. */
export interface Latency {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

export interface LoadResult {
  /** Calls that succeeded. */
  readonly operations: number
  /** Calls that failed, or whose outcome is unknown. */
  readonly errors: number
  readonly seconds: number
  /** Of the replies, as they were measured: nothing is added for calls that a slow one kept from being made. */
  readonly latency: Latency
  /** Processor time of a load generator outside the processes that are measured, where it is known. */
  readonly generatorSeconds?: number
}

/**
 * The clients of a load that is spread over nodes, of which every node has as many: `wrk` has no other way, and its
 * rivals get the same number.
 */
export const evenly = (clients: number, nodes: number): number =>
  clients < nodes ? 1 : Math.floor(clients / nodes) * nodes

/** A process whose use of the processor counts. */
export interface Measured {
  readonly name: string
  readonly pid: number
}

/** Processes that belong together. */
export interface Cluster {
  readonly name: string
  /** Starts it with empty data. */
  readonly start: () => Promise<void>
  /** Answers once every node is well and a leader takes writes; asked before each measurement. */
  readonly ready: () => Promise<void>
  /** Writes every key of so many once, the first `from` excepted, before the first load that reads them. */
  readonly fill: (keys: number, valueBytes: number, from?: number) => Promise<void>
  /** The leader's process first. */
  readonly processes: () => ReadonlyArray<Measured>
  readonly stop: () => Promise<void>
}

/** A cluster whose nodes are ended and started again. */
export interface Restarting extends Cluster {
  /** The nodes' ids, the leader's first. */
  readonly ids: () => ReadonlyArray<string>
  /** Where each node's data are. */
  readonly folders: () => ReadonlyArray<string>
  /** Ends a node at once. */
  readonly kill: (id: string) => Promise<void>
  /** Starts a killed node again in its directory; answers once it listens. */
  readonly again: (id: string) => Promise<void>
  /** Answers once every node answers a linearizable read of the first key, which has to exist. */
  readonly serves: () => Promise<void>
}

/** A way to load a cluster. */
export interface Contender {
  readonly name: string
  /** One line for the reader: what takes the load, and how. */
  readonly describe: string
  /** The clusters that have to run for it; the processor time of all of them counts, the first one's leader first. */
  readonly clusters: ReadonlyArray<Cluster>
  readonly load: (level: Level, ms: number) => Promise<LoadResult>
}

/** Which nodes the clients talk to. */
export type At = "leader" | "all"
