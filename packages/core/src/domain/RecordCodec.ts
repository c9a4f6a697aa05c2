/**
 * Log records at their place: stamping them, and checking those that come from a disk or a peer.
 *
 * The layout is described in `LogEntry.ts`; the payload belongs to `CommandCodec.ts`.
 */
import { crc32 } from "node:zlib"
import { copyOf, getU32, getU64, putU32, putU64, viewOf } from "./Bytes.ts"
import { decodeCommand, encodeCommand, MalformedRecord } from "./CommandCodec.ts"
import type { LogEntry, LogEntryFields } from "./LogEntry.ts"
import { commandKind, recordHeaderBytes, recordVersion, sequenceAt, sessionAt, unacknowledgedAt } from "./LogEntry.ts"
import type { LogIndex, SessionId, Term } from "./Position.ts"

const maxKind = Math.max(...Object.values(commandKind))

/**
 * CRC-32 of bytes 4 to the end, without a view of them: four bytes fill its register, so that from this number on,
 * mixed with whatever the first four bytes are, it stands after them where it stands before anything.
 */
const checksum = (record: Uint8Array): number => crc32(record, (getU32(record, 0) ^ beforeFour) >>> 0)

const beforeFour = 0x6dd9_0a9d

/** The checksum that a stamped record carries. */
export const checksumOf = (record: Uint8Array): number => getU32(record, 0)

/**
 * Gives an unstamped record its place: writes term, index and checksum into these very bytes. From then on they are
 * immutable. Stamping the same record again is right only when no one else has seen it yet.
 */
export const stamp = (record: Uint8Array, term: Term, index: LogIndex): LogEntry => {
  putU64(record, 8, term)
  putU64(record, 16, index)
  putU32(record, 0, checksum(record))
  return { term, index, kind: record[5] ?? 0, record }
}

/**
 * Why these bytes are not a sound record, or null when they are: long enough, of this version and a known kind, its
 * checksum right, its numbers in range. The payload is not taken apart; the checksum vouches for it.
 */
export const flawOfRecord = (record: Uint8Array): string | null => {
  if (record.length < recordHeaderBytes) return "shorter than a record's header"
  if (getU32(record, 0) !== checksum(record)) return "the checksum is wrong"
  if (record[4] !== recordVersion) return `record version ${record[4]} is not known`
  if ((record[5] ?? 0) > maxKind) return `command kind ${record[5]} is not known`
  if (record[6] !== 0 || record[7] !== 0) return "the reserved bytes are not zero"
  for (let at = 8; at < recordHeaderBytes; at += 8) {
    if (getU64(record, at) > Number.MAX_SAFE_INTEGER) return "a number is beyond 2^53 - 1"
  }
  return null
}

/** The entry of a record that `flawOfRecord` has found sound. The record itself is kept, not copied. */
export const entryAt = (record: Uint8Array): LogEntry => ({
  term: getU64(record, 8) as Term,
  index: getU64(record, 16) as LogIndex,
  kind: record[5] ?? 0,
  record
})

/** The session of a record, 0 where it has none. */
export const sessionOf = (record: Uint8Array): SessionId => getU64(record, sessionAt) as SessionId

export const sequenceOf = (record: Uint8Array): number => getU64(record, sequenceAt)

/** The lowest sequence of its session whose answer had not arrived when the record was made; 0 where nobody says. */
export const unacknowledgedOf = (record: Uint8Array): number => getU64(record, unacknowledgedAt)

/**
 * What tells a command from another one under the same sequence: 48 bits of checksum and length over its kind and
 * payload. It finds mistakes; whoever wants to deceive it deceives only their own session.
 */
export const digestOf = (record: Uint8Array): number =>
  crc32(viewOf(record, recordHeaderBytes, record.length), record[5]) + (record.length % 0x1_0000) * 2 ** 32

/** A copy of a record without its place, to be proposed again: nobody may write to the one that was stamped. */
export const unstamped = (record: Uint8Array): Uint8Array => {
  const copy = copyOf(record, 0, record.length)
  copy.fill(0, 0, 4)
  copy.fill(0, 8, sessionAt)
  return copy
}

/** Checks a record and returns its entry, which keeps these bytes. Throws `MalformedRecord`. */
export const readRecord = (record: Uint8Array): LogEntry => {
  const flaw = flawOfRecord(record)
  if (flaw !== null) throw new MalformedRecord(flaw)
  return entryAt(record)
}

/** Encodes and stamps; for tests and tools, since a node does the two at different times. */
export const entryOf = (fields: LogEntryFields): LogEntry =>
  stamp(
    encodeCommand(fields.command, fields.session, fields.sequence, fields.unacknowledged),
    fields.term,
    fields.index
  )

/** What an entry says, field by field; values are views of its record. Throws `MalformedRecord`. */
export const fieldsOf = (entry: LogEntry): LogEntryFields => {
  const { index, term } = readRecord(entry.record)
  return {
    term,
    index,
    session: getU64(entry.record, sessionAt) as LogIndex,
    sequence: sequenceOf(entry.record) as LogIndex,
    unacknowledged: unacknowledgedOf(entry.record) as LogIndex,
    command: decodeCommand(entry.record)
  }
}
