/**
 * Builds a snapshot of a state into a file, from one view of the environment that is given back as soon as the last row
 * is read. Works in short turns with rests between, since the event loop has a cluster to serve: a leader that stops
 * for as long as 256 values of a megabyte take is none any more.
 */
import {
  type ClusterId,
  headerOfState,
  type Key,
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
import { Turns } from "./Turns.ts"

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
  const turns = new Turns()
  const write = async () => {
    if (isOver()) throw new Error("nobody wants it any more")
    const full = chunks
    chunks = []
    await turns.rest(async () => {
      for (const chunk of full) await file.append(chunk)
    })
  }
  for (const add of [addEntriesUnsafe, addEventsUnsafe, addSessionsUnsafe]) {
    for (let after: Buffer | null = null;;) {
      after = add({ view, writer, turns, meta }, after)
      await write()
      if (after === null) break
    }
  }
  const id = writer.end()
  await write()
  return { id, header }
}

interface Work {
  readonly view: View
  readonly writer: SnapshotWriter
  readonly turns: Turns
  readonly meta: StateMeta
}

/** Adds rows after a key until the turn is over; returns the last one, or null where there are no more. */
const addEntriesUnsafe = ({ turns, view: { tables, transaction }, writer }: Work, after: Buffer | null) => {
  const findValue = (key: Buffer) => tables.values.getBinaryFast(key, { transaction })
  for (const { key, value } of tables.kv.getRange({ ...startAfter(after), transaction })) {
    const entry = decodeRowUnsafe(key.toString() as Key, key, value, value.length, findValue)
    writer.add({ _tag: "Entry", entry })
    if (turns.isOver(entry.value.length)) return key
  }
  return null
}

const addEventsUnsafe = ({ meta, turns, view: { tables, transaction }, writer }: Work, after: Buffer | null) => {
  for (const { key, value } of tables.history.getRange({ ...startAfter(after), transaction })) {
    for (const event of eventsOfBlockUnsafe(key, value)) {
      if (event.revision > meta.compactRevision) writer.add({ _tag: "Event", event })
    }
    if (turns.isOver(value.length)) return key
  }
  return null
}

const addSessionsUnsafe = ({ turns, view: { tables, transaction }, writer }: Work, after: Buffer | null) => {
  for (const { key, value } of tables.sessions.getRange({ ...startAfter(after), transaction })) {
    writer.add({ _tag: "Session", row: sessionRowUnsafe(key, value) })
    if (turns.isOver(value.length)) return key
  }
  return null
}

const startAfter = (key: Buffer | null) => key === null ? {} : { start: key, exclusiveStart: true }
