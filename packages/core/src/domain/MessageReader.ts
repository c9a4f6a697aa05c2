/** Takes a peer's message apart; the layout is described in `PeerCodec.ts`. */
import { ByteReader } from "./ByteReader.ts"
import { getU16, getU32, getU64, viewOf } from "./Bytes.ts"
import type { LogEntry } from "./LogEntry.ts"
import {
  adminCommandText,
  adminResultText,
  appendEntryOverheadBytes,
  appendMatched,
  appendOverheadBytes,
  digestOfMajority,
  linkReportText,
  maxMessageBytes,
  messageKind,
  messageVersion,
  readConfirmed,
  refusedRolledBack,
  snapshotProgress,
  voteGranted,
  votePreVote,
  voteTransfer
} from "./MessageLayout.ts"
import type { PeerMessage } from "./PeerMessage.ts"
import type { LogId, LogIndex, Term } from "./Position.ts"
import { entryAt, flawOfRecord } from "./RecordCodec.ts"
import { readResult } from "./ResultCodec.ts"
import type { SnapshotId } from "./Snapshot.ts"

/** What stands in for a message when its bytes are none. */
export interface Flawed {
  readonly _tag: "Flawed"
  readonly flaw: string
}

/** The message that the bytes are, or the flaw because of which they are none. */
export const readMessage = (bytes: Uint8Array): PeerMessage | Flawed => {
  if (bytes.length > maxMessageBytes) return flawed("too large")
  if (bytes[1] !== messageVersion) return flawed(`message version ${bytes[1]} is not known`)
  if (bytes[0] === messageKind.AppendRequest) return readAppend(bytes)
  const reader = new ByteReader(bytes, 2)
  const message = readPlain(reader, bytes[0] ?? 0)
  reader.end()
  return reader.flaw === null ? message : flawed(reader.flaw)
}

const flawed = (flaw: string): Flawed => ({ _tag: "Flawed", flaw })

/** The one message that comes with every batch of writes: its entries stay where they are, as views of the frame. */
const readAppend = (bytes: Uint8Array): PeerMessage | Flawed => {
  if (bytes.length < appendOverheadBytes) return flawed("cut off")
  if (getU16(bytes, 2) !== 0) return flawed("an unknown flag")
  for (let at = 8; at < appendOverheadBytes; at += 8) {
    if (getU64(bytes, at) > Number.MAX_SAFE_INTEGER) return flawed("a number beyond 2^53 - 1")
  }
  const term = getU64(bytes, 8) as Term
  const previous: LogId = { term: getU64(bytes, 16) as Term, index: getU64(bytes, 24) as LogIndex }
  const entries = readEntries(bytes, getU32(bytes, 4), term, previous)
  if (typeof entries === "string") return flawed(entries)
  return {
    _tag: "AppendRequest",
    term,
    previous,
    committed: getU64(bytes, 32) as LogIndex,
    round: getU64(bytes, 40),
    entries
  }
}

/** `count` sound records, contiguous after `previous`, their terms never falling and never above the leader's. */
const readEntries = (bytes: Uint8Array, count: number, term: Term, previous: LogId): Array<LogEntry> | string => {
  const entries: Array<LogEntry> = []
  let lastTerm = previous.term
  let at = appendOverheadBytes
  for (let i = 1; i <= count; i++) {
    const from = at + appendEntryOverheadBytes
    if (from > bytes.length) return "cut off"
    at = from + getU32(bytes, at)
    if (at > bytes.length) return "cut off"
    const record = viewOf(bytes, from, at)
    const flaw = flawOfRecord(record)
    if (flaw !== null) return `entry ${i} of ${count}: ${flaw}`
    const entry = entryAt(record)
    if (entry.index !== previous.index + i) return `entry ${i} of ${count} has index ${entry.index}`
    if (entry.term < lastTerm || entry.term > term) return `entry ${i} of ${count} has term ${entry.term}`
    lastTerm = entry.term
    entries.push(entry)
  }
  return at === bytes.length ? entries : "bytes after the end"
}

const readPlain = (reader: ByteReader, kind: number): PeerMessage => {
  switch (kind) {
    case messageKind.VoteRequest: {
      const flags = reader.flags(votePreVote | voteTransfer)
      reader.flags(0)
      return {
        _tag: "VoteRequest",
        term: reader.u64() as Term,
        preVote: (flags & votePreVote) !== 0,
        transfer: (flags & voteTransfer) !== 0,
        lastLog: readLogId(reader)
      }
    }
    case messageKind.VoteReply: {
      const flags = reader.flags(votePreVote | voteGranted)
      reader.flags(0)
      const term = reader.u64() as Term
      return { _tag: "VoteReply", term, preVote: (flags & votePreVote) !== 0, granted: (flags & voteGranted) !== 0 }
    }
    case messageKind.AppendReply: {
      const flags = reader.flags(appendMatched)
      reader.flags(0)
      return {
        _tag: "AppendReply",
        term: reader.u64() as Term,
        matched: (flags & appendMatched) !== 0,
        index: reader.u64() as LogIndex,
        hint: readLogId(reader),
        round: reader.u64()
      }
    }
    case messageKind.ForwardReply: {
      const result = reader.u8()
      const flags = reader.u8()
      return { _tag: "ForwardReply", id: reader.u64(), result: readResult(reader, result, flags) }
    }
    case messageKind.SnapshotReply: {
      const progress = snapshotProgress[reader.u8()]
      if (progress === undefined) reader.reject("an unknown progress")
      reader.flags(0)
      const term = reader.u64() as Term
      const id = readSnapshotId(reader)
      return { _tag: "SnapshotReply", term, id, offset: reader.u64(), progress: progress ?? "damaged" }
    }
    case messageKind.StateDigest: {
      const flags = reader.flags(digestOfMajority)
      reader.flags(0)
      const term = reader.u64() as Term
      const index = reader.u64() as LogIndex
      return { _tag: "StateDigest", term, index, digest: reader.u64(), majority: (flags & digestOfMajority) !== 0 }
    }
    case messageKind.ReadIndexReply: {
      const flags = reader.flags(readConfirmed)
      reader.flags(0)
      const id = reader.u64()
      return { _tag: "ReadIndexReply", id, index: (flags & readConfirmed) === 0 ? null : reader.u64() as LogIndex }
    }
    case messageKind.Refused: {
      const flags = reader.flags(refusedRolledBack)
      reader.flags(0)
      const reason = (flags & refusedRolledBack) === 0 ? "removed" : "rolledBack"
      return { _tag: "Refused", term: reader.u64() as Term, reason, lost: readLogId(reader) }
    }
    default:
      reader.flags(0)
      reader.flags(0)
      return readUnflagged(reader, kind)
  }
}

const readUnflagged = (reader: ByteReader, kind: number): PeerMessage => {
  switch (kind) {
    case messageKind.TimeoutNow:
      return { _tag: "TimeoutNow", term: reader.u64() as Term }
    case messageKind.SnapshotPiece: {
      const term = reader.u64() as Term
      const id = readSnapshotId(reader)
      const offset = reader.u64()
      return { _tag: "SnapshotPiece", term, id, offset, data: reader.copy(reader.left) }
    }
    case messageKind.ForwardRequest: {
      const run = reader.u64()
      const id = reader.u64()
      const leaderTerm = reader.u64() as Term
      const hops = reader.u64()
      const remainingMs = reader.u64()
      // A copy, since a leader will stamp it.
      return { _tag: "ForwardRequest", run, id, leaderTerm, hops, remainingMs, record: reader.copy(reader.left) }
    }
    case messageKind.ReadIndexRequest: {
      const id = reader.u64()
      const term = reader.u64() as Term
      return { _tag: "ReadIndexRequest", id, term, remainingMs: reader.u64() }
    }
    default:
      return readText(reader, kind)
  }
}

const readText = (reader: ByteReader, kind: number): PeerMessage => {
  switch (kind) {
    case messageKind.LinkReport: {
      const report = linkReportText.decode(reader.text(reader.left))
      if (report !== null) return report
      break
    }
    case messageKind.AdminRequest: {
      const id = reader.u64()
      const hops = reader.u64()
      const remainingMs = reader.u64()
      const command = adminCommandText.decode(reader.text(reader.left))
      if (command !== null) return { _tag: "AdminRequest", id, hops, remainingMs, command }
      break
    }
    case messageKind.AdminReply: {
      const id = reader.u64()
      const result = adminResultText.decode(reader.text(reader.left))
      if (result !== null) return { _tag: "AdminReply", id, result }
      break
    }
    default:
      reader.reject(`message kind ${kind} is not known`)
  }
  reader.reject("not the text that belongs here")
  return { _tag: "TimeoutNow", term: 0 as Term }
}

const readLogId = (reader: ByteReader): LogId => {
  const term = reader.u64() as Term
  return { term, index: reader.u64() as LogIndex }
}

const readSnapshotId = (reader: ByteReader): SnapshotId => {
  const last = readLogId(reader)
  return { last, bytes: reader.u64(), checksum: reader.u32() }
}
