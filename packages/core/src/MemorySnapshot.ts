/** Snapshots in memory, of and for states that lie in memory: how they are made, kept, taken in and checked. */
import { Effect } from "effect"
import { viewOf } from "./domain/Bytes.ts"
import type { Entry } from "./domain/Entry.ts"
import type { HistoryEvent } from "./domain/HistoryEvent.ts"
import { MalformedSnapshot, type SnapshotHeader, type SnapshotRow } from "./domain/Snapshot.ts"
import { SnapshotReader } from "./domain/SnapshotReader.ts"
import { SnapshotWriter } from "./domain/SnapshotWriter.ts"
import type { StoredSnapshot } from "./StateStore.ts"

const join = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** Makes the snapshot of a state, at once; what it was made of may change afterwards. */
export const snapshotOf = (
  header: SnapshotHeader,
  entries: Iterable<Entry>,
  history: Iterable<HistoryEvent>,
  sessions: Iterable<Uint8Array>
): StoredSnapshot => {
  const chunks: Array<Uint8Array> = []
  const writer = new SnapshotWriter(header, (chunk) => chunks.push(chunk))
  for (const entry of entries) writer.add({ _tag: "Entry", entry })
  for (const event of history) writer.add({ _tag: "Event", event })
  for (const row of sessions) writer.add({ _tag: "Session", row })
  const id = writer.end()
  const bytes = join(chunks)
  return {
    id,
    header,
    read: (offset, length) =>
      Effect.sync(() => viewOf(bytes, Math.min(offset, bytes.length), Math.min(offset + length, bytes.length)))
  }
}

/** A snapshot taken apart. */
export interface ReadSnapshot {
  readonly header: SnapshotHeader
  readonly rows: ReadonlyArray<SnapshotRow>
}

/** Takes in a snapshot piece by piece. */
export class MemoryReceiver {
  private readonly pieces: Array<Uint8Array> = []

  append(bytes: Uint8Array): void {
    this.pieces.push(Uint8Array.from(bytes))
  }

  /** What was received, if it is a whole snapshot. */
  readonly read: Effect.Effect<ReadSnapshot, MalformedSnapshot> = Effect.try({
    try: () => {
      const rows: Array<SnapshotRow> = []
      const reader = new SnapshotReader({ header: () => {}, row: (row) => rows.push(row) })
      for (const piece of this.pieces) reader.push(piece)
      return { header: reader.end().header, rows }
    },
    catch: (cause) => cause
  }).pipe(Effect.catch((cause) => cause instanceof MalformedSnapshot ? Effect.fail(cause) : Effect.die(cause)))
}
