/**
 * Whether a file can be given to LMDB at all. LMDB maps its file and believes it: garbage, a file cut short or a lost
 * meta page end the whole process with a signal, so size and both meta pages are checked before it is opened.
 *
 * A sound file may end before its last page, where the last pages are free and were never written. Whether it was cut
 * short instead is told by the size that it is known to have had; LMDB's files never shrink. Either way it is filled
 * up, so that no page lies beyond its end: a page of zeros is an error to LMDB, one beyond the end is a signal.
 *
 * The layout is that of LMDB's data version 2 with 8-byte page numbers. Each meta page holds, after a page header of 24
 * bytes: magic u32, version u32, …, page size u32 at 48, root of the free list u64 at 88, root of the main tree u64 at
 * 136, last page u64 at 144, transaction u64 at 152.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync } from "node:fs"
import { reasonOf } from "./Failure.ts"

const metaBytes = 160
const magic = 0xbeef_c0de
const dataVersion = 2
const emptyTree = 0xffff_ffff_ffff_ffffn

interface Meta {
  readonly pageSize: number
  readonly freeRoot: bigint
  readonly mainRoot: bigint
  readonly lastPage: bigint
  readonly transaction: bigint
}

/** The most bytes that a file is filled up by; more is not what LMDB does, but a meta page that lies. */
const maxFillBytes = 2 ** 30

/**
 * Makes the file at `path` fit to be opened. Answers why it must not be, or null where it may: sound, or absent.
 * `leastBytes` is a size that the file is known to have had.
 */
export const prepareLmdbFile = (path: string, leastBytes: number): string | null => {
  let file: number
  try {
    file = openSync(path, "r+")
  } catch (cause) {
    return cause instanceof Error && "code" in cause && cause.code === "ENOENT" ? null : reasonOf(cause)
  }
  try {
    return flawOf(file, leastBytes)
  } catch (cause) {
    return reasonOf(cause)
  } finally {
    closeSync(file)
  }
}

const flawOf = (file: number, leastBytes: number): string | null => {
  const stat = fstatSync(file)
  if (!stat.isFile()) return "it is not a regular file"
  if (stat.size < leastBytes) {
    return `it has ${stat.size} bytes and once had ${leastBytes}, so it was cut short or replaced by an older copy`
  }
  if (stat.size === 0) return null
  const first = readMeta(file, 0)
  if (typeof first === "string") return `its first meta page ${first}`
  const second = readMeta(file, first.pageSize)
  if (typeof second === "string") return `its second meta page ${second}`
  if (second.pageSize !== first.pageSize) return "its meta pages disagree on the page size"
  const latest = first.transaction >= second.transaction ? first : second
  const pages = BigInt(Math.floor(stat.size / latest.pageSize))
  for (const [tree, root] of [["main tree", latest.mainRoot], ["free list", latest.freeRoot]] as const) {
    if (root !== emptyTree && root >= pages) return `the root of its ${tree} lies beyond its end`
  }
  if (latest.lastPage >= pages) {
    const fullBytes = Number(latest.lastPage + 1n) * latest.pageSize
    if (fullBytes - stat.size > maxFillBytes) return `it is cut short: ${pages} pages of ${latest.lastPage + 1n}`
    ftruncateSync(file, fullBytes)
  }
  return null
}

/** The meta page at an offset, or what is wrong with it. */
const readMeta = (file: number, offset: number): Meta | string => {
  const bytes = Buffer.alloc(metaBytes)
  if (readSync(file, bytes, 0, metaBytes, offset) !== metaBytes) return "is missing"
  if (bytes.readUInt32LE(24) !== magic) return "is not one of LMDB"
  const version = bytes.readUInt32LE(28) & 0xffff
  if (version !== dataVersion) return `has data version ${version}`
  const pageSize = bytes.readUInt32LE(48)
  if (pageSize < 512 || pageSize > 65_536 || (pageSize & (pageSize - 1)) !== 0) return `has page size ${pageSize}`
  return {
    pageSize,
    freeRoot: bytes.readBigUInt64LE(88),
    mainRoot: bytes.readBigUInt64LE(136),
    lastPage: bytes.readBigUInt64LE(144),
    transaction: bytes.readBigUInt64LE(152)
  }
}
