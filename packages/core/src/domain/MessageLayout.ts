/** Numbers and Schemas of the peer format of `PeerCodec.ts`. Numbers are never used again for anything else. */
import { DistKvError } from "../DistKvError.ts"
import { jsonText } from "./JsonText.ts"
import type { ForwardResult, PeerMessage } from "./PeerMessage.ts"
import { AdminCommand, AdminResult, PeerMessageFields } from "./PeerMessage.ts"

export const messageVersion = 1

/** The largest message, in bytes. */
export const maxMessageBytes = 4 * 1024 * 1024

/** The kind byte of each message. */
export const messageKind: Readonly<Record<PeerMessage["_tag"], number>> = {
  VoteRequest: 1,
  VoteReply: 2,
  AppendRequest: 3,
  AppendReply: 4,
  TimeoutNow: 5,
  LinkReport: 6,
  ForwardRequest: 7,
  ForwardReply: 8,
  ReadIndexRequest: 9,
  ReadIndexReply: 10,
  AdminRequest: 11,
  AdminReply: 12,
  Refused: 13,
  SnapshotPiece: 14,
  SnapshotReply: 15,
  StateDigest: 16
}

/** Bytes of an append without entries. */
export const appendOverheadBytes = 48

/** What each entry adds to an append beside its record. */
export const appendEntryOverheadBytes = 4

export const votePreVote = 1
export const voteTransfer = 2
export const voteGranted = 2
export const appendMatched = 1
export const readConfirmed = 1
export const digestOfMajority = 1
export const refusedRolledBack = 1

/** What a receiver says of a snapshot, by its number. */
export const snapshotProgress = ["receiving", "installing", "done", "damaged"] as const

type Applied = Extract<ForwardResult, { readonly _tag: "Applied" }>["outcome"]["_tag"]

/** The result byte of a forward reply: how it ended, and for what was applied, the outcome. */
export const resultKind: Readonly<Record<Exclude<ForwardResult["_tag"], "Applied"> | Applied, number>> = {
  NotLeader: 0,
  Unknown: 1,
  Refused: 2,
  Done: 3,
  Put: 4,
  Deleted: 5,
  CompareFailed: 6,
  TooManyEntries: 7,
  SessionOpened: 8,
  SessionExpired: 9,
  SequenceReused: 10,
  Sealed: 11
}

export const putCreated = 1
/** A put's reply holds the entry before it, a failed guard's the current one. */
export const holdsEntry = 2
export const entryLeased = 1

export const errorText = jsonText(DistKvError)
export const adminCommandText = jsonText(AdminCommand)
export const adminResultText = jsonText(AdminResult)
export const linkReportText = jsonText(PeerMessageFields.cases.LinkReport)
