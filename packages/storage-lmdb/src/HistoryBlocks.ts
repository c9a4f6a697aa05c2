/**
 * The sub-database `history`: events in blocks of about 32 KiB, since one row for each would cost a checkpoint more
 * than everything else. A block's key is the revision (u64 big-endian) and position (u32 big-endian) of its first
 * event.
 *
 * A block, integers little-endian:
 *
 * | offset | size | what |
 * |---|---|---|
 * | 0 | 4 | CRC-32 of the key and everything from offset 4 |
 * | 4 | 1 | block version, 1 |
 * | 5 | 3 | zero |
 * | 8 | 4 | number of events |
 * | 12 | … | the events, in order |
 *
 * An event: revision u64, position u32, historyBytes u64, flags u8 (1 an entry, 2 with a lease, 4 a previous entry, 8
 * with a lease), zero u8, key length u16, key; then for the entry and for the previous one, where there is one: create
 * revision, mod revision, version and lease id as u64 each; and for the entry: value length u32, value.
 */
import type { Entry, HistoryEvent, Key, PreviousEntry, Revision } from "@distkv/core"
import { howToReplace, StorageFailed } from "@distkv/core"
import { crc32 } from "node:zlib"
import { getU64, putU64 } from "./U64.ts"

const blockVersion = 1
const blockHeaderBytes = 12
const eventHeaderBytes = 24
const metadataBytes = 32
const entryHeaderBytes = metadataBytes + 4
const blockBytes = 32 * 1024
const twoTo32 = 2 ** 32

const hasEntry = 1
const entryLeased = 2
const hasPrevious = 4
const previousLeased = 8

/** The key of a block that begins with this event; in order of the events. */
export const blockKey = (revision: number, position: number): Buffer => {
  const key = Buffer.allocUnsafe(12)
  key.writeUInt32BE(Math.floor(revision / twoTo32), 0)
  key.writeUInt32BE(revision >>> 0, 4)
  key.writeUInt32BE(position, 8)
  return key
}

const sizeOfEntry = (entry: Entry | null): number => entry === null ? 0 : entryHeaderBytes + entry.value.length

const sizeOfEvent = (event: HistoryEvent, keyLength: number): number =>
  eventHeaderBytes + keyLength + sizeOfEntry(event.entry) + (event.previous === null ? 0 : metadataBytes)

/** Collects events into blocks, each handed to `emit` when it is full. */
export class BlockWriter {
  private readonly emit: (key: Buffer, block: Buffer) => void
  private first: HistoryEvent | null = null
  private count = 0
  private block = Buffer.allocUnsafeSlow(blockBytes)
  private end = blockHeaderBytes

  constructor(emit: (key: Buffer, block: Buffer) => void) {
    this.emit = emit
  }

  /** Adds the event that follows all before it. */
  add(event: HistoryEvent): void {
    const keyLength = Buffer.byteLength(event.key)
    const size = sizeOfEvent(event, keyLength)
    if (this.end + size > this.block.length) {
      this.flush()
      if (blockHeaderBytes + size > this.block.length) this.block = Buffer.allocUnsafeSlow(blockHeaderBytes + size)
    }
    this.first ??= event
    this.count++
    this.end = encodeEvent(this.block, this.end, event, keyLength)
  }

  /** Emits what is left. */
  flush(): void {
    const { block, first } = this
    if (first === null) return
    const key = blockKey(first.revision, first.position)
    block.fill(0, 0, blockHeaderBytes)
    block[4] = blockVersion
    block.writeUInt32LE(this.count, 8)
    block.writeUInt32LE(crc32(block.subarray(4, this.end), crc32(key)), 0)
    this.emit(key, block.subarray(0, this.end))
    this.first = null
    this.count = 0
    this.block = Buffer.allocUnsafeSlow(blockBytes)
    this.end = blockHeaderBytes
  }
}

const encodeEvent = (bytes: Buffer, start: number, event: HistoryEvent, keyLength: number): number => {
  const { entry, previous } = event
  putU64(bytes, start, event.revision)
  bytes.writeUInt32LE(event.position, start + 8)
  putU64(bytes, start + 12, event.historyBytes)
  bytes[start + 20] = (entry === null ? 0 : hasEntry | (entry.leaseId === null ? 0 : entryLeased)) |
    (previous === null ? 0 : hasPrevious | (previous.leaseId === null ? 0 : previousLeased))
  bytes[start + 21] = 0
  bytes.writeUInt16LE(keyLength, start + 22)
  bytes.write(event.key, start + eventHeaderBytes, keyLength, "utf8")
  let at = start + eventHeaderBytes + keyLength
  if (entry !== null) at = encodeEntry(bytes, at, entry)
  if (previous !== null) at = encodeMetadata(bytes, at, previous)
  return at
}

const encodeEntry = (bytes: Buffer, start: number, entry: Entry): number => {
  const lengthAt = encodeMetadata(bytes, start, entry)
  bytes.writeUInt32LE(entry.value.length, lengthAt)
  bytes.set(entry.value, start + entryHeaderBytes)
  return start + entryHeaderBytes + entry.value.length
}

const encodeMetadata = (bytes: Buffer, start: number, metadata: PreviousEntry): number => {
  putU64(bytes, start, metadata.createRevision)
  putU64(bytes, start + 8, metadata.modRevision)
  putU64(bytes, start + 16, metadata.version)
  putU64(bytes, start + 24, metadata.leaseId ?? 0)
  return start + metadataBytes
}

/**
 * The first event of a block with at least this revision. `block` is the caller's own and whole. Throws `StorageFailed`
 * where the block is not what was written.
 */
export const findEventUnsafe = (key: Buffer, block: Buffer, revision: Revision): HistoryEvent | undefined => {
  let at = blockHeaderBytes
  for (let count = countUnsafe(key, block); count > 0; count--) {
    if (getU64(block, at) >= revision) return decodeEvent(block, at)
    at = skipEvent(block, at)
  }
  return undefined
}

/** All events of a block, in order. As above. */
export const eventsOfBlockUnsafe = (key: Buffer, block: Buffer): ReadonlyArray<HistoryEvent> => {
  const events: Array<HistoryEvent> = []
  let at = blockHeaderBytes
  for (let count = countUnsafe(key, block); count > 0; count--) {
    events.push(decodeEvent(block, at))
    at = skipEvent(block, at)
  }
  return events
}

/** Checks a block, and says how many events it has. */
const countUnsafe = (key: Buffer, block: Buffer): number => {
  if (block.length < blockHeaderBytes) throw damaged(key, "it is too short")
  if (block.readUInt32LE(0) !== crc32(block.subarray(4), crc32(key))) throw damaged(key, "its checksum is wrong")
  if (block[4] !== blockVersion) throw damaged(key, `its version ${block[4]} is not known`)
  return block.readUInt32LE(8)
}

const skipEvent = (block: Buffer, start: number): number => {
  const flags = block[start + 20]!
  let at = start + eventHeaderBytes + block.readUInt16LE(start + 22)
  if ((flags & hasEntry) !== 0) at += entryHeaderBytes + block.readUInt32LE(at + metadataBytes)
  if ((flags & hasPrevious) !== 0) at += metadataBytes
  return at
}

const decodeEvent = (block: Buffer, start: number): HistoryEvent => {
  const flags = block[start + 20]!
  const keyAt = start + eventHeaderBytes
  const entryAt = keyAt + block.readUInt16LE(start + 22)
  const key = block.toString("utf8", keyAt, entryAt) as Key
  const entry = (flags & hasEntry) === 0 ? null : decodeEntry(block, entryAt, key, (flags & entryLeased) !== 0)
  const previousAt = entry === null ? entryAt : entryAt + entryHeaderBytes + entry.value.length
  return {
    revision: getU64(block, start) as Revision,
    position: block.readUInt32LE(start + 8),
    key,
    entry,
    previous: (flags & hasPrevious) === 0 ? null : decodeMetadata(block, previousAt, (flags & previousLeased) !== 0),
    historyBytes: getU64(block, start + 12)
  }
}

const decodeEntry = (block: Buffer, start: number, key: Key, leased: boolean): Entry => {
  const valueAt = start + entryHeaderBytes
  const end = valueAt + block.readUInt32LE(start + metadataBytes)
  const value = new Uint8Array(block.buffer, block.byteOffset, block.length).slice(valueAt, end)
  return { key, value, ...decodeMetadata(block, start, leased) }
}

const decodeMetadata = (block: Buffer, start: number, leased: boolean): PreviousEntry => ({
  createRevision: getU64(block, start) as Revision,
  modRevision: getU64(block, start + 8) as Revision,
  version: getU64(block, start + 16),
  leaseId: leased ? getU64(block, start + 24) as Revision : null
})

const damaged = (key: Buffer, why: string) =>
  new StorageFailed({
    message: `the history block at revision ${getRevision(key)} is damaged: ${why}. ${howToReplace}`
  })

const getRevision = (key: Buffer): number => key.length < 8 ? 0 : key.readUInt32BE(0) * twoTo32 + key.readUInt32BE(4)
