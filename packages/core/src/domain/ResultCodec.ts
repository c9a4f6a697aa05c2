/**
 * How a forwarded write ended, as bytes inside a forward reply.
 *
 * Byte 2 of the message says how, byte 3 holds flags (1 created, 2 holds an entry). After the id:
 *
 * | result | layout |
 * |---|---|
 * | NotLeader, Unknown | nothing |
 * | Refused | JSON of the error |
 * | Applied: Done, SessionExpired, SequenceReused, Sealed | index u64, revision u64 |
 * | Applied: Put, CompareFailed | index u64, revision u64, [entry] |
 * | Applied: Deleted, TooManyEntries, SessionOpened | index u64, revision u64, number u64 |
 *
 * An entry: flags u8 (1 leased), u8 0, key length u16, value length u32, create revision u64, mod revision u64,
 * version u64, [lease u64], key, value.
 */
import type { ByteReader } from "./ByteReader.ts"
import { allocate, putBytes, putText, putU16, putU32, putU64, utf8Length } from "./Bytes.ts"
import type { Entry, Key } from "./Entry.ts"
import { maxKeyBytes } from "./Entry.ts"
import { entryLeased, errorText, holdsEntry, putCreated, resultKind } from "./MessageLayout.ts"
import { numberOf, type Outcome } from "./Outcome.ts"
import type { ForwardResult } from "./PeerMessage.ts"
import type { LogIndex, Revision, SessionId } from "./Position.ts"

/** A forward reply but for its first two bytes and its id, which the caller writes to the `headerBytes` before. */
export const encodeResult = (result: ForwardResult, headerBytes: number): Uint8Array => {
  switch (result._tag) {
    case "Applied":
      return encodeApplied(result.index, result.outcome, headerBytes)
    case "Refused": {
      const text = errorText.encode(result.error)
      const length = utf8Length(text)
      const bytes = start(headerBytes + length, resultKind.Refused, 0)
      putText(bytes, headerBytes, text, length)
      return bytes
    }
    case "NotLeader":
    case "Unknown":
      return start(headerBytes, resultKind[result._tag], 0)
  }
}

const start = (size: number, kind: number, flags: number): Uint8Array => {
  const bytes = allocate(size)
  bytes[2] = kind
  bytes[3] = flags
  return bytes
}

const encodeApplied = (index: LogIndex, outcome: Outcome, headerBytes: number): Uint8Array => {
  const kind = resultKind[outcome._tag]
  const fixed = headerBytes + 16
  switch (outcome._tag) {
    case "Put":
      return withEntry(kind, outcome.created ? putCreated : 0, fixed, index, outcome.revision, outcome.previous)
    case "CompareFailed":
      return withEntry(kind, 0, fixed, index, outcome.revision, outcome.current)
    case "Done":
    case "SessionExpired":
    case "SequenceReused":
    case "Sealed": {
      const bytes = start(fixed, kind, 0)
      putU64(bytes, putU64(bytes, headerBytes, index), outcome.revision)
      return bytes
    }
    case "Deleted":
    case "TooManyEntries":
    case "SessionOpened": {
      const bytes = start(fixed + 8, kind, 0)
      putU64(bytes, putU64(bytes, headerBytes, index), outcome.revision)
      putU64(bytes, fixed, numberOf(outcome))
      return bytes
    }
  }
}

const withEntry = (
  kind: number,
  flags: number,
  fixed: number,
  index: LogIndex,
  revision: Revision,
  entry: Entry | null
): Uint8Array => {
  const keyLength = entry === null ? 0 : utf8Length(entry.key)
  const size = entry === null ? 0 : 32 + (entry.leaseId === null ? 0 : 8) + keyLength + entry.value.length
  const bytes = start(fixed + size, kind, flags | (entry === null ? 0 : holdsEntry))
  putU64(bytes, putU64(bytes, fixed - 16, index), revision)
  if (entry !== null) putEntry(bytes, fixed, entry, keyLength)
  return bytes
}

const putEntry = (bytes: Uint8Array, from: number, entry: Entry, keyLength: number): void => {
  bytes[from] = entry.leaseId === null ? 0 : entryLeased
  bytes[from + 1] = 0
  let at = putU16(bytes, from + 2, keyLength)
  at = putU32(bytes, at, entry.value.length)
  at = putU64(bytes, at, entry.createRevision)
  at = putU64(bytes, at, entry.modRevision)
  at = putU64(bytes, at, entry.version)
  if (entry.leaseId !== null) at = putU64(bytes, at, entry.leaseId)
  at = putText(bytes, at, entry.key, keyLength)
  putBytes(bytes, at, entry.value)
}

/** The result after the id; `kind` and `flags` are bytes 2 and 3. Values are copies. */
export const readResult = (reader: ByteReader, kind: number, flags: number): ForwardResult => {
  if ((flags & ~knownFlags(kind)) !== 0) reader.reject("an unknown flag")
  switch (kind) {
    case resultKind.NotLeader:
      return { _tag: "NotLeader" }
    case resultKind.Unknown:
      return { _tag: "Unknown" }
    case resultKind.Refused: {
      const error = errorText.decode(reader.text(reader.left))
      if (error !== null) return { _tag: "Refused", error }
      reader.reject("not an error")
      return { _tag: "Unknown" }
    }
    default: {
      const index = reader.u64() as LogIndex
      const revision = reader.u64() as Revision
      return { _tag: "Applied", index, outcome: readOutcome(reader, kind, flags, revision) }
    }
  }
}

const knownFlags = (kind: number): number =>
  kind === resultKind.Put ? putCreated | holdsEntry : kind === resultKind.CompareFailed ? holdsEntry : 0

const readOutcome = (reader: ByteReader, kind: number, flags: number, revision: Revision): Outcome => {
  const entry = (flags & holdsEntry) === 0 ? null : readEntry(reader)
  switch (kind) {
    case resultKind.Put:
      return { _tag: "Put", revision, created: (flags & putCreated) !== 0, previous: entry }
    case resultKind.CompareFailed:
      return { _tag: "CompareFailed", revision, current: entry }
    case resultKind.Deleted:
      return { _tag: "Deleted", revision, deleted: reader.u64() }
    case resultKind.TooManyEntries:
      return { _tag: "TooManyEntries", revision, limit: reader.u64() }
    case resultKind.SessionOpened:
      return { _tag: "SessionOpened", revision, session: reader.u64() as SessionId }
    case resultKind.SessionExpired:
      return { _tag: "SessionExpired", revision }
    case resultKind.SequenceReused:
      return { _tag: "SequenceReused", revision }
    case resultKind.Sealed:
      return { _tag: "Sealed", revision }
    default:
      if (kind !== resultKind.Done) reader.reject("an unknown result")
      return { _tag: "Done", revision }
  }
}

const readEntry = (reader: ByteReader): Entry => {
  const flags = reader.flags(entryLeased)
  reader.flags(0)
  const keyLength = reader.u16()
  const valueLength = reader.u32()
  const createRevision = reader.u64() as Revision
  const modRevision = reader.u64() as Revision
  const version = reader.u64()
  const leaseId = (flags & entryLeased) === 0 ? null : reader.u64() as Revision
  if (keyLength === 0 || keyLength > maxKeyBytes) reader.reject("not a key")
  if (version === 0) reader.reject("not a version")
  const key = reader.text(keyLength) as Key
  return { key, value: reader.copy(valueLength), createRevision, modRevision, version, leaseId }
}
