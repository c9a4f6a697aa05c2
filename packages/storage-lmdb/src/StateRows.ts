/**
 * The sub-databases `kv` and `values`: the entries. A row's key is the key in UTF-8: LMDB's order is the store's.
 *
 * LMDB hands out a row whole or not at all, so a value of more than 1 KiB has a row of its own in `values`, and who
 * asks for keys only reads none of it. Such a row is the value and nothing else; the row in `kv` vouches for it.
 *
 * A row of `kv`, integers little-endian:
 *
 * | offset | size | what |
 * |---|---|---|
 * | 0 | 1 | row version, 1 |
 * | 1 | 1 | flags: 1 a lease, 2 the value lies apart |
 * | 2 | 2 | zero |
 * | 4 | 8 | create revision |
 * | 12 | 8 | mod revision |
 * | 20 | 8 | version of the entry |
 * | 28 | 8 | lease id, 0 for none |
 * | 36 | … | value; where it lies apart its length u32 and its CRC-32 u32 instead |
 * | end - 4 | 4 | CRC-32 of the key and everything before |
 */
import type { Entry, Key, Revision } from "@distkv/core"
import { howToReplace, StorageFailed } from "@distkv/core"
import { crc32 } from "node:zlib"
import { getU64, putU64 } from "./U64.ts"

const rowVersion = 1
const leased = 1
const apart = 2
const valueAt = 36
const checksumBytes = 4
const longestInline = 1024
const apartBytes = 8

/** Whether a value has a row of its own. */
export const liesApart = (value: Uint8Array): boolean => value.length > longestInline

/** The bytes that `encodeRow` needs for an entry whose key has so many. */
export const sizeOfRow = (keyLength: number, { value }: Entry): number =>
  keyLength + valueAt + (liesApart(value) ? apartBytes : value.length) + checksumBytes

/** Writes key and row next to each other at `start`; the row begins after the key and ends at the returned offset. */
export const encodeRow = (arena: Buffer, start: number, keyLength: number, entry: Entry): number => {
  arena.write(entry.key, start, keyLength, "utf8")
  const row = start + keyLength
  const { value } = entry
  arena[row] = rowVersion
  arena[row + 1] = (entry.leaseId === null ? 0 : leased) | (liesApart(value) ? apart : 0)
  arena[row + 2] = 0
  arena[row + 3] = 0
  putU64(arena, row + 4, entry.createRevision)
  putU64(arena, row + 12, entry.modRevision)
  putU64(arena, row + 20, entry.version)
  putU64(arena, row + 28, entry.leaseId ?? 0)
  let end = row + valueAt
  if (liesApart(value)) {
    arena.writeUInt32LE(value.length, end)
    arena.writeUInt32LE(crc32(value), end + 4)
    end += apartBytes
  } else {
    arena.set(value, end)
    end += value.length
  }
  arena.writeUInt32LE(crc32(arena.subarray(start, end)), end)
  return end + checksumBytes
}

/** Finds the row of a value that lies apart. */
export type FindValue = (keyBytes: Buffer) => Buffer | undefined

/**
 * The entry of a row. `bytes`, and what `findValue` returns, may be LMDB's own: everything is copied, the value into a
 * plain array, which may be a part of a larger one. Without `findValue` the entry comes without its value. Throws
 * `StorageFailed` where one of the rows is not what was written for this key.
 */
export const decodeRowUnsafe = (
  key: Key,
  keyBytes: Buffer,
  bytes: Buffer,
  length: number,
  findValue: FindValue | null
): Entry => {
  const end = length - checksumBytes
  if (end < valueAt) throw damaged(key, "it is too short")
  // LMDB lends a buffer that says another length than it has; only a view of its own is safe to give away.
  const row = new Uint8Array(bytes.buffer, bytes.byteOffset, end)
  if (bytes.readUInt32LE(end) !== crc32(row, crc32(keyBytes))) throw damaged(key, "its checksum is wrong")
  if (row[0] !== rowVersion) throw damaged(key, `its version ${row[0]} is not known`)
  const flags = row[1]!
  const createRevision = getU64(bytes, 4) as Revision
  const modRevision = getU64(bytes, 12) as Revision
  const version = getU64(bytes, 20)
  const leaseId = (flags & leased) !== 0 ? getU64(bytes, 28) as Revision : null
  // The last, since LMDB answers into the same bytes again.
  const value = findValue === null
    ? noValue
    : (flags & apart) === 0
    ? copyOf(row, valueAt)
    : valueUnsafe(key, bytes.readUInt32LE(valueAt), bytes.readUInt32LE(valueAt + 4), findValue(keyBytes))
  return { key, value, createRevision, modRevision, version, leaseId }
}

const noValue = new Uint8Array(0)

/** A copy of what begins at `from`, in memory shared with others: memory of its own costs ten times as much. */
const copyOf = (bytes: Uint8Array, from: number): Uint8Array => {
  const copy = Buffer.allocUnsafe(bytes.length - from)
  copy.set(bytes.subarray(from))
  return new Uint8Array(copy.buffer, copy.byteOffset, copy.length)
}

const valueUnsafe = (key: Key, length: number, checksum: number, found: Buffer | undefined): Uint8Array => {
  if (found === undefined) throw damaged(key, "its value is missing")
  if (found.length !== length) throw damaged(key, `its value has ${found.length} bytes instead of ${length}`)
  const value = new Uint8Array(found.buffer, found.byteOffset, length)
  if (crc32(value) !== checksum) throw damaged(key, "the checksum of its value is wrong")
  return value.slice()
}

const damaged = (key: Key, why: string) =>
  new StorageFailed({ message: `the row of key ${JSON.stringify(key)} is damaged: ${why}. ${howToReplace}` })
