/**
 * The sub-database `sessions`: rows that the core has encoded, kept as they are with a checksum behind them. A row's
 * first 16 bytes are its key, so that LMDB's order is the order of the rows.
 *
 * | offset | size | what |
 * |---|---|---|
 * | 0 | … | the row |
 * | end - 4 | 4 | CRC-32 of everything before, little-endian |
 */
import type { SessionRow } from "@distkv/core"
import { howToReplace, sessionKey, sessionKeyBytes, StorageFailed } from "@distkv/core"
import { crc32 } from "node:zlib"
import type { Batch, Rows } from "./Environment.ts"

const checksumBytes = 4

/** Adds the change of a row to a batch. */
export const changeSessionRow = (batch: Batch, rows: Rows, { block, bytes, session }: SessionRow): void => {
  if (bytes === null) batch.remove(rows, Buffer.from(sessionKey(session, block)))
  else putSessionRow(batch, rows, bytes)
}

/** Adds a row to a batch. */
export const putSessionRow = (batch: Batch, rows: Rows, bytes: Uint8Array): void => {
  const row = Buffer.allocUnsafe(bytes.length + checksumBytes)
  row.set(bytes)
  row.writeUInt32LE(crc32(bytes), bytes.length)
  batch.put(rows, Buffer.from(bytes.subarray(0, sessionKeyBytes)), row)
}

/** The row as the core gave it, in memory of its own. Throws `StorageFailed` where it is not what was written. */
export const sessionRowUnsafe = (key: Buffer, stored: Buffer): Uint8Array => {
  const end = stored.length - checksumBytes
  const row = end < 0 ? new Uint8Array(0) : new Uint8Array(stored.buffer, stored.byteOffset, end).slice()
  if (end < key.length || stored.readUInt32LE(end) !== crc32(row) || !key.equals(row.subarray(0, key.length))) {
    throw new StorageFailed({
      message: `a row of the sessions (${key.toString("hex")}) is damaged: it is not what was written. ${howToReplace}`
    })
  }
  return row
}
