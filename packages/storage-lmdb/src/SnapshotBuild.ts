/**
 * Builds a snapshot of a state into a file, from one view of the environment that is given back as soon as the last row
 * is read. Works in short turns with pauses between, since the event loop has a cluster to serve.
 */
import {
  type ClusterId,
  headerOfState,
  type Key,
  type Revision,
  type SnapshotHeader,
  type SnapshotId,
  SnapshotWriter,
  type StateMeta
} from "@distkv/core"
import type { Transaction } from "lmdb"
import { eventsOfBlockUnsafe } from "./HistoryBlocks.ts"
import { sessionRowUnsafe } from "./SessionRows.ts"
import type { SnapshotFile } from "./SnapshotFile.ts"
import { decodeRowUnsafe } from "./StateRows.ts"
import type { StateTables } from "./StateTables.ts"

/** Rows, or blocks of the history, that are read in one turn. */
const rowsPerTurn = 256
const blocksPerTurn = 16
/** Milliseconds of rest after each turn. */
const restMs = 1

const rest = (): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, restMs)
  })

/** What is looked at: tables as they are in a view. */
export interface View {
  readonly tables: StateTables
  readonly transaction: Transaction
}

/** What is to be built: the state stands at `meta`, and nobody wants it any more once `isOver`. */
export interface Build {
  readonly meta: StateMeta
  readonly clusterId: ClusterId | null
  readonly isOver: () => boolean
}

/** Writes the snapshot of a view to a file. Rejects with `StorageFailed` where a row is damaged. */
export const buildSnapshot = async (
  view: View,
  { clusterId, isOver, meta }: Build,
  file: SnapshotFile
): Promise<{ readonly id: SnapshotId; readonly header: SnapshotHeader }> => {
  const header = headerOfState(meta, clusterId)
  let chunks: Array<Uint8Array> = []
  const writer = new SnapshotWriter(header, (chunk) => chunks.push(chunk))
  const write = async () => {
    if (isOver()) throw new Error("nobody wants it any more")
    const full = chunks
    chunks = []
    for (const chunk of full) await file.append(chunk)
    await rest()
  }
  for (let after: Buffer | null = null;;) {
    after = addEntriesUnsafe(view, after, writer)
    await write()
    if (after === null) break
  }
  for (let after: Buffer | null = null;;) {
    after = addEventsUnsafe(view, meta.compactRevision, after, writer)
    await write()
    if (after === null) break
  }
  for (const { key, value } of view.tables.sessions.getRange({ transaction: view.transaction })) {
    writer.add({ _tag: "Session", row: sessionRowUnsafe(key, value) })
  }
  const id = writer.end()
  await write()
  return { id, header }
}

/** Adds the next rows after a key; returns the last one, or null where there are no more. */
const addEntriesUnsafe = (
  { tables, transaction }: View,
  after: Buffer | null,
  writer: SnapshotWriter
): Buffer | null => {
  const findValue = (key: Buffer) => tables.values.getBinaryFast(key, { transaction })
  let last: Buffer | null = null
  let count = 0
  for (const { key, value } of tables.kv.getRange({ ...startAfter(after), limit: rowsPerTurn, transaction })) {
    const entry = decodeRowUnsafe(key.toString() as Key, key, value, value.length, findValue)
    writer.add({ _tag: "Entry", entry })
    last = key
    count++
  }
  return count < rowsPerTurn ? null : last
}

const addEventsUnsafe = (
  { tables, transaction }: View,
  compactRevision: Revision,
  after: Buffer | null,
  writer: SnapshotWriter
): Buffer | null => {
  let last: Buffer | null = null
  let count = 0
  for (const { key, value } of tables.history.getRange({ ...startAfter(after), limit: blocksPerTurn, transaction })) {
    for (const event of eventsOfBlockUnsafe(key, value)) {
      if (event.revision > compactRevision) writer.add({ _tag: "Event", event })
    }
    last = key
    count++
  }
  return count < blocksPerTurn ? null : last
}

const startAfter = (key: Buffer | null) => key === null ? {} : { start: key, exclusiveStart: true }
