/**
 * A snapshot: the whole state as of one entry of the log, as a stream of bytes (thesis chapter 5).
 *
 * The stream is logical and canonical: equal states make equal bytes, whatever store they lie in. Two snapshots with
 * the same `SnapshotId` are the same, so a transfer that one leader began another may go on with.
 *
 * A stream is chunks of at most 256 KiB: the header, the sections in order of their kinds, the trailer. Integers are
 * little-endian.
 *
 * A chunk:
 *
 * | offset | size | what |
 * |---|---|---|
 * | 0 | 4 | CRC-32 of bytes 4 to the chunk's end, begun with the chunk's number, from 0 |
 * | 4 | 4 | length of the body |
 * | 8 | 1 | kind: 0 header, 255 trailer, else the section |
 * | 9 | … | body |
 *
 * The header's body is the format version as u32 and `SnapshotHeader` as JSON. A section's body is a sequence of rows.
 * Where a body does not fit into one chunk it goes on in the next; all but its last chunk are full. A row is its length
 * as u32 and then
 *
 * - in section 1 (entries, in order of the key): flags u8 (1 a lease), key length u16, metadata, key, value;
 * - in section 2 (history, in order of revision and position): revision u64, position u32, history bytes u64, flags u8
 *   (1 an entry, 2 with a lease, 4 a previous one, 8 with a lease), key length u16, [metadata of the entry], [of the
 *   previous one], key, [value];
 * - in section 3 (sessions, in order of their bytes): the row, as `SessionRow.ts` says.
 *
 * Metadata: create revision, mod revision, version, and (where flagged) lease id, as u64 each. The trailer's body:
 * bytes before the trailer u64, rows u64, CRC-32 of all bytes before the trailer u32.
 */
import { Schema } from "effect"
import type { Entry } from "./Entry.ts"
import type { HistoryEvent } from "./HistoryEvent.ts"
import { ClusterId } from "./Identity.ts"
import { jsonText } from "./JsonText.ts"
import { Membership } from "./Membership.ts"
import { LogId, Revision } from "./Position.ts"

export const snapshotVersion = 1

/** The longest chunk, in bytes. */
export const maxChunkBytes = 256 * 1024
export const chunkHeaderBytes = 9

/** The longest row, in bytes: a largest value with its key and metadata, and room. */
export const maxRowBytes = 4 * 1024 * 1024

/** The kind byte of each chunk. Numbers are never used again for anything else. */
export const chunkKind = { header: 0, entries: 1, history: 2, sessions: 3, trailer: 255 } as const

export const trailerBytes = 20

export const rowLeased = 1
export const eventHasEntry = 1
export const eventEntryLeased = 2
export const eventHasPrevious = 4
export const eventPreviousLeased = 8

const count = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))

/** What a snapshot says before its rows. */
export const SnapshotHeader = Schema.Struct({
  clusterId: Schema.NullOr(ClusterId),
  /** The last entry whose effect the snapshot holds. */
  last: LogId,
  /** The last committed membership up to there. */
  membership: Membership,
  revision: Revision,
  compactRevision: Revision,
  historyBytes: count,
  historyCutBytes: count,
  /** Number of entries. */
  keys: count,
  /** The digest of the state that replicas compare, where its chain has begun. */
  digest: Schema.NullOr(count)
})
export type SnapshotHeader = typeof SnapshotHeader.Type

export const headerText = jsonText(SnapshotHeader)

/** Identifies the bytes of a snapshot: `checksum` is the CRC-32 of all of them. */
export const SnapshotId = Schema.Struct({
  last: LogId,
  bytes: count,
  checksum: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff_ffff }))
})
export interface SnapshotId {
  readonly last: LogId
  readonly bytes: number
  readonly checksum: number
}

/** Whether two ids mean the same bytes. */
export const isSameSnapshot = (a: SnapshotId, b: SnapshotId): boolean =>
  a.last.index === b.last.index && a.last.term === b.last.term && a.bytes === b.bytes && a.checksum === b.checksum

/** One row of a snapshot. */
export type SnapshotRow =
  | { readonly _tag: "Entry"; readonly entry: Entry }
  | { readonly _tag: "Event"; readonly event: HistoryEvent }
  | { readonly _tag: "Session"; readonly row: Uint8Array }

/** Bytes that are no whole snapshot that this program knows: cut short, altered, of a newer format, out of order. */
export class MalformedSnapshot extends Error {
  readonly _tag = "MalformedSnapshot"
  override readonly name = "MalformedSnapshot"
}
