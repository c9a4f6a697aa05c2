/**
 * The JSON shapes of the HTTP interface.
 *
 * Revisions, terms, indexes and leases travel as decimal strings, since they may exceed what other languages' JSON
 * readers hold exactly; counts, versions and milliseconds travel as numbers. Values travel as base64.
 */
import { ClusterId, type Entry, Key, LogIndex, NodeId, Refusal, Revision, Term, type WriteOutcome } from "@distkv/core"
import { Schema, SchemaTransformation } from "effect"

const digits = Schema.String.check(
  Schema.isPattern(/^(0|[1-9][0-9]{0,15})$/, { expected: "a decimal number without leading zeros" })
)

const fromDigits = SchemaTransformation.transform<number, string>({ decode: Number, encode: String })

/** A store revision, as a decimal string. */
export const RevisionText = digits.pipe(Schema.decodeTo(Revision, fromDigits))

/** A term, as a decimal string. */
export const TermText = digits.pipe(Schema.decodeTo(Term, fromDigits))

/** A log index, as a decimal string. */
export const LogIndexText = digits.pipe(Schema.decodeTo(LogIndex, fromDigits))

const metadata = {
  key: Key,
  createRevision: RevisionText,
  modRevision: RevisionText,
  version: Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)),
  lease: Schema.NullOr(RevisionText)
}

/** An entry; `value` is base64. */
export const EntryJson = Schema.Struct({ ...metadata, value: Schema.Uint8ArrayFromBase64 })
export type EntryJson = typeof EntryJson.Type

/** The entry that made a guard fail; `value` is null where it is larger than 64 KiB. */
export const CurrentJson = Schema.Struct({ ...metadata, value: Schema.NullOr(Schema.Uint8ArrayFromBase64) })
export type CurrentJson = typeof CurrentJson.Type

/** What a failed guard carries of the present value, in bytes. */
export const maxCurrentValueBytes = 64 * 1024

export const SetJson = Schema.Struct({
  revision: RevisionText,
  created: Schema.Boolean,
  previous: Schema.optionalKey(Schema.NullOr(EntryJson))
})

export const DeleteJson = Schema.Struct({ revision: RevisionText, deleted: Schema.Boolean })

export const ListJson = Schema.Struct({
  revision: RevisionText,
  entries: Schema.Array(EntryJson),
  more: Schema.Boolean
})

export const DeleteRangeJson = Schema.Struct({ revision: RevisionText, deleted: Schema.Int })

/** A session for idempotent writes. */
export const SessionJson = Schema.Struct({ session: Schema.String })

/** What became of a write in a session: `notApplied` is final too. */
export const OutcomeJson = Schema.Struct({
  outcome: Schema.Literals(["applied", "refused", "notApplied"]),
  revision: RevisionText,
  created: Schema.optionalKey(Schema.Boolean),
  deleted: Schema.optionalKey(Schema.Int),
  session: Schema.optionalKey(Schema.String),
  reason: Schema.optionalKey(Schema.Literals(["CompareFailed", "TooManyEntries"]))
})
export type OutcomeJson = typeof OutcomeJson.Type

/** An outcome as the wire tells it, and back. */
export const outcomeText = (outcome: WriteOutcome): string => {
  const { _tag, revision, ...rest } = outcome
  const name = _tag === "Applied" ? "applied" : _tag === "Refused" ? "refused" : "notApplied"
  return JSON.stringify({ outcome: name, revision: String(revision), ...rest })
}

export const toOutcome = ({ created, deleted, outcome, reason, revision, session }: OutcomeJson): WriteOutcome => {
  switch (outcome) {
    case "applied":
      return {
        _tag: "Applied",
        revision,
        ...(created === undefined ? {} : { created }),
        ...(deleted === undefined ? {} : { deleted }),
        ...(session === undefined ? {} : { session })
      }
    case "refused":
      return { _tag: "Refused", revision, reason: reason ?? "CompareFailed" }
    case "notApplied":
      return { _tag: "NotApplied", revision }
  }
}

export const RoleJson = Schema.Literals(["leader", "follower", "candidate", "learner"])

/** A member as the answering node knows it; what only the leader knows is null elsewhere. */
export const MemberJson = Schema.Struct({
  id: NodeId,
  address: Schema.String,
  http: Schema.NullOr(Schema.String),
  role: RoleJson,
  voter: Schema.Boolean,
  healthy: Schema.NullOr(Schema.Boolean),
  lastContactMs: Schema.NullOr(Schema.Number),
  match: Schema.NullOr(LogIndexText),
  lag: Schema.NullOr(Schema.Int),
  version: Schema.NullOr(Schema.String),
  fingerprint: Schema.String,
  missingKeys: Schema.Array(NodeId)
})
export type MemberJson = typeof MemberJson.Type

/** ssh2's native addon, or JavaScript, which costs several times as much processor time. */
export const EncryptionJson = Schema.Literals(["native", "JavaScript"])
export type EncryptionJson = typeof EncryptionJson.Type

/** One node's view of its cluster; it needs no quorum. */
export const ClusterJson = Schema.Struct({
  clusterId: Schema.NullOr(ClusterId),
  nodeId: NodeId,
  role: RoleJson,
  term: TermText,
  leader: Schema.NullOr(NodeId),
  commit: LogIndexText,
  applied: LogIndexText,
  failureTolerance: Schema.NullOr(Schema.Int),
  /** What encrypts this node's packets to the others; absent where its transport does not say. */
  encryption: Schema.optionalKey(EncryptionJson),
  /** Why the cluster wants no more of this node, for good; absent while it does. */
  refused: Schema.optionalKey(Refusal),
  members: Schema.Array(MemberJson)
})
export type ClusterJson = typeof ClusterJson.Type

/** Which node to admit: its id, the address and the public key by which the others reach and know it. */
export const AddMemberJson = Schema.Struct({
  id: Schema.String,
  address: Schema.String,
  publicKey: Schema.String,
  learner: Schema.optionalKey(Schema.Boolean)
})

/** A member as it is after a change; `joining` is a learner that is promoted once it has caught up. */
export const MemberChangedJson = Schema.Struct({
  id: NodeId,
  address: Schema.String,
  http: Schema.NullOr(Schema.String),
  publicKey: Schema.String,
  standing: Schema.Literals(["voter", "learner", "joining"])
})
export type MemberChangedJson = typeof MemberChangedJson.Type

export const RemovedJson = Schema.Struct({ id: NodeId })

/** Where a member is, as `host:port`. */
export const AddressJson = Schema.Struct({ address: Schema.String })

export const TransferJson = Schema.Struct({ to: Schema.optionalKey(Schema.String) })

export const TransferredJson = Schema.Struct({ leader: NodeId, term: TermText })

/** The wire form of an entry, as text: written by hand since pages hold thousands. */
export const entryText = (entry: Entry, withValue = true): string => {
  const value = withValue
    ? `"${Buffer.from(entry.value.buffer, entry.value.byteOffset, entry.value.byteLength).toString("base64")}"`
    : "null"
  const lease = entry.leaseId === null ? "null" : `"${entry.leaseId}"`
  return `{"key":${JSON.stringify(entry.key)},"value":${value},"createRevision":"${entry.createRevision}",` +
    `"modRevision":"${entry.modRevision}","version":${entry.version},"lease":${lease}}`
}

/** The entry that a reply carried. */
export const toEntry = (json: EntryJson): Entry => ({
  key: json.key,
  value: json.value,
  createRevision: json.createRevision,
  modRevision: json.modRevision,
  version: json.version,
  leaseId: json.lease
})
