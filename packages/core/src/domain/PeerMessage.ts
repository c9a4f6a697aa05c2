/**
 * Everything one node may say to another. Anything not listed here cannot cross the wire.
 *
 * The sender is not part of a message: the transport authenticates it and names it on the `Envelope`.
 */
import { Schema } from "effect"
import { DistKvError } from "../DistKvError.ts"
import { Address, ClusterId, Incarnation, NodeId, PublicKey, Refusal } from "./Identity.ts"
import type { LogEntry } from "./LogEntry.ts"
import { LogEntryFields } from "./LogEntry.ts"
import { Member } from "./Membership.ts"
import { Outcome } from "./Outcome.ts"
import { LogId, LogIndex, Term } from "./Position.ts"
import { SnapshotId } from "./Snapshot.ts"

const count = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))

/** What a node can say about its link to another member; the leader promotes nobody whom a live voter cannot reach. */
export const Link = Schema.Struct({ id: NodeId, accepts: Schema.Boolean, connected: Schema.Boolean })
export type Link = typeof Link.Type

/** A change of the cluster that any node passes on to its leader. */
export const AdminCommand = Schema.TaggedUnion({
  /** A node asks to become a member itself. */
  Join: {
    id: NodeId,
    incarnation: Incarnation,
    publicKey: PublicKey,
    address: Address,
    http: Schema.NullOr(Schema.String),
    learner: Schema.Boolean
  },
  /** An operator adds a node that awaits a join. */
  AddMember: { id: NodeId, publicKey: PublicKey, address: Address, learner: Schema.Boolean },
  /** Removes a member for good; its id and key never come back. */
  RemoveMember: { id: NodeId, force: Schema.Boolean },
  /** Makes a learner a voter, once it has caught up and every live voter reaches it. */
  PromoteMember: { id: NodeId, force: Schema.Boolean },
  /** Makes a voter a learner. */
  DemoteMember: { id: NodeId, force: Schema.Boolean },
  /** Says where a member is that cannot say so itself. */
  UpdateAddress: { id: NodeId, address: Address },
  /** Hands leadership to `to`, or to the voter that is furthest ahead. */
  Transfer: { to: Schema.NullOr(NodeId) }
})
export type AdminCommand = typeof AdminCommand.Type

export const AdminResult = Schema.TaggedUnion({
  /** `members` are all of them, so that the new one knows whom to expect before it has heard of the log. */
  Admitted: { member: Member, clusterId: ClusterId, members: Schema.optionalKey(Schema.Array(Member)) },
  /** The member as it is from now on. */
  Changed: { member: Member },
  Removed: { id: NodeId },
  Transferred: { leader: NodeId, term: Term },
  Failed: { error: DistKvError },
  /** This node leads no more, or not yet; nothing was done. */
  NotLeader: {}
})
export type AdminResult = typeof AdminResult.Type

/** How a forwarded write ended at the leader. */
export const ForwardResult = Schema.TaggedUnion({
  /** Applied at `index`; the forwarding node answers its caller once it has applied that index too. */
  Applied: { index: LogIndex, outcome: Outcome },
  /** It entered no log, and this copy never will. */
  NotLeader: {},
  /** It entered no log, for the reason given. */
  Refused: { error: DistKvError },
  /** It may have entered a log. */
  Unknown: {}
})
export type ForwardResult = typeof ForwardResult.Type

const fields = {
  /** Asks for a vote (§5.2). With `preVote` nothing is recorded (thesis §9.6); `transfer` overrides stickiness. */
  VoteRequest: { term: Term, preVote: Schema.Boolean, transfer: Schema.Boolean, lastLog: LogId },
  /** A granted pre-vote carries the term asked about, every other reply the voter's own. */
  VoteReply: { term: Term, preVote: Schema.Boolean, granted: Schema.Boolean },
  /**
   * Accepts everything up to `index` as equal to the leader's log and durable, or (`matched` false) rejects an append
   * whose `previous.index` was `index`, with the last entry of the sender's log that may match as `hint`.
   * `round` is the highest round received from this leader in this term.
   */
  AppendReply: { term: Term, matched: Schema.Boolean, index: LogIndex, hint: LogId, round: count },
  /** Tells the target of a leadership transfer to campaign at once (thesis §3.10). */
  TimeoutNow: { term: Term },
  /**
   * A follower's links to the other members, said twice in an election time-out; `version` is its program's version,
   * and `full` says that its disk reserve is reached. `withholdsMs`: for how many milliseconds of its own clock it
   * grants no vote after contact with a leader, and after its own start, as leases need; absent where it promises
   * nothing of the kind.
   */
  LinkReport: {
    term: Term,
    links: Schema.Array(Link),
    version: Schema.String,
    full: Schema.Boolean,
    withholdsMs: Schema.optionalKey(count)
  },
  /**
   * A digest of the state after the entry at `index` (`state/StateDigest.ts`). A leader tells its own and each follower
   * answers with its own; `majority` says that most voters have this one, so that who has another has diverged.
   */
  StateDigest: { term: Term, index: LogIndex, digest: count, majority: Schema.Boolean },
  /**
   * Passes a client's write to the leader of `leaderTerm`. `run` is drawn at random by each start of the sender, and
   * `id` rises with every request of a run: the leader executes each at most once. `record` is an unstamped log record.
   */
  ForwardRequest: {
    run: count,
    id: count,
    leaderTerm: Term,
    hops: count,
    remainingMs: count,
    record: Schema.Uint8Array
  },
  ForwardReply: { id: count, result: ForwardResult },
  /** Asks the leader for a read index (thesis §6.4); one request serves all reads that wait at the sender. */
  ReadIndexRequest: { id: count, term: Term, remainingMs: count },
  /** `index` is null when the node cannot confirm its leadership. */
  ReadIndexReply: { id: count, index: Schema.NullOr(LogIndex) },
  AdminRequest: { id: count, hops: count, remainingMs: count, command: AdminCommand },
  AdminReply: { id: count, result: AdminResult },
  /**
   * Tells a node that it is refused for good. As `removed` it comes from any member that knows the removal to be
   * committed, also from its transport, in place of a connection. As `rolledBack` it comes from the leader of `term`,
   * which remembers that the node had acknowledged the entry `lost` in this term.
   */
  Refused: { term: Term, reason: Refusal, lost: LogId }
}

/**
 * A piece of a snapshot (thesis §5.3), from `offset` on; without data it asks how far the receiver is.
 *
 * Its answer says what the receiver does with the snapshot `id`: it wants the bytes from `offset` on; it installs it
 * (`installing`); it has all of it in its log or state (`done`); it found it damaged (`damaged`).
 */
const snapshotHeader = { term: Term, id: SnapshotId, offset: count }

/**
 * Replicates entries after `previous`, or (without entries) is a heartbeat (§5.3). `round` numbers the leader's rounds
 * of contact.
 */
const appendHeader = { term: Term, previous: LogId, committed: LogIndex, round: count }

/** The Schema of all messages, with log entries field by field; what the hand-written codec is tested against. */
export const PeerMessageFields = Schema.TaggedUnion({
  ...fields,
  SnapshotPiece: { ...snapshotHeader, data: Schema.Uint8Array },
  SnapshotReply: { ...snapshotHeader, progress: Schema.Literals(["receiving", "installing", "done", "damaged"]) },
  AppendRequest: { ...appendHeader, entries: Schema.Array(LogEntryFields) }
})
export type PeerMessageFields = typeof PeerMessageFields.Type

type Plain = Exclude<PeerMessageFields, { readonly _tag: "AppendRequest" }>

/** An append as the program handles it: entries are held as the bytes of their records. */
export interface AppendRequest {
  readonly _tag: "AppendRequest"
  readonly term: Term
  readonly previous: LogId
  readonly committed: LogIndex
  readonly round: number
  readonly entries: ReadonlyArray<LogEntry>
}

export type PeerMessage = Plain | AppendRequest
export type PeerMessageOf<Tag extends PeerMessage["_tag"]> = Extract<PeerMessage, { readonly _tag: Tag }>

/** A message with what the transport knows of its sender: authenticated, except that `clusterId` is what it says. */
export interface Envelope {
  readonly from: NodeId
  readonly incarnation: Incarnation
  readonly publicKey: PublicKey
  /** Null while the sender belongs to no cluster. */
  readonly clusterId: ClusterId | null
  /** The features that the sender announced, where the transport knows. */
  readonly features?: number | undefined
  readonly message: PeerMessage
}

/** The lane a message travels on: raft traffic, or control requests and bulk data, which must not delay it. */
export const laneOf = (message: PeerMessage): "raft" | "control" | "bulk" => {
  switch (message._tag) {
    case "SnapshotPiece":
    case "SnapshotReply":
      return "bulk"
    case "AdminRequest":
    case "AdminReply":
    case "ForwardRequest":
    case "ForwardReply":
    case "ReadIndexRequest":
    case "ReadIndexReply":
      return "control"
    default:
      return "raft"
  }
}
