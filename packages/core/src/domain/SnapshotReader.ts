/**
 * Takes the stream of a snapshot apart, in whatever pieces it comes; the layout is in `Snapshot.ts`.
 *
 * Invariant: what is handed out came in chunks whose checksums are right, in the one order that a snapshot has; and
 * `end` returns only for a stream that is whole, so who acts on the rows before may do so only provisionally.
 */
import { crc32 } from "node:zlib"
import { ByteReader } from "./ByteReader.ts"
import { allocate, getU32, viewOf } from "./Bytes.ts"
import { compareKeys, type Entry, isKey, type Key } from "./Entry.ts"
import type { HistoryEvent, PreviousEntry } from "./HistoryEvent.ts"
import type { Revision } from "./Position.ts"
import { sessionKeyBytes } from "./SessionRow.ts"
import {
  chunkHeaderBytes,
  chunkKind,
  eventEntryLeased,
  eventHasEntry,
  eventHasPrevious,
  eventPreviousLeased,
  headerText,
  MalformedSnapshot,
  maxChunkBytes,
  maxRowBytes,
  rowLeased,
  type SnapshotHeader,
  type SnapshotId,
  type SnapshotRow,
  snapshotVersion,
  trailerBytes
} from "./Snapshot.ts"

/** What becomes of a snapshot's parts. */
export interface SnapshotHandler {
  /** Called once, before all rows. */
  readonly header: (header: SnapshotHeader) => void
  readonly row: (row: SnapshotRow) => void
}

const flaw = (message: string): never => {
  throw new MalformedSnapshot(message)
}

export class SnapshotReader {
  private readonly handler: SnapshotHandler
  private header: SnapshotHeader | null = null
  /** The chunk that is being gathered. */
  private readonly chunk = allocate(maxChunkBytes)
  private held = 0
  private chunks = 0
  private kind: number = chunkKind.header
  /** Whether the last chunk was full, so that its body may go on. */
  private wasFull = false
  private bytes = 0
  private checksum = 0
  private rows = 0
  private keys = 0
  /** A row, or the header, of which only the beginning has come. */
  private partial = allocate(4096)
  private partialBytes = 0
  private lastKey: Key | null = null
  private lastEvent: HistoryEvent | null = null
  private lastSession: Uint8Array | null = null

  constructor(handler: SnapshotHandler) {
    this.handler = handler
  }

  /** Takes in the next bytes. Throws `MalformedSnapshot`; after that nothing more may be pushed. */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const wanted = this.held < chunkHeaderBytes
        ? chunkHeaderBytes
        : chunkHeaderBytes + getU32(this.chunk, 4)
      const take = Math.min(wanted - this.held, bytes.length - at)
      this.chunk.set(viewOf(bytes, at, at + take), this.held)
      this.held += take
      at += take
      if (this.held < chunkHeaderBytes) return
      const length = chunkHeaderBytes + getU32(this.chunk, 4)
      if (length > maxChunkBytes || length === chunkHeaderBytes) {
        flaw(`chunk ${this.chunks} claims to have ${length} bytes`)
      }
      if (this.held === length) this.takeChunk(length)
    }
  }

  /** The stream is over. Returns its name; throws `MalformedSnapshot` where something is missing. */
  end(): { readonly id: SnapshotId; readonly header: SnapshotHeader } {
    const { bytes, checksum, header, held, kind } = this
    if (header === null || kind !== chunkKind.trailer || held > 0) throw new MalformedSnapshot("it is cut short")
    return { id: { last: header.last, bytes, checksum }, header }
  }

  private takeChunk(length: number): void {
    const { chunk } = this
    if (getU32(chunk, 0) !== crc32(viewOf(chunk, 4, length), this.chunks)) {
      flaw(`the checksum of chunk ${this.chunks} is wrong`)
    }
    const kind = chunk[8] ?? 0
    if (this.kind === chunkKind.trailer) flaw("something comes after its end")
    if (kind === this.kind ? this.chunks > 0 && !this.wasFull : kind < this.kind) {
      flaw(`chunk ${this.chunks} of kind ${kind} is out of place`)
    }
    if (kind !== this.kind) this.endBody()
    this.kind = kind
    const body = viewOf(chunk, chunkHeaderBytes, length)
    if (kind === chunkKind.header) this.keep(body)
    else if (kind === chunkKind.trailer) this.takeTrailer(body)
    else this.takeRows(kind, body)
    this.checksum = crc32(viewOf(chunk, 0, length), this.checksum)
    this.bytes += length
    this.chunks++
    this.wasFull = length === maxChunkBytes
    this.held = 0
  }

  /** A body is over: nothing of it may be left, except that the header is read now. */
  private endBody(): void {
    if (this.kind !== chunkKind.header) {
      if (this.partialBytes > 0) flaw(`section ${this.kind} ends within a row`)
      return
    }
    const reader = new ByteReader(viewOf(this.partial, 0, this.partialBytes), 0)
    const version = reader.u32()
    if (version !== snapshotVersion) flaw(`it has format ${version}, and this program knows format ${snapshotVersion}`)
    const header = headerText.decode(reader.text(reader.left))
    if (reader.flaw !== null || header === null) throw new MalformedSnapshot("its header is no header")
    this.partialBytes = 0
    this.header = header
    this.handler.header(header)
  }

  private takeTrailer(body: Uint8Array): void {
    const reader = new ByteReader(body, 0)
    const [bytes, rows, checksum] = [reader.u64(), reader.u64(), reader.u32()]
    if (body.length !== trailerBytes || bytes !== this.bytes || rows !== this.rows || checksum !== this.checksum) {
      flaw("its end does not fit what came before")
    }
    if (this.keys !== this.header?.keys) flaw(`it holds ${this.keys} entries and announced ${this.header?.keys}`)
  }

  private takeRows(kind: number, body: Uint8Array): void {
    let at = 0
    if (this.partialBytes > 0) {
      at = this.complete(kind, body)
      if (this.partialBytes > 0) return
    }
    while (body.length - at >= 4) {
      const end = at + 4 + rowLength(getU32(body, at))
      if (end > body.length) break
      this.takeRow(kind, viewOf(body, at + 4, end))
      at = end
    }
    if (at < body.length) this.keep(viewOf(body, at, body.length))
  }

  /** Goes on with the row that an earlier chunk began; returns how much of the body belongs to it. */
  private complete(kind: number, body: Uint8Array): number {
    let at = 0
    if (this.partialBytes < 4) {
      at = Math.min(4 - this.partialBytes, body.length)
      this.keep(viewOf(body, 0, at))
      if (this.partialBytes < 4) return at
    }
    const length = 4 + rowLength(getU32(this.partial, 0))
    const take = Math.min(length - this.partialBytes, body.length - at)
    this.keep(viewOf(body, at, at + take))
    if (this.partialBytes === length) {
      this.takeRow(kind, viewOf(this.partial, 4, length))
      this.partialBytes = 0
    }
    return at + take
  }

  private keep(bytes: Uint8Array): void {
    const needed = this.partialBytes + bytes.length
    if (needed > maxRowBytes + 4) flaw(`a row or header of more than ${maxRowBytes} bytes`)
    if (needed > this.partial.length) {
      const grown = allocate(Math.max(needed, 2 * this.partial.length))
      grown.set(viewOf(this.partial, 0, this.partialBytes))
      this.partial = grown
    }
    this.partial.set(bytes, this.partialBytes)
    this.partialBytes = needed
  }

  private takeRow(kind: number, row: Uint8Array): void {
    this.rows++
    const reader = new ByteReader(row, 0)
    switch (kind) {
      case chunkKind.entries:
        return this.takeEntry(reader)
      case chunkKind.history:
        return this.takeEvent(reader)
      case chunkKind.sessions: {
        const bytes = reader.copy(reader.left)
        if (bytes.length < sessionKeyBytes) flaw("a session's row that is too short")
        if (this.lastSession !== null && compareBytes(this.lastSession, bytes) >= 0) {
          flaw("its sessions are out of order")
        }
        this.lastSession = bytes
        return this.handler.row({ _tag: "Session", row: bytes })
      }
      default:
        flaw(`section ${kind} is not known`)
    }
  }

  private takeEntry(reader: ByteReader): void {
    const flags = reader.flags(rowLeased)
    const keyLength = reader.u16()
    const metadata = readMetadata(reader, (flags & rowLeased) !== 0)
    const key = readKey(reader, keyLength)
    const value = reader.copy(reader.left)
    if (reader.flaw !== null) flaw(`an entry: ${reader.flaw}`)
    if (this.lastKey !== null && compareKeys(this.lastKey, key) >= 0) flaw("its entries are out of order")
    if (metadata.modRevision > this.header!.revision) flaw("an entry is newer than the snapshot")
    this.lastKey = key
    this.keys++
    this.handler.row({ _tag: "Entry", entry: { key, value, ...metadata } })
  }

  private takeEvent(reader: ByteReader): void {
    const revision = reader.u64() as Revision
    const position = reader.u32()
    const historyBytes = reader.u64()
    const flags = reader.flags(eventHasEntry | eventEntryLeased | eventHasPrevious | eventPreviousLeased)
    const keyLength = reader.u16()
    const has = (flag: number) => (flags & flag) !== 0
    const metadata = has(eventHasEntry) ? readMetadata(reader, has(eventEntryLeased)) : null
    const previous = has(eventHasPrevious) ? readMetadata(reader, has(eventPreviousLeased)) : null
    const key = readKey(reader, keyLength)
    const entry: Entry | null = metadata === null ? null : { key, value: reader.copy(reader.left), ...metadata }
    reader.end()
    if ((metadata === null && has(eventEntryLeased)) || (previous === null && has(eventPreviousLeased))) {
      reader.reject("a lease of nothing")
    }
    if (reader.flaw !== null) flaw(`an event: ${reader.flaw}`)
    const event: HistoryEvent = { revision, position, key, entry, previous, historyBytes }
    const { compactRevision, revision: latest } = this.header!
    if (revision <= compactRevision || revision > latest) flaw(`an event of revision ${revision} does not belong here`)
    const before = this.lastEvent
    if (
      before !== null && (revision < before.revision || (revision === before.revision && position <= before.position))
    ) {
      flaw("its events are out of order")
    }
    this.lastEvent = event
    this.handler.row({ _tag: "Event", event })
  }
}

const rowLength = (length: number): number =>
  length <= maxRowBytes ? length : flaw(`a row claims to have ${length} bytes`)

const readMetadata = (reader: ByteReader, leased: boolean): PreviousEntry => {
  const [createRevision, modRevision, version] = [reader.u64(), reader.u64(), reader.u64()]
  if (version === 0) reader.reject("an entry of version 0")
  return {
    createRevision: createRevision as Revision,
    modRevision: modRevision as Revision,
    version,
    leaseId: leased ? reader.u64() as Revision : null
  }
}

const readKey = (reader: ByteReader, length: number): Key => {
  const text = reader.text(length)
  if (!isKey(text)) reader.reject("a key that is none")
  return text as Key
}

const compareBytes = (a: Uint8Array, b: Uint8Array): number => {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!
  return a.length - b.length
}
