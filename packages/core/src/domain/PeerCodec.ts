/**
 * Messages between nodes as bytes: one message is one frame, at most 4 MiB.
 *
 * Byte 0 is the kind of message, byte 1 the format version (1). What follows, integers little-endian, in square
 * brackets what a flag announces:
 *
 * | message | layout after byte 1 |
 * |---|---|
 * | VoteRequest | flags u8 (1 pre-vote, 2 transfer), u8 0, term u64, last term u64, last index u64 |
 * | VoteReply | flags u8 (1 pre-vote, 2 granted), u8 0, term u64 |
 * | AppendRequest | u16 0, count u32, term u64, previous term and index u64, committed u64, round u64, entries |
 * | AppendReply | flags u8 (1 matched), u8 0, term u64, index u64, hint term u64, hint index u64, round u64 |
 * | TimeoutNow | u16 0, term u64 |
 * | LinkReport | u16 0, JSON of the message |
 * | ForwardRequest | u16 0, run u64, id u64, leader term u64, hops u64, remaining u64, record |
 * | ForwardReply | result u8, flags u8, id u64, then as `ResultCodec.ts` says |
 * | ReadIndexRequest | u16 0, id u64, term u64, remaining u64 |
 * | ReadIndexReply | flags u8 (1 confirmed), u8 0, id u64, [index u64] |
 * | AdminRequest | u16 0, id u64, hops u64, remaining u64, JSON of the command |
 * | AdminReply | u16 0, id u64, JSON of the result |
 * | Refused | flags u8 (1 rolled back, else removed), u8 0, term u64, lost term u64, lost index u64 |
 * | SnapshotPiece | u16 0, term u64, snapshot, offset u64, data |
 * | SnapshotReply | progress u8 (0 receiving, 1 installing, 2 done, 3 damaged), u8 0, term u64, snapshot, offset u64 |
 * | StateDigest | flags u8 (1 majority), u8 0, term u64, index u64, digest u64 |
 *
 * A snapshot is named by its last term u64, last index u64, bytes u64 and checksum u32.
 *
 * An entry of an append is the length of its record as u32, and the record.
 *
 * One message has one encoding: what decodes encodes to the same bytes again.
 */
import { allocate, putBytes, putText, putU16, putU32, putU64, utf8Length } from "./Bytes.ts"
import {
  adminCommandText,
  adminResultText,
  appendEntryOverheadBytes,
  appendMatched,
  appendOverheadBytes,
  digestOfMajority,
  linkReportText,
  messageKind,
  messageVersion,
  readConfirmed,
  refusedRolledBack,
  snapshotProgress,
  voteGranted,
  votePreVote,
  voteTransfer
} from "./MessageLayout.ts"
import { readMessage } from "./MessageReader.ts"
import type { AppendRequest, PeerMessage, PeerMessageOf } from "./PeerMessage.ts"
import type { LogId } from "./Position.ts"
import { encodeResult } from "./ResultCodec.ts"
import type { SnapshotId } from "./Snapshot.ts"

export { appendEntryOverheadBytes, appendOverheadBytes, maxMessageBytes } from "./MessageLayout.ts"

/** Bytes that are no message of this version: whoever sent them is not to be listened to. */
export class MalformedMessage extends Error {
  override readonly name = "MalformedMessage"
}

/** The exact size of an append once encoded, in bytes, for accounting before it is. */
export const encodedSize = (append: AppendRequest): number => {
  let size = appendOverheadBytes
  for (const entry of append.entries) size += appendEntryOverheadBytes + entry.record.length
  return size
}

/**
 * Encodes a message into fresh bytes; records and values are copied into them. The caller keeps appends within
 * `maxMessageBytes`; everything else fits by its own limits. A number that is no integer from 0 to 2^53 - 1 is a
 * mistake of the program: `RangeError`.
 */
export const encodeMessage = (message: PeerMessage): Uint8Array => {
  const bytes = encodeBody(message)
  bytes[0] = messageKind[message._tag]
  bytes[1] = messageVersion
  return bytes
}

/**
 * Encodes messages that are sent to several peers only once: followers that stand alike get the very same append.
 * The bytes are shared by all of them, so nobody may write to them.
 */
export class SharedEncoding {
  private message: PeerMessage | null = null
  private bytes: Uint8Array = nothing

  /** As `encodeMessage`, or the same bytes as for the message before, if it was this one. */
  encode(message: PeerMessage): Uint8Array {
    if (message !== this.message) {
      this.bytes = encodeMessage(message)
      this.message = message
    }
    return this.bytes
  }

  /** Lets go of the last message, at the end of a turn. */
  forget(): void {
    this.message = null
    this.bytes = nothing
  }
}

const nothing = new Uint8Array(0)

/**
 * The message that the bytes are. The records of an append are views of `bytes`, which must not be written to any
 * more; they are checked, contiguous after `previous`, and their terms never fall. Everything else is copied.
 * Throws `MalformedMessage` for everything that `encodeMessage` did not write.
 */
export const decodeMessage = (bytes: Uint8Array): PeerMessage => {
  const message = readMessage(bytes)
  if (message._tag === "Flawed") throw new MalformedMessage(message.flaw)
  return message
}

const encodeBody = (message: PeerMessage): Uint8Array => {
  switch (message._tag) {
    case "AppendRequest":
      return encodeAppend(message)
    case "AppendReply":
      return encodeAppendReply(message)
    case "VoteRequest": {
      const bytes = start(28, (message.preVote ? votePreVote : 0) | (message.transfer ? voteTransfer : 0), message.term)
      putLogId(bytes, 12, message.lastLog)
      return bytes
    }
    case "VoteReply":
      return start(12, (message.preVote ? votePreVote : 0) | (message.granted ? voteGranted : 0), message.term)
    case "TimeoutNow":
      return start(12, 0, message.term)
    case "LinkReport":
      return withText([], linkReportText.encode(message))
    case "ForwardRequest": {
      const bytes = start(44 + message.record.length, 0, message.run)
      let at = putU64(bytes, 12, message.id)
      at = putU64(bytes, at, message.leaderTerm)
      at = putU64(bytes, at, message.hops)
      at = putU64(bytes, at, message.remainingMs)
      putBytes(bytes, at, message.record)
      return bytes
    }
    case "ForwardReply": {
      const bytes = encodeResult(message.result, 12)
      putU64(bytes, 4, message.id)
      return bytes
    }
    case "ReadIndexRequest": {
      const bytes = start(28, 0, message.id)
      putU64(bytes, putU64(bytes, 12, message.term), message.remainingMs)
      return bytes
    }
    case "SnapshotPiece": {
      const bytes = start(48 + message.data.length, 0, message.term)
      putBytes(bytes, putU64(bytes, putSnapshotId(bytes, 12, message.id), message.offset), message.data)
      return bytes
    }
    case "SnapshotReply": {
      const bytes = start(48, snapshotProgress.indexOf(message.progress), message.term)
      putU64(bytes, putSnapshotId(bytes, 12, message.id), message.offset)
      return bytes
    }
    case "StateDigest": {
      const bytes = start(28, message.majority ? digestOfMajority : 0, message.term)
      putU64(bytes, putU64(bytes, 12, message.index), message.digest)
      return bytes
    }
    case "ReadIndexReply": {
      const bytes = start(message.index === null ? 12 : 20, message.index === null ? 0 : readConfirmed, message.id)
      if (message.index !== null) putU64(bytes, 12, message.index)
      return bytes
    }
    case "AdminRequest":
      return withText([message.id, message.hops, message.remainingMs], adminCommandText.encode(message.command))
    case "AdminReply":
      return withText([message.id], adminResultText.encode(message.result))
    case "Refused": {
      const bytes = start(28, message.reason === "rolledBack" ? refusedRolledBack : 0, message.term)
      putLogId(bytes, 12, message.lost)
      return bytes
    }
  }
}

/** Fresh bytes with flags and the first number. */
const start = (size: number, flags: number, first: number): Uint8Array => {
  const bytes = allocate(size)
  bytes[2] = flags
  bytes[3] = 0
  putU64(bytes, 4, first)
  return bytes
}

const withText = (numbers: ReadonlyArray<number>, text: string): Uint8Array => {
  const length = utf8Length(text)
  const bytes = allocate(4 + numbers.length * 8 + length)
  let at = putU16(bytes, 2, 0)
  for (const value of numbers) at = putU64(bytes, at, value)
  putText(bytes, at, text, length)
  return bytes
}

const putLogId = (bytes: Uint8Array, at: number, id: LogId): number =>
  putU64(bytes, putU64(bytes, at, id.term), id.index)

const putSnapshotId = (bytes: Uint8Array, at: number, { bytes: size, checksum, last }: SnapshotId): number =>
  putU32(bytes, putU64(bytes, putLogId(bytes, at, last), size), checksum)

const encodeAppend = (append: AppendRequest): Uint8Array => {
  const { entries } = append
  const bytes = allocate(encodedSize(append))
  bytes[2] = 0
  bytes[3] = 0
  putU32(bytes, 4, entries.length)
  putU64(bytes, 8, append.term)
  let at = putLogId(bytes, 16, append.previous)
  at = putU64(bytes, at, append.committed)
  at = putU64(bytes, at, append.round)
  for (const { record } of entries) at = putBytes(bytes, putU32(bytes, at, record.length), record)
  return bytes
}

const encodeAppendReply = (reply: PeerMessageOf<"AppendReply">): Uint8Array => {
  const bytes = start(44, reply.matched ? appendMatched : 0, reply.term)
  let at = putU64(bytes, 12, reply.index)
  at = putLogId(bytes, at, reply.hint)
  putU64(bytes, at, reply.round)
  return bytes
}
