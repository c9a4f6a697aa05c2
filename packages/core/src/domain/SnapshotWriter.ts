/**
 * Makes the stream of a snapshot from its rows; the layout is in `Snapshot.ts`. Plain and synchronous: the caller
 * decides how many rows it adds in one turn.
 */
import { crc32 } from "node:zlib"
import { allocate, putBytes, putText, putU16, putU32, putU64, utf8Length, viewOf } from "./Bytes.ts"
import type { Entry } from "./Entry.ts"
import type { HistoryEvent, PreviousEntry } from "./HistoryEvent.ts"
import {
  chunkHeaderBytes,
  chunkKind,
  eventEntryLeased,
  eventHasEntry,
  eventHasPrevious,
  eventPreviousLeased,
  headerText,
  maxChunkBytes,
  rowLeased,
  type SnapshotHeader,
  type SnapshotId,
  type SnapshotRow,
  snapshotVersion
} from "./Snapshot.ts"

const lengthBytes = 4

export class SnapshotWriter {
  private readonly header: SnapshotHeader
  private readonly emit: (chunk: Uint8Array) => void
  private chunk = allocate(maxChunkBytes)
  private at = chunkHeaderBytes
  private kind: number = chunkKind.header
  private chunks = 0
  private bytes = 0
  private rows = 0
  private checksum = 0
  /** One row at a time is made here, then cut into chunks. */
  private scratch = allocate(4096)

  /** `emit` gets each chunk when it is full; the bytes are its own. */
  constructor(header: SnapshotHeader, emit: (chunk: Uint8Array) => void) {
    this.header = header
    this.emit = emit
    const text = headerText.encode(header)
    const length = utf8Length(text)
    const start = this.begin(length + lengthBytes)
    putText(this.scratch, putU32(this.scratch, start, snapshotVersion), text, length)
    this.append(lengthBytes, lengthBytes + length + lengthBytes)
  }

  /** Adds a row; rows come in the order of their sections, and within one in the section's order. */
  add(row: SnapshotRow): void {
    switch (row._tag) {
      case "Entry":
        return this.addRow(chunkKind.entries, this.encodeEntry(row.entry))
      case "Event":
        return this.addRow(chunkKind.history, this.encodeEvent(row.event))
      case "Session":
        return this.addRow(chunkKind.sessions, this.encodeBytes(row.row))
    }
  }

  /** Ends the stream, and names it. */
  end(): SnapshotId {
    this.beginSection(chunkKind.trailer)
    let at = putU64(this.chunk, this.at, this.bytes)
    at = putU64(this.chunk, at, this.rows)
    this.at = putU32(this.chunk, at, this.checksum)
    this.endChunk()
    return { last: this.header.last, bytes: this.bytes, checksum: this.checksum }
  }

  private addRow(kind: number, end: number): void {
    this.beginSection(kind)
    this.rows++
    this.append(0, end)
  }

  /** Takes these bytes of the scratch into the stream. */
  private append(start: number, end: number): void {
    for (let from = start; from < end;) {
      const take = Math.min(end - from, maxChunkBytes - this.at)
      this.at = putBytes(this.chunk, this.at, viewOf(this.scratch, from, from + take))
      from += take
      if (this.at === maxChunkBytes) this.endChunk()
    }
  }

  private beginSection(kind: number): void {
    if (kind === this.kind) return
    if (kind < this.kind) throw new Error(`a row of section ${kind} comes after section ${this.kind}`)
    if (this.at > chunkHeaderBytes) this.endChunk()
    this.kind = kind
  }

  private endChunk(): void {
    const { at, chunk } = this
    putU32(chunk, 4, at - chunkHeaderBytes)
    chunk[8] = this.kind
    putU32(chunk, 0, crc32(viewOf(chunk, 4, at), this.chunks))
    const whole = viewOf(chunk, 0, at)
    this.checksum = crc32(whole, this.checksum)
    this.bytes += at
    this.chunks++
    this.chunk = allocate(this.kind === chunkKind.trailer ? 0 : maxChunkBytes)
    this.at = chunkHeaderBytes
    this.emit(whole)
  }

  /** Room for a row of this length, with the length before it; returns where the row begins. */
  private begin(length: number): number {
    if (this.scratch.length < lengthBytes + length) this.scratch = allocate(2 * length + lengthBytes)
    return putU32(this.scratch, 0, length)
  }

  private encodeEntry(entry: Entry): number {
    const keyLength = utf8Length(entry.key)
    const { value } = entry
    let at = this.begin(3 + metadataBytes(entry) + keyLength + value.length)
    this.scratch[at] = entry.leaseId === null ? 0 : rowLeased
    at = putU16(this.scratch, at + 1, keyLength)
    at = putMetadata(this.scratch, at, entry)
    at = putText(this.scratch, at, entry.key, keyLength)
    return putBytes(this.scratch, at, value)
  }

  private encodeEvent({ entry, historyBytes, key, position, previous, revision }: HistoryEvent): number {
    const keyLength = utf8Length(key)
    let at = this.begin(23 + metadataBytes(entry) + metadataBytes(previous) + keyLength + (entry?.value.length ?? 0))
    const bytes = this.scratch
    at = putU64(bytes, at, revision)
    at = putU32(bytes, at, position)
    at = putU64(bytes, at, historyBytes)
    bytes[at] = (entry === null ? 0 : eventHasEntry | (entry.leaseId === null ? 0 : eventEntryLeased)) |
      (previous === null ? 0 : eventHasPrevious | (previous.leaseId === null ? 0 : eventPreviousLeased))
    at = putU16(bytes, at + 1, keyLength)
    if (entry !== null) at = putMetadata(bytes, at, entry)
    if (previous !== null) at = putMetadata(bytes, at, previous)
    at = putText(bytes, at, key, keyLength)
    return entry === null ? at : putBytes(bytes, at, entry.value)
  }

  private encodeBytes(row: Uint8Array): number {
    return putBytes(this.scratch, this.begin(row.length), row)
  }
}

const metadataBytes = (of: PreviousEntry | null): number => of === null ? 0 : of.leaseId === null ? 24 : 32

const putMetadata = (bytes: Uint8Array, start: number, of: PreviousEntry): number => {
  let at = putU64(bytes, start, of.createRevision)
  at = putU64(bytes, at, of.modRevision)
  at = putU64(bytes, at, of.version)
  return of.leaseId === null ? at : putU64(bytes, at, of.leaseId)
}
