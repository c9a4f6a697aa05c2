/** How one node takes part in a cluster: one Schema, checked across fields, with a default for everything. */
import { Duration, Schema } from "effect"
import { Address, NodeId } from "./domain/Identity.ts"

/**
 * What a node does in a directory without identity: found a new cluster of itself alone, ask one of these addresses to
 * be admitted (trying in turn until admitted or refused for good), or wait for `join` or for another's `members.add`.
 * In a directory with an identity it is not looked at, so an app runs the same code at every start.
 */
export const Start = Schema.Union([
  Schema.Literal("bootstrap"),
  Schema.Literal("await"),
  Schema.Struct({ join: Schema.Array(Address) })
])
export type Start = typeof Start.Type

const millis = (name: string, minimum: number, maximum: number) =>
  Schema.Duration.check(Schema.makeFilter((duration: Duration.Duration) => {
    const ms = Duration.toMillis(duration)
    return (ms >= minimum && ms <= maximum) || `${name} must be between ${minimum} ms and ${maximum} ms`
  }))

const positive = Schema.Int.check(Schema.isGreaterThan(0))

/** Bounds on what a node holds for its callers and peers; beyond them it answers `Overloaded` at once. */
export const Limits = Schema.Struct({
  /** Writes that may wait at once. */
  pendingWrites: positive,
  /** Bytes of all waiting writes. */
  pendingBytes: positive,
  /** Reads that may wait at once. */
  pendingReads: positive,
  /** Bytes of entries that a leader may have uncommitted. */
  uncommittedBytes: positive,
  /** Bytes of unacknowledged entries on their way to one follower. */
  inflightBytes: positive,
  /** Bytes of recent entries kept in memory for followers. */
  logWindowBytes: positive,
  /** Events are kept for at most this many revisions, … */
  historyRevisions: positive,
  /** … and this many bytes. */
  historyBytes: positive,
  /** A compacted log keeps this many entries for followers that are a little behind, … */
  logEntries: positive,
  /** … and this many bytes of them, whichever is less. */
  logBytes: positive,
  /** A snapshot goes to followers at most this fast. */
  snapshotBytesPerSecond: positive,
  /** A value's largest size in bytes. */
  valueBytes: positive
})
export type Limits = typeof Limits.Type

export const defaultLimits: Limits = {
  pendingWrites: 16_384,
  pendingBytes: 64 * 1024 * 1024,
  pendingReads: 65_536,
  uncommittedBytes: 64 * 1024 * 1024,
  inflightBytes: 4 * 1024 * 1024,
  logWindowBytes: 16 * 1024 * 1024,
  historyRevisions: 100_000,
  historyBytes: 256 * 1024 * 1024,
  logEntries: 100_000,
  logBytes: 64 * 1024 * 1024,
  snapshotBytesPerSecond: 32 * 1024 * 1024,
  valueBytes: 1024 * 1024
}

const Fields = Schema.Struct({
  /** Given at the first start, else drawn; another one than the directory's is `InvalidRequest`. */
  nodeId: Schema.NullOr(NodeId),
  start: Start,
  /** Where peers reach this node, where that differs from where it listens. */
  advertise: Schema.NullOr(Address),
  /** This node's HTTP address as others see it; null where it serves none. */
  http: Schema.NullOr(Schema.String),
  /** T: a follower that hears of no leader for T to 2 T campaigns. */
  electionTimeout: millis("electionTimeout", 50, 60_000),
  heartbeat: millis("heartbeat", 5, 10_000),
  /**
   * How much faster one member's monotonic clock may run than another's, as a part of 1 (0.01: one hundredth): with
   * such a bound a leader serves reads that ask for `lease` without a round of contact. Null: no leases. It must be the
   * same on all members, and true: beyond it such reads may be stale.
   */
  clockDrift: Schema.NullOr(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 10 }))),
  /** The state is checkpointed this often, or whenever `checkpointBytes` of changes have gathered. */
  checkpointInterval: millis("checkpointInterval", 10, 60_000),
  checkpointBytes: positive,
  /** A log commit that takes longer ends the node. */
  commitTimeout: millis("commitTimeout", 100, 600_000),
  limits: Limits
})

export const Settings = Fields.check(
  Schema.makeFilter((settings) =>
    Duration.toMillis(settings.electionTimeout) >= 3 * Duration.toMillis(settings.heartbeat) ||
    "electionTimeout must be at least three heartbeats, or one lost packet elects a new leader"
  )
)
export type Settings = typeof Settings.Type

export const defaultSettings: Settings = {
  nodeId: null,
  start: "await",
  advertise: null,
  http: null,
  electionTimeout: Duration.millis(1000),
  heartbeat: Duration.millis(100),
  clockDrift: null,
  checkpointInterval: Duration.seconds(1),
  checkpointBytes: 8 * 1024 * 1024,
  commitTimeout: Duration.seconds(10),
  limits: defaultLimits
}

/** What a caller writes: everything optional, durations in any form, limits in part. */
export interface SettingsInput {
  readonly nodeId?: string | undefined
  readonly start?: "bootstrap" | "await" | { readonly join: ReadonlyArray<string> } | undefined
  readonly advertise?: string | undefined
  readonly http?: string | undefined
  readonly electionTimeout?: Duration.Input | undefined
  readonly heartbeat?: Duration.Input | undefined
  readonly clockDrift?: number | undefined
  readonly checkpointInterval?: Duration.Input | undefined
  readonly checkpointBytes?: number | undefined
  readonly commitTimeout?: Duration.Input | undefined
  readonly limits?: Partial<Limits> | undefined
}
