/**
 * The service: a strongly consistent key-value store, replicated by the node that this process carries.
 *
 * Every write, and every read at the default consistency, takes effect at one instant between call and reply. One
 * deadline covers queueing, forwarding and commit; no call hangs. `docs/ARCHITECTURE.md` says how.
 */
import { Context, type Duration, type Effect, type Stream } from "effect"
import type {
  ClusterError,
  KeyNotFound,
  NotFound,
  ReadError,
  Shutdown,
  StorageFailed,
  WriteError
} from "./DistKvError.ts"
import type { Entry } from "./domain/Entry.ts"
import type { Address, ClusterId, NodeId, PublicKey, Refusal } from "./domain/Identity.ts"
import type { Member } from "./domain/Membership.ts"
import type { LogIndex, Revision, Term } from "./domain/Position.ts"

/**
 * How fresh a read is. `linearizable`: it sees every write that was acknowledged before it began. `lease`: the same,
 * without a round of contact where the leader holds a lease. `stale`: this node's own state, at once.
 */
export type Consistency = "linearizable" | "lease" | "stale"

/** Options of every call. */
export interface CallOptions {
  /** The deadline of the whole call; default 5 s, at most 60 s. */
  readonly timeout?: Duration.Input | undefined
}

export interface ReadOptions extends CallOptions {
  readonly consistency?: Consistency | undefined
  /** Waits until this node's state has at least this revision. */
  readonly minRevision?: number | undefined
}

/** What a read says beside the data. */
export interface ReadInfo {
  /** The store's revision that the read shows. */
  readonly revision: Revision
  /** The consistency with which it was served; `lease` is served as linearizable where leases are off. */
  readonly consistency: Consistency
}

/** An entry as read. */
export interface ReadEntry extends Entry, ReadInfo {}

/**
 * Names a write, so that it takes effect once however often it is sent: a session that the store has issued, and a
 * number that its owner gives to this write and to no other. The last 1,024 numbers are remembered.
 */
export interface IdempotencyKey {
  /** As `openSession` gave it. */
  readonly session: string
  /** From 1; a number, or its digits. */
  readonly sequence: number | string
}

/** Options of every write. */
export interface WriteOptions extends CallOptions {
  /**
   * The same key again gives the first result: without executing the write again, and whatever has happened since. With
   * another command it is `InvalidRequest`, with a session or number that is not remembered `SessionExpired`.
   */
  readonly idempotencyKey?: IdempotencyKey | undefined
}

/** What became of a write, for good. */
export type WriteOutcome =
  /** It was executed. What its kind of write answers beside the revision is there too. */
  | {
    readonly _tag: "Applied"
    readonly revision: Revision
    readonly created?: boolean | undefined
    readonly deleted?: number | undefined
    readonly session?: string | undefined
  }
  /** It was executed and changed nothing: its guard did not hold, or its range had too many entries. */
  | { readonly _tag: "Refused"; readonly revision: Revision; readonly reason: "CompareFailed" | "TooManyEntries" }
  /** It was not executed, and never will be. */
  | { readonly _tag: "NotApplied"; readonly revision: Revision }

export interface SetOptions extends WriteOptions {
  /** Compare-and-set on `modRevision`; 0 creates only. */
  readonly ifRevision?: number | undefined
  /** Return the entry that was replaced. */
  readonly previous?: boolean | undefined
}

export interface SetResult {
  readonly revision: Revision
  readonly created: boolean
  /** Only where asked for; null when the key was absent. */
  readonly previous?: Entry | null | undefined
}

export interface DeleteOptions extends WriteOptions {
  /** Delete only the entry with this `modRevision`; not 0. */
  readonly ifRevision?: number | undefined
}

export interface DeleteResult {
  readonly revision: Revision
  readonly deleted: boolean
}

/** Which keys, by one of: a prefix, a range, or (deletes) all. */
export interface ListOptions extends ReadOptions {
  readonly prefix?: string | undefined
  /** Inclusive. */
  readonly from?: string | undefined
  /** Exclusive. */
  readonly to?: string | undefined
  /** Exclusive, in the direction of travel: the last key of the page before. */
  readonly after?: string | undefined
  /** Default 1,000, at most 10,000. */
  readonly limit?: number | undefined
  /** Leave values empty. */
  readonly keysOnly?: boolean | undefined
  readonly reverse?: boolean | undefined
}

/** One consistent cut of the store, of at most `limit` entries and 4 MiB. */
export interface ListResult extends ReadInfo {
  readonly entries: ReadonlyArray<Entry>
  readonly more: boolean
}

/** Exactly one of `prefix` (not empty), `from` and/or `to`, or `all`. */
export interface DeleteRangeOptions extends WriteOptions {
  readonly prefix?: string | undefined
  readonly from?: string | undefined
  readonly to?: string | undefined
  readonly all?: true | undefined
}

export interface DeleteRangeResult {
  readonly revision: Revision
  readonly deleted: number
}

/** A learner is a member without a vote. A node that is no member, or none any more (`refused` says so), follows. */
export type RoleName = "leader" | "follower" | "candidate" | "learner"

/** A member as this node knows it; what only the leader knows is null elsewhere. */
export interface MemberStatus extends Member {
  readonly healthy: boolean | null
  /** Milliseconds since the leader last heard of it. */
  readonly lastContactMs: number | null
  /** The highest index known to be durable there. */
  readonly match: LogIndex | null
  /** Entries that it is behind the leader's log. */
  readonly lag: number | null
  /** The program version it runs. */
  readonly version: string | null
  /**
   * Members whose key it does not accept, or that it does not reach although they are up and accept its own; they hold
   * up a promotion.
   */
  readonly missingKeys: ReadonlyArray<NodeId>
  /** The leader refuses it: it came back without entries that it had acknowledged, thus in an older directory. */
  readonly rolledBack: boolean | null
}

/** This node's view of itself and its cluster; never needs the quorum. */
export interface Status {
  readonly clusterId: ClusterId | null
  readonly nodeId: NodeId
  readonly publicKey: PublicKey
  readonly address: Address
  readonly role: RoleName
  readonly term: Term
  readonly leader: NodeId | null
  readonly commit: LogIndex
  readonly applied: LogIndex
  readonly revision: Revision
  /** How many voters may fail now without the cluster losing its quorum; null where unknown. */
  readonly failureTolerance: number | null
  readonly members: ReadonlyArray<MemberStatus>
  readonly ready: Readiness
  /** Why the cluster wants no more of this node, for good; null while it does. */
  readonly refused: Refusal | null
}

/** The checks behind readiness: the node is ready when all of them are true. */
export interface Readiness {
  /** A leader is known and was contacted within an election time-out. */
  readonly leader: boolean
  /** Fewer than 1,000 committed entries wait to be applied. */
  readonly applied: boolean
  /** The storage works and has space. */
  readonly storage: boolean
  /** The node is not closing. */
  readonly open: boolean
  /** The cluster has not refused this node: it was not removed, and its directory not rolled back. */
  readonly member: boolean
}

/** Counters and gauges of this node, for `/metrics`; plain numbers, read at once. */
export interface NodeMetrics {
  readonly electionsStarted: number
  readonly leaderChanges: number
  readonly preVotesRejected: number
  /** How often this node, leading, was held up for more than half an election time-out. */
  readonly leaderPauses: number
  /** How often replicas' digests of the state differed without a majority for either. */
  readonly disagreements: number
  readonly proposalsPending: number
  readonly proposals: number
  readonly proposalsFailed: number
  readonly readsPending: number
  readonly reads: number
  readonly readRounds: number
  readonly forwarded: number
  /** Forwarded writes that were sent again because their answer stayed away. */
  readonly retried: number
  /** Sessions that are open, the members' own included. */
  readonly sessions: number
  readonly overloaded: number
  /** Of peers that put more into the inbox than they may: messages dropped, and forwarded writes refused. */
  readonly peerMessagesDropped: number
  readonly peerWritesRefused: number
  readonly logCommits: number
  readonly logCommitSeconds: number
  readonly logBytes: number
  readonly logEntries: number
  readonly checkpoints: number
  readonly checkpointSeconds: number
  readonly overlayBytes: number
  /** Snapshots built for followers, and the time spent on them. */
  readonly snapshotsBuilt: number
  readonly snapshotBuildSeconds: number
  readonly snapshotSentBytes: number
  readonly snapshotReceivedBytes: number
  /** Snapshots that took the place of the state, and the time from their last byte to that. */
  readonly snapshotsInstalled: number
  readonly snapshotInstallSeconds: number
  /** Snapshots thrown away, since they could not be built, read, kept, or were damaged. */
  readonly snapshotsFailed: number
  /** The last entry of the snapshot that was built or installed last; 0 before the first. */
  readonly snapshotLastIndex: number
  readonly snapshotBuilding: boolean
  readonly snapshotReceiving: boolean
  readonly keys: number
  readonly peers: ReadonlyArray<{
    readonly id: NodeId
    readonly connected: boolean
    readonly sentBytes: number
    readonly receivedBytes: number
    readonly droppedMessages: number
  }>
}

export interface JoinOptions extends CallOptions {
  /** Stay a learner: receive everything, count in no quorum. */
  readonly learner?: boolean | undefined
}

export interface AddMember {
  readonly id: string
  readonly address: string
  readonly publicKey: string
  readonly learner?: boolean | undefined
}

export interface ChangeOptions extends CallOptions {
  /** Make the change also where it leaves no live quorum, or the learner is not ready; default false. */
  readonly force?: boolean | undefined
}

export class DistKv extends Context.Service<DistKv, {
  readonly get: (key: string, options?: ReadOptions) => Effect.Effect<ReadEntry, KeyNotFound | ReadError>
  readonly set: (
    key: string,
    value: Uint8Array | string,
    options?: SetOptions
  ) => Effect.Effect<SetResult, WriteError>
  /** Sets several keys at one revision: all or nothing. At most 128, none twice. */
  readonly setMany: (
    entries: ReadonlyArray<readonly [key: string, value: Uint8Array | string]>,
    options?: WriteOptions
  ) => Effect.Effect<{ readonly revision: Revision }, WriteError>
  /** An absent key is `deleted: false`: no error, and no revision used. */
  readonly delete: (key: string, options?: DeleteOptions) => Effect.Effect<DeleteResult, WriteError>
  readonly list: (options?: ListOptions) => Effect.Effect<ListResult, ReadError>
  /** Deletes at most 10,000 entries at one revision; more is `InvalidRequest`, and nothing is deleted. */
  readonly deleteRange: (options: DeleteRangeOptions) => Effect.Effect<DeleteRangeResult, WriteError>
  /** Opens a session for idempotent writes; of 4,096 the least recently used one makes room for a new one. */
  readonly openSession: (options?: CallOptions) => Effect.Effect<{ readonly session: string }, WriteError>
  /**
   * What became of a write in a session, such as one that failed with `OutcomeUnknown`. Where it was not executed, it
   * never will be. `SessionExpired` where nobody remembers.
   */
  readonly outcome: (
    session: string,
    sequence: number | string,
    options?: CallOptions
  ) => Effect.Effect<WriteOutcome, WriteError>
  readonly status: Effect.Effect<Status, Shutdown>
  readonly metrics: Effect.Effect<NodeMetrics, Shutdown>
  /** Makes this node, which belongs to no cluster yet, a member of the cluster that the node at `address` is in. */
  readonly join: (address: string, options?: JoinOptions) => Effect.Effect<Member, ClusterError>
  readonly members: {
    readonly list: Effect.Effect<ReadonlyArray<MemberStatus>, Shutdown>
    /** Admits a node that awaits a join; it catches up as a learner and is then promoted, unless `learner` is set. */
    readonly add: (member: AddMember, options?: CallOptions) => Effect.Effect<Member, ClusterError>
    /** Removes a member for good: its id and key never come back. A leader hands over first, where it can. */
    readonly remove: (id: string, options?: ChangeOptions) => Effect.Effect<void, ClusterError>
    /** Makes a learner a voter; waits until it has caught up and every live voter reaches it. */
    readonly promote: (id: string, options?: ChangeOptions) => Effect.Effect<Member, ClusterError>
    /** Makes a voter a learner. */
    readonly demote: (id: string, options?: ChangeOptions) => Effect.Effect<Member, ClusterError>
    /** Says where a member is that cannot say so itself, since nobody reaches it. */
    readonly updateAddress: (id: string, address: string, options?: CallOptions) => Effect.Effect<Member, ClusterError>
  }
  /** Hands leadership to `to`, or to the voter that is furthest ahead; answers once the successor leads. */
  readonly transferLeadership: (
    to?: string,
    options?: CallOptions
  ) => Effect.Effect<{ readonly leader: NodeId; readonly term: Term }, ClusterError | NotFound>
  /**
   * A copy of the whole store as bytes (`domain/Snapshot.ts`), for a backup: it holds every write acknowledged before.
   * Nothing waits for whoever reads it.
   */
  readonly snapshot: (options?: CallOptions) => Stream.Stream<Uint8Array, ReadError>
  /** Completes when this node stops serving for good: with an error when its storage failed, without when closed. */
  readonly stopped: Effect.Effect<void, StorageFailed>
}>()("@distkv/core/DistKv") {}
