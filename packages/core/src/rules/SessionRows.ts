/**
 * Sessions as rows of the checkpointed state and of snapshots (thesis §6.3: they are part of the replicated state): for
 * each session a head, and its results in blocks of 64 sequences, so that a checkpoint writes what has changed and not
 * the whole window.
 *
 * After the key of `domain/SessionRow.ts`, integers little-endian:
 *
 * | row | after session and block |
 * |---|---|
 * | head (block 0) | version u8, length of the member's id u8 (0: a client's), u64s used at, floor, highest, run; id |
 * | block n | version u8, rows u8, then for each: sequence u64, status u8, digest u64, revision u64, number u64 |
 *
 * Invariant: equal sessions make equal rows, whenever they are written.
 */
import { ByteReader } from "../domain/ByteReader.ts"
import { allocate, putText, putU64, utf8Length } from "../domain/Bytes.ts"
import type { SessionOwner } from "../domain/Command.ts"
import type { NodeId } from "../domain/Identity.ts"
import type { LogIndex, SessionId } from "../domain/Position.ts"
import { putSessionKey, sessionKeyBytes, swapped } from "../domain/SessionRow.ts"
import type { SessionWindow } from "./SessionWindow.ts"

const rowVersion = 1
const blockSequences = 64
const resultBytes = 33
const headBytes = 50

/** What a head says. */
export interface SessionHead {
  readonly session: SessionId
  readonly owner: SessionOwner | null
  /** The last entry that named the session; the least recently used one makes room for a new one. */
  readonly usedAt: LogIndex
  readonly floor: number
  readonly highest: number
}

/** The block of a sequence; 0 is the head's. */
export const blockOf = (sequence: number): number => Math.floor(sequence / blockSequences) + 1

export const encodeHead = (head: SessionHead): Uint8Array => {
  const { owner } = head
  const idLength = owner === null ? 0 : utf8Length(owner.member)
  const bytes = allocate(headBytes + idLength)
  let at = putSessionKey(bytes, head.session, 0)
  bytes[at++] = rowVersion
  bytes[at++] = idLength
  at = putU64(bytes, at, head.usedAt)
  at = putU64(bytes, at, head.floor)
  at = putU64(bytes, at, head.highest)
  at = putU64(bytes, at, owner?.run ?? 0)
  if (owner !== null) putText(bytes, at, owner.member, idLength)
  return bytes
}

/** The block's results that the window still holds; null where there are none. */
export const encodeBlock = (session: SessionId, block: number, window: SessionWindow): Uint8Array | null => {
  const from = (block - 1) * blockSequences
  const places = [...window.placesBetween(from, from + blockSequences - 1)]
  if (places.length === 0) return null
  const bytes = allocate(sessionKeyBytes + 2 + places.length * resultBytes)
  let at = putSessionKey(bytes, session, block)
  bytes[at++] = rowVersion
  bytes[at++] = places.length
  for (const place of places) {
    at = putU64(bytes, at, window.sequenceAt(place))
    bytes[at++] = window.statusAt(place)
    at = putU64(bytes, at, window.digestAt(place))
    at = putU64(bytes, at, window.revisionAt(place))
    at = putU64(bytes, at, window.numberAt(place))
  }
  return bytes
}

/** A row taken apart: a head, or (after its head) results for `window`. Returns the flaw where it is none. */
export const readSessionRow = (
  bytes: Uint8Array,
  onHead: (head: SessionHead) => void,
  windowOf: (session: SessionId) => SessionWindow | undefined
): string | null => {
  const reader = new ByteReader(bytes, 0)
  const session = readBigEndian(reader) as SessionId
  const block = readBigEndian(reader)
  if (reader.u8() !== rowVersion) reader.reject("another version")
  if (block === 0) {
    const head = readHead(reader, session)
    if (reader.flaw === null) onHead(head)
    return reader.flaw
  }
  const window = windowOf(session)
  if (window === undefined) reader.reject("results of a session without a head")
  else readBlock(reader, block, window)
  return reader.flaw
}

const readHead = (reader: ByteReader, session: SessionId): SessionHead => {
  const idLength = reader.u8()
  const usedAt = reader.u64() as LogIndex
  const floor = reader.u64()
  const highest = reader.u64()
  const run = reader.u64()
  const member = reader.text(idLength) as NodeId
  reader.end()
  return { session, owner: idLength === 0 ? null : { member, run }, usedAt, floor, highest }
}

const readBlock = (reader: ByteReader, block: number, window: SessionWindow): void => {
  const count = reader.u8()
  for (let i = 0; i < count && reader.flaw === null; i++) {
    const sequence = reader.u64()
    const statusOf = reader.u8()
    const digest = reader.u64()
    const revision = reader.u64()
    const number = reader.u64()
    if (blockOf(sequence) !== block || sequence > window.highest) reader.reject("a result at another's place")
    else if (sequence >= window.floor) window.add(sequence, statusOf, digest, revision, number)
  }
  reader.end()
}

const readBigEndian = (reader: ByteReader): number => {
  const high = swapped(reader.u32())
  const value = high * 2 ** 32 + swapped(reader.u32())
  if (!Number.isSafeInteger(value)) reader.reject("a number beyond 2^53 - 1")
  return value
}
