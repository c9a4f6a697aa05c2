/**
 * A row of the sub-database `kv`: the entry of one key. The row's key is the key in UTF-8, so that LMDB's order is the
 * store's.
 *
 * A row, integers little-endian:
 *
 * | offset | size | what |
 * |---|---|---|
 * | 0 | 1 | row version, 1 |
 * | 1 | 1 | flags: 1 a lease |
 * | 2 | 2 | zero |
 * | 4 | 8 | create revision |
 * | 12 | 8 | mod revision |
 * | 20 | 8 | version of the entry |
 * | 28 | 8 | lease id, 0 for none |
 * | 36 | … | value |
 * | end - 4 | 4 | CRC-32 of the key and everything before |
 */
import type { Entry, Key, Revision } from "@distkv/core"
import { StorageFailed } from "@distkv/core"
import { crc32 } from "node:zlib"
import { howToReplace } from "./Failure.ts"
import { getU64, putU64 } from "./U64.ts"

const rowVersion = 1
const leased = 1
const valueAt = 36
const checksumBytes = 4

/** The bytes that `encodeRow` needs for an entry whose key has so many. */
export const sizeOfRow = (keyLength: number, { value }: Entry): number =>
  keyLength + valueAt + value.length + checksumBytes

/** Writes key and row next to each other at `start`; the row begins after the key and ends at the returned offset. */
export const encodeRow = (arena: Buffer, start: number, keyLength: number, entry: Entry): number => {
  arena.write(entry.key, start, keyLength, "utf8")
  const row = start + keyLength
  arena[row] = rowVersion
  arena[row + 1] = entry.leaseId === null ? 0 : leased
  arena[row + 2] = 0
  arena[row + 3] = 0
  putU64(arena, row + 4, entry.createRevision)
  putU64(arena, row + 12, entry.modRevision)
  putU64(arena, row + 20, entry.version)
  putU64(arena, row + 28, entry.leaseId ?? 0)
  arena.set(entry.value, row + valueAt)
  const end = row + valueAt + entry.value.length
  arena.writeUInt32LE(crc32(arena.subarray(start, end)), end)
  return end + checksumBytes
}

/**
 * The entry of a row. `bytes` may be LMDB's own: everything is copied, the value into a plain array. Throws
 * `StorageFailed` where the row is not what was written for this key.
 */
export const decodeRowUnsafe = (key: Key, keyBytes: Uint8Array, bytes: Buffer, length: number): Entry => {
  const end = length - checksumBytes
  if (end < valueAt) throw damaged(key, "it is too short")
  // LMDB lends a buffer that says another length than it has; only a view of its own is safe to give away.
  const row = new Uint8Array(bytes.buffer, bytes.byteOffset, end)
  if (bytes.readUInt32LE(end) !== crc32(row, crc32(keyBytes))) throw damaged(key, "its checksum is wrong")
  if (row[0] !== rowVersion) throw damaged(key, `its version ${row[0]} is not known`)
  return {
    key,
    value: row.slice(valueAt),
    createRevision: getU64(bytes, 4) as Revision,
    modRevision: getU64(bytes, 12) as Revision,
    version: getU64(bytes, 20),
    leaseId: row[1] === leased ? getU64(bytes, 28) as Revision : null
  }
}

const damaged = (key: Key, why: string) =>
  new StorageFailed({ message: `the row of key ${JSON.stringify(key)} is damaged: ${why}. ${howToReplace}` })
