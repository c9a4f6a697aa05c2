/**
 * Everything that can go wrong. Every error tells whether the command took effect (`applied`):
 * `"no"`: it did not and never will; `"unknown"`: it may have; null: the question does not arise.
 */
import { Duration, Schema } from "effect"
import { Entry } from "./domain/Entry.ts"
import { Revision } from "./domain/Position.ts"

/** Whether a failed command took effect. */
export type Applied = "no" | "unknown" | null

const detail = { message: Schema.String }

/** The read was served, and the key is absent at `revision`. */
export class KeyNotFound extends Schema.TaggedError<KeyNotFound>()("KeyNotFound", {
  key: Schema.String,
  revision: Revision,
  /** At which level the read was served. */
  consistency: Schema.optionalKey(Schema.Literals(["linearizable", "lease", "stale"]))
}) {
  readonly applied: Applied = null
  override get message() {
    return `key not found: ${JSON.stringify(this.key)}`
  }
}

/**
 * Malformed, too large, or an unknown option; refused before it entered the log. `tooLarge` marks a size limit,
 * `reused` a sequence of a session that belongs to another command, or that was sealed before it was executed.
 */
export class InvalidRequest extends Schema.TaggedError<InvalidRequest>()("InvalidRequest", {
  ...detail,
  tooLarge: Schema.optionalKey(Schema.Boolean),
  reused: Schema.optionalKey(Schema.Boolean)
}) {
  readonly applied: Applied = "no"
}

/** The guard did not hold when the command was applied; `current` is the entry as it then was, or null. */
export class CompareFailed extends Schema.TaggedError<CompareFailed>()("CompareFailed", {
  current: Schema.NullOr(Entry),
  revision: Revision
}) {
  readonly applied: Applied = "no"
  override get message() {
    return this.current === null
      ? "the guard did not hold: the key is absent"
      : `the guard did not hold: the key is at revision ${this.current.modRevision}`
  }
}

/** No quorum within the deadline; the command never entered a log. */
export class NoLeader extends Schema.TaggedError<NoLeader>()("NoLeader", detail) {
  readonly applied: Applied = "no"
}

/** A read, or a write that never entered a log, ran out of time for another reason than a missing leader. */
export class DeadlineExceeded extends Schema.TaggedError<DeadlineExceeded>()("DeadlineExceeded", detail) {
  readonly applied: Applied = "no"
}

/** A bounded queue is full; try again after `retryAfterMs` milliseconds. */
export class Overloaded extends Schema.TaggedError<Overloaded>()("Overloaded", {
  retryAfterMs: Schema.Int,
  ...detail
}) {
  readonly applied: Applied = "no"
  get retryAfter(): Duration.Duration {
    return Duration.millis(this.retryAfterMs)
  }
}

/** The disk reserve is reached; deletes are still accepted. */
export class StorageFull extends Schema.TaggedError<StorageFull>()("StorageFull", detail) {
  readonly applied: Applied = "no"
}

/** The write may have entered a log, and its reply is lost. The fields are absent where there is no session. */
export class OutcomeUnknown extends Schema.TaggedError<OutcomeUnknown>()("OutcomeUnknown", {
  ...detail,
  session: Schema.optionalKey(Schema.String),
  sequence: Schema.optionalKey(Schema.String)
}) {
  readonly applied: Applied = "unknown"
}

/**
 * The session is not open any more, or remembers this sequence no more: this attempt did nothing, an earlier one of the
 * same sequence may have. Nothing is ever executed again for it.
 */
export class SessionExpired extends Schema.TaggedError<SessionExpired>()("SessionExpired", {
  ...detail,
  session: Schema.String,
  sequence: Schema.String
}) {
  readonly applied: Applied = "unknown"
}

/** This node's storage failed, is damaged, or belongs to another node; the node stops serving. */
export class StorageFailed extends Schema.TaggedError<StorageFailed>()("StorageFailed", {
  ...detail,
  cause: Schema.optionalKey(Schema.Defect())
}) {
  readonly applied: Applied = "unknown"
}

/** What messages of `StorageFailed` end with where nothing that the directory holds can be believed any more. */
export const howToReplace =
  "Its data cannot be trusted: move the directory away, and let this node join again as a new one"

/** Whether starting the node again is of no use: it is to be replaced by a new one with an empty directory. */
export const isToBeReplaced = (error: StorageFailed): boolean => error.message.includes(howToReplace)

/** The cluster refuses the change; `reason` says why. `final` is true where asking again cannot help. */
export class MembershipRejected extends Schema.TaggedError<MembershipRejected>()("MembershipRejected", {
  reason: Schema.String,
  final: Schema.Boolean
}) {
  readonly applied: Applied = "no"
  override get message() {
    return this.reason
  }
}

/** A foreign host or origin, or something that the caller has no right to. */
export class Forbidden extends Schema.TaggedError<Forbidden>()("Forbidden", detail) {
  readonly applied: Applied = "no"
}

/** No such route or member. */
export class NotFound extends Schema.TaggedError<NotFound>()("NotFound", detail) {
  readonly applied: Applied = "no"
}

/** The node was closed, or is closing. */
export class Shutdown extends Schema.TaggedError<Shutdown>()("Shutdown", {}) {
  readonly applied: Applied = "no"
  override get message() {
    return "this node is closed"
  }
}

/** The data directory is in use by another node. */
export class AlreadyOpened extends Schema.TaggedError<AlreadyOpened>()("AlreadyOpened", {
  directory: Schema.String
}) {
  readonly applied: Applied = "no"
  override get message() {
    return `another node has ${this.directory} open`
  }
}

/** Every error of the service, as it crosses the wire. */
export const DistKvError = Schema.Union([
  KeyNotFound,
  InvalidRequest,
  CompareFailed,
  NoLeader,
  DeadlineExceeded,
  Overloaded,
  StorageFull,
  OutcomeUnknown,
  SessionExpired,
  StorageFailed,
  MembershipRejected,
  Forbidden,
  NotFound,
  Shutdown,
  AlreadyOpened
])
export type DistKvError = typeof DistKvError.Type

/** Why a read fails, a missing key apart. */
export type ReadError = InvalidRequest | NoLeader | DeadlineExceeded | Overloaded | StorageFailed | Shutdown

/** Why a write fails. */
export type WriteError = ReadError | CompareFailed | StorageFull | OutcomeUnknown | SessionExpired

/** Why a change of the cluster fails. */
export type ClusterError = ReadError | MembershipRejected | OutcomeUnknown | NotFound

/** Why a node does not start. */
export type StartError = AlreadyOpened | InvalidRequest | StorageFailed
