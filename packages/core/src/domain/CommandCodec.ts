/**
 * Commands as the bytes of a log record; the record's header is described in `LogEntry.ts`.
 *
 * Payloads, integers little-endian; a key is 1 to 1,024 bytes of UTF-8; in square brackets is what a flag announces.
 * Revisions and leases are u64, key lengths and counts u16, value lengths u32:
 *
 * | command | payload |
 * |---|---|
 * | NoOp | nothing |
 * | Put | flags u8 (1 guarded, 2 previous, 4 leased), u8 0, key length, value length, [revision], [lease], key, value |
 * | Delete | flags u8 (1 guarded), u8 0, key length, [revision], key |
 * | DeleteRange | form u8 (0 prefix, 1 between, 2 all), flags u8 (1 from, 2 to), [lengths u16], [texts] |
 * | Txn | guards (0), puts, else (0), then for each put: key length, u16 0, value length, key, value |
 * | CutHistory | revision |
 * | Configure | JSON of the membership |
 * | OpenSession | form u8 (0 a client's, 1 a member's), u8 0, [length of the member's id u16, run, id] |
 * | Seal | nothing |
 *
 * One command has one encoding: what decodes encodes to the same bytes again.
 */
import { allocate, getU64, putBytes, putText, putU16, putU32, putU64, utf8Length } from "./Bytes.ts"
import type { Command, CommandOf, KeyRange } from "./Command.ts"
import { maxTxnOperations } from "./Command.ts"
import {
  allForm,
  betweenForm,
  clientForm,
  guarded,
  hasFrom,
  hasTo,
  leased,
  memberForm,
  membershipText,
  prefixForm,
  readCommand,
  wantsPrevious
} from "./CommandReader.ts"
import { maxBoundBytes, maxKeyBytes } from "./Entry.ts"
import {
  commandKind,
  maxCommandBytes,
  recordHeaderBytes,
  recordVersion,
  sequenceAt,
  sessionAt,
  unacknowledgedAt
} from "./LogEntry.ts"

/** Bytes that are no record, or a record that is no command that this program knows. */
export class MalformedRecord extends Error {
  override readonly name = "MalformedRecord"
}

/**
 * Encodes a command once, where it is proposed. The record is unstamped: term, index and checksum are zero until the
 * leader's `stamp`. Values are copied into it. The three numbers are the session's, 0 where there is none.
 *
 * The caller has checked what its own caller gave it, and checks the record's size against `maxCommandBytes`. A
 * command that could not be decoded again is a mistake of the program, and `RangeError`: it must not get into a log.
 */
export const encodeCommand = (
  command: Command,
  session = 0,
  sequence = 0,
  unacknowledged = 0
): Uint8Array => {
  const record = encodePayload(command)
  record.fill(0, 0, 24)
  record[4] = recordVersion
  record[5] = commandKind[command._tag]
  putSession(record, session, sequence, unacknowledged)
  return record
}

/** Writes a session's numbers into an unstamped record. */
export const putSession = (record: Uint8Array, session: number, sequence: number, unacknowledged: number): void => {
  putU64(record, sessionAt, session)
  putU64(record, sequenceAt, sequence)
  putU64(record, unacknowledgedAt, unacknowledged)
}

const encodePayload = (command: Command): Uint8Array => {
  switch (command._tag) {
    case "Put":
      return encodePut(command)
    case "Delete":
      return encodeDelete(command)
    case "DeleteRange":
      return encodeRange(command.range)
    case "Txn":
      return encodeTxn(command)
    case "NoOp":
    case "Seal":
      return allocate(recordHeaderBytes)
    case "OpenSession":
      return encodeOpening(command)
    case "CutHistory": {
      const record = allocate(recordHeaderBytes + 8)
      putU64(record, recordHeaderBytes, command.revision)
      return record
    }
    case "Configure": {
      const text = membershipText.encode(command.membership)
      const length = utf8Length(text)
      const record = allocate(recordHeaderBytes + length)
      putText(record, recordHeaderBytes, text, length)
      return record
    }
  }
}

const encodePut = (put: CommandOf<"Put">): Uint8Array => {
  const { ifRevision, key, leaseId, value } = put
  const keyLength = keyBytes(key)
  const guardBytes = ifRevision === null ? 0 : 8
  const leaseBytes = leaseId === null ? 0 : 8
  const record = allocate(recordHeaderBytes + 8 + guardBytes + leaseBytes + keyLength + value.length)
  record[48] = (guardBytes && guarded) | (leaseBytes && leased) | (put.previous ? wantsPrevious : 0)
  record[49] = 0
  putU16(record, 50, keyLength)
  let at = putU32(record, 52, value.length)
  if (ifRevision !== null) at = putU64(record, at, ifRevision)
  if (leaseId !== null) at = putU64(record, at, leaseId)
  at = putText(record, at, key, keyLength)
  putBytes(record, at, value)
  return record
}

const encodeDelete = ({ ifRevision, key }: CommandOf<"Delete">): Uint8Array => {
  if (ifRevision === 0) throw new RangeError("a delete cannot be guarded by revision 0")
  const keyLength = keyBytes(key)
  const record = allocate(recordHeaderBytes + 4 + (ifRevision === null ? 0 : 8) + keyLength)
  record[48] = ifRevision === null ? 0 : guarded
  record[49] = 0
  let at = putU16(record, 50, keyLength)
  if (ifRevision !== null) at = putU64(record, at, ifRevision)
  putText(record, at, key, keyLength)
  return record
}

const encodeRange = (range: KeyRange): Uint8Array => {
  switch (range._tag) {
    case "Prefix":
      return encodeTexts(prefixForm, range.prefix, null, 1, maxKeyBytes)
    case "Between":
      return encodeTexts(betweenForm, range.from, range.to, 0, maxBoundBytes)
    case "All":
      return encodeTexts(allForm, null, null, 0, 0)
  }
}

const encodeTexts = (
  form: number,
  from: string | null,
  to: string | null,
  shortest: number,
  longest: number
): Uint8Array => {
  const fromLength = from === null ? 0 : textBytes(from, shortest, longest)
  const toLength = to === null ? 0 : textBytes(to, shortest, longest)
  const lengthBytes = (from === null ? 0 : 2) + (to === null ? 0 : 2)
  const record = allocate(recordHeaderBytes + 2 + lengthBytes + fromLength + toLength)
  record[48] = form
  record[49] = (from === null ? 0 : hasFrom) | (to === null ? 0 : hasTo)
  let at = recordHeaderBytes + 2
  if (from !== null) at = putU16(record, at, fromLength)
  if (to !== null) at = putU16(record, at, toLength)
  if (from !== null) at = putText(record, at, from, fromLength)
  if (to !== null) putText(record, at, to, toLength)
  return record
}

const encodeTxn = ({ puts }: CommandOf<"Txn">): Uint8Array => {
  const lengths = puts.map((put) => keyBytes(put.key))
  if (puts.length > maxTxnOperations || new Set(puts.map((put) => put.key)).size !== puts.length) {
    throw new RangeError(`not at most ${maxTxnOperations} different keys`)
  }
  let size = recordHeaderBytes + 6
  puts.forEach((put, i) => size += 8 + (lengths[i] ?? 0) + put.value.length)
  const record = allocate(size)
  let at = putU16(record, recordHeaderBytes, 0)
  at = putU16(record, at, puts.length)
  at = putU16(record, at, 0)
  puts.forEach((put, i) => {
    const keyLength = lengths[i] ?? 0
    at = putU16(record, at, keyLength)
    at = putU16(record, at, 0)
    at = putU32(record, at, put.value.length)
    at = putText(record, at, put.key, keyLength)
    at = putBytes(record, at, put.value)
  })
  return record
}

const encodeOpening = ({ owner }: CommandOf<"OpenSession">): Uint8Array => {
  const idLength = owner === null ? 0 : utf8Length(owner.member)
  const record = allocate(recordHeaderBytes + (owner === null ? 2 : 12 + idLength))
  record[48] = owner === null ? clientForm : memberForm
  record[49] = 0
  if (owner === null) return record
  let at = putU16(record, recordHeaderBytes + 2, idLength)
  at = putU64(record, at, owner.run)
  putText(record, at, owner.member, idLength)
  return record
}

const textBytes = (text: string, shortest: number, longest: number): number => {
  const length = utf8Length(text)
  if (length >= shortest && length <= longest && text.isWellFormed()) return length
  throw new RangeError(`not a well-formed string of ${shortest} to ${longest} bytes in UTF-8`)
}

const keyBytes = (key: string): number => textBytes(key, 1, maxKeyBytes)

/**
 * The command that a record holds, stamped or not; the checksum is not looked at, since `readRecord` did.
 *
 * Values are views of the record: whoever keeps one longer, or hands one to a caller who may write to it, copies it.
 * Throws `MalformedRecord` for everything that `encodeCommand` did not write.
 */
export const decodeCommand = (record: Uint8Array): Command => {
  const command = readCommand(record)
  if (command._tag === "Flawed") throw new MalformedRecord(`not a command: ${command.flaw}`)
  return command
}

/**
 * Whether a record that a peer passed on for one of its clients may enter the log: an unstamped and well-formed put,
 * delete, range delete, multi-key command, opening of a session or seal, within every limit, without a lease, since
 * there are none; in a session or without one.
 */
export const isProposable = (record: Uint8Array, maxValueBytes = 1024 * 1024): boolean => {
  if (record.length < recordHeaderBytes || record.length > maxCommandBytes) return false
  for (let i = 0; i < sessionAt; i++) if (i !== 4 && i !== 5 && record[i] !== 0) return false
  const session = getU64(record, sessionAt)
  const sequence = getU64(record, sequenceAt)
  if ((session === 0) !== (sequence === 0) || !Number.isSafeInteger(session) || !Number.isSafeInteger(sequence)) {
    return false
  }
  if (getU64(record, unacknowledgedAt) > sequence) return false
  const command = readCommand(record)
  switch (command._tag) {
    case "OpenSession":
      return true
    case "Seal":
      return session !== 0
    case "Put":
      return command.leaseId === null && command.value.length <= maxValueBytes
    case "Txn":
      return command.puts.every((put) => put.value.length <= maxValueBytes)
    case "Delete":
    case "DeleteRange":
      return true
    default:
      return false
  }
}
