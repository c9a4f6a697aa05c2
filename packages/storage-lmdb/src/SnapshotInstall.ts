/**
 * Takes a received snapshot apart and puts its rows into a generation of tables, in many small commits: a checkpoint of
 * the present state gets its turn between any two of them.
 */
import { type HistoryEvent, type SnapshotHeader, SnapshotReader, type SnapshotRow } from "@distkv/core"
import { Batch } from "./Environment.ts"
import { RowArena } from "./RowArena.ts"
import { putSessionRow } from "./SessionRows.ts"
import type { SnapshotFile } from "./SnapshotFile.ts"
import type { StateTables } from "./StateTables.ts"
import { Turns } from "./Turns.ts"

/** What is read of the file at once. */
const pieceBytes = 64 * 1024
/** Changes, and bytes, that one commit takes about. */
const commitRows = 2000
const commitBytes = 1024 * 1024

/**
 * Fills `tables`, which must be empty, from a whole snapshot. Throws `MalformedSnapshot` where it is none; what was
 * filled in is rubbish then.
 */
export const fillTables = async (
  file: SnapshotFile,
  tables: StateTables,
  commit: (batch: Batch) => Promise<void>,
  isOver: () => boolean
): Promise<SnapshotHeader> => {
  let batch = new Batch()
  let arena = new RowArena()
  let bytes = 0
  const blocks = tables.blockWriter(() => batch)
  const take = (row: SnapshotRow): void => {
    if (row._tag === "Entry") {
      const { entry } = row
      arena.row(entry, (keyBytes, encoded) => tables.put(batch, keyBytes, encoded, entry))
      bytes += entry.value.length
    } else if (row._tag === "Event") {
      blocks.add(row.event)
      bytes += weightOf(row.event)
    } else {
      putSessionRow(batch, tables.sessions, row.row)
      bytes += row.row.length
    }
  }
  const reader = new SnapshotReader({ header: () => {}, row: take })
  const turns = new Turns()
  for (let at = 0; at < file.bytes; at += pieceBytes) {
    if (isOver()) throw new Error("nobody wants it any more")
    const piece = await file.read(at, pieceBytes)
    reader.push(piece)
    if (batch.size >= commitRows || bytes >= commitBytes) {
      const full = batch
      batch = new Batch()
      arena = new RowArena()
      bytes = 0
      await commit(full)
    }
    if (turns.isOver(piece.length)) await turns.next()
  }
  const { header } = reader.end()
  blocks.flush()
  await commit(batch)
  return header
}

const weightOf = (event: HistoryEvent): number => event.key.length + (event.entry?.value.length ?? 0)
