/**
 * A frame: what one durable step adds to a segment. It is there whole or not at all, whatever part of it a loss of
 * power left behind, since its checksums do not fit otherwise.
 *
 * Layout, integers little-endian:
 *
 * | offset | size | what |
 * |---|---|---|
 * | 0 | 4 | CRC-32 of bytes 4 to the end of the table |
 * | 4 | 4 | "dkvF" |
 * | 8 | 1 | format version, 1 |
 * | 9 | 1 | flags: 1 hard state, 2 base, 4 the base replaces the whole log |
 * | 10 | 1 | length of the vote, 0 for none |
 * | 11 | 1 | zero |
 * | 12 | 4 | number of records |
 * | 16 | 8 | sequence: every frame's is one more than that of the frame before it |
 * | 24 | 8 | index of the first record |
 * | 32 | 8 | bytes of all records |
 * | 40 | 32 | incarnation of the node |
 * | 72 | 8 | term of the hard state |
 * | 80 | 8, 8 | term and index of the base |
 * | 96 | 64 | vote |
 * | 160 | 8 each | the table: length and checksum of each record |
 * | … | … | the records, and zeros up to a multiple of 8 |
 *
 * The records carry checksums of their own, so the frame's covers those and not their bytes. It begins with the
 * segment's seed instead of zero: what a client has stored, or an earlier use of the file has left, is no frame.
 */
import type { HardState, Incarnation, LogEntry, LogId, LogIndex, NodeId, Term } from "@distkv/core"
import { entryAt, flawOfRecord } from "@distkv/core"
import { crc32 } from "node:zlib"
import { getU64, putU64 } from "../U64.ts"

/** What one durable step says. */
export interface Step {
  readonly hardState: HardState | null
  /** The last entry that the log no longer holds; null where that does not change. */
  readonly base: LogId | null
  /** With a base: everything the log held is gone, and it goes on after the base. */
  readonly reset: boolean
  /** Contiguous; they replace whatever is at and after their first index. */
  readonly entries: ReadonlyArray<LogEntry>
}

/** What a frame carries beside its step. */
export interface FrameStamp {
  readonly sequence: number
  readonly incarnation: Incarnation
  /** The segment's. */
  readonly seed: number
}

/** A frame's header and table, checked. */
export interface FrameHead {
  readonly sequence: number
  readonly incarnation: Incarnation
  readonly hardState: HardState | null
  readonly base: LogId | null
  readonly reset: boolean
  readonly count: number
  readonly first: LogIndex
  /** Bytes of header and table. */
  readonly headBytes: number
  /** Bytes of the whole frame, padding included. */
  readonly bytes: number
}

export const frameVersion = 1
const fixedBytes = 160
const rowBytes = 8
const magicBytes = Buffer.from("dkvF")
const magic = magicBytes.readUInt32LE()
const hasHardState = 1
const hasBase = 2
const isReset = 4

/** Frames begin at multiples of this. */
const frameAlignment = 8

/** The size of the frame of this step, in bytes. */
export const frameSize = ({ entries }: Step): number => {
  let size = fixedBytes + entries.length * rowBytes
  for (let i = 0; i < entries.length; i++) size += entries[i]!.record.length
  return align(size)
}

const align = (size: number): number => Math.ceil(size / frameAlignment) * frameAlignment

/** Writes the frame at `at` and returns where it ends; every byte between is written. */
export const putFrame = (into: Buffer, at: number, step: Step, stamp: FrameStamp): number => {
  const { incarnation, seed, sequence } = stamp
  const { base, entries, hardState, reset } = step
  const headEnd = at + fixedBytes + entries.length * rowBytes
  into.fill(0, at, at + fixedBytes)
  into.writeUInt32LE(magic, at + 4)
  into[at + 8] = frameVersion
  into[at + 9] = (hardState === null ? 0 : hasHardState) | (base === null ? 0 : hasBase) | (reset ? isReset : 0)
  into[at + 10] = hardState?.votedFor?.length ?? 0
  into.writeUInt32LE(entries.length, at + 12)
  putU64(into, at + 16, sequence)
  putU64(into, at + 24, entries[0]?.index ?? 0)
  into.write(incarnation, at + 40, "latin1")
  if (hardState !== null) {
    putU64(into, at + 72, hardState.term)
    into.write(hardState.votedFor ?? "", at + 96, "latin1")
  }
  if (base !== null) {
    putU64(into, at + 80, base.term)
    putU64(into, at + 88, base.index)
  }
  let row = at + fixedBytes
  let end = headEnd
  for (let i = 0; i < entries.length; i++) {
    const { record } = entries[i]!
    into.writeUInt32LE(record.length, row)
    // The record's first four bytes are its checksum.
    into.set(record, end)
    into.copyWithin(row + 4, end, end + 4)
    row += rowBytes
    end += record.length
  }
  putU64(into, at + 32, end - headEnd)
  into.writeUInt32LE(crc32(into.subarray(at + 4, headEnd), seed), at)
  const padded = at + align(end - at)
  into.fill(0, end, padded)
  return padded
}

/** Bytes of header and table of the frame that these bytes seem to begin, or null where none begins here. */
const headBytesAt = (bytes: Buffer, at: number): number | null => {
  if (bytes.length - at < fixedBytes || bytes.readUInt32LE(at + 4) !== magic) return null
  const count = bytes.readUInt32LE(at + 12)
  return count > maxRecords ? null : fixedBytes + count * rowBytes
}

/** Where at or after `from` bytes lie that look like a frame's beginning, or -1. */
export const frameAfter = (bytes: Buffer, from: number): number => {
  for (let at = bytes.indexOf(magicBytes, from + 4); at >= 0; at = bytes.indexOf(magicBytes, at + 1)) {
    if (at % frameAlignment === 4) return at - 4
  }
  return -1
}

/** More than any step has: a step is bounded by what may be uncommitted. */
const maxRecords = 2 ** 24

/** The head of the frame at `at`, a newer format's version, or null where there is no whole head. */
export const readHead = (bytes: Buffer, at: number, seed: number): FrameHead | number | null => {
  const headBytes = headBytesAt(bytes, at)
  if (headBytes === null || bytes.length - at < headBytes) return null
  if (bytes.readUInt32LE(at) !== crc32(bytes.subarray(at + 4, at + headBytes), seed)) return null
  const version = bytes[at + 8]!
  if (version !== frameVersion) return version
  const flags = bytes[at + 9]!
  const vote = bytes.toString("latin1", at + 96, at + 96 + bytes[at + 10]!)
  return {
    sequence: getU64(bytes, at + 16),
    incarnation: bytes.toString("latin1", at + 40, at + 72) as Incarnation,
    hardState: (flags & hasHardState) === 0
      ? null
      : { term: getU64(bytes, at + 72) as Term, votedFor: vote === "" ? null : vote as NodeId },
    base: (flags & hasBase) === 0
      ? null
      : { term: getU64(bytes, at + 80) as Term, index: getU64(bytes, at + 88) as LogIndex },
    reset: (flags & isReset) !== 0,
    count: bytes.readUInt32LE(at + 12),
    first: getU64(bytes, at + 24) as LogIndex,
    headBytes,
    bytes: align(headBytes + getU64(bytes, at + 32))
  }
}

/**
 * The entries of a frame whose bytes begin at `at`, or why they are not what was written. `from` and `to` (inclusive)
 * bound the indexes taken; the others' records are not looked at. Entries keep `bytes`.
 */
export const readEntries = (
  bytes: Buffer,
  at: number,
  head: FrameHead,
  from: number = head.first,
  to: number = Number.POSITIVE_INFINITY
): ReadonlyArray<LogEntry> | string => {
  const entries: Array<LogEntry> = []
  let begin = at + head.headBytes
  for (let i = 0; i < head.count; i++) {
    const index = head.first + i
    const row = at + fixedBytes + i * rowBytes
    const length = bytes.readUInt32LE(row)
    const end = begin + length
    if (index > to) break
    if (index >= from) {
      if (end > bytes.length) return `the record of index ${index} is cut short`
      const record = new Uint8Array(bytes.buffer, bytes.byteOffset + begin, length)
      const flaw = flawOfRecord(record)
      if (flaw !== null) return `the record of index ${index}: ${flaw}`
      if (bytes.readUInt32LE(begin) !== bytes.readUInt32LE(row + 4)) {
        return `the record of index ${index} is another one`
      }
      const entry = entryAt(record)
      if (entry.index !== index) return `in the place of index ${index} is the entry of index ${entry.index}`
      entries.push(entry)
    }
    begin = end
  }
  return entries
}
