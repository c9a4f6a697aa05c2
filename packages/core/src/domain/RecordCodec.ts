/**
 * Log records at their place: stamping them, and checking those that come from a disk or a peer.
 *
 * The layout is described in `LogEntry.ts`; the payload belongs to `CommandCodec.ts`.
 */
import { crc32 } from "node:zlib"
import { getU32, getU64, putU32, putU64, viewOf } from "./Bytes.ts"
import { decodeCommand, encodeCommand, MalformedRecord } from "./CommandCodec.ts"
import type { LogEntry, LogEntryFields } from "./LogEntry.ts"
import { commandKind, recordHeaderBytes, recordVersion } from "./LogEntry.ts"
import type { LogIndex, Term } from "./Position.ts"

const maxKind = Math.max(...Object.values(commandKind))

const checksum = (record: Uint8Array): number => crc32(viewOf(record, 4, record.length))

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
    session: getU64(entry.record, 24) as LogIndex,
    sequence: getU64(entry.record, 32) as LogIndex,
    unacknowledged: getU64(entry.record, 40) as LogIndex,
    command: decodeCommand(entry.record)
  }
}
