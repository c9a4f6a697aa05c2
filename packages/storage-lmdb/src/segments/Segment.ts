/**
 * The head of a segment: the first bytes of its file, written before anything else and never changed.
 *
 * | offset | size | what |
 * |---|---|---|
 * | 0 | 8 | "distkvSG" |
 * | 8 | 1 | format version, 1 |
 * | 12 | 4 | seed: drawn at random, and known to nobody; the checksums of the segment's frames begin with it |
 * | 16 | 8 | number of the segment |
 * | 24 | 4 | CRC-32 of bytes 0 to 24 |
 */
import { randomBytes } from "node:crypto"
import { crc32 } from "node:zlib"
import { getU64, putU64 } from "../U64.ts"

export const segmentHeadBytes = 64
export const segmentVersion = 1

const magic = Buffer.from("distkvSG")
const checksumAt = 24

export interface SegmentHead {
  readonly number: number
  readonly seed: number
}

/** A head for a new use of a file, with a seed of its own. */
export const newHead = (number: number): SegmentHead => ({ number, seed: randomBytes(4).readUInt32LE() })

export const encodeHead = ({ number, seed }: SegmentHead): Buffer => {
  const bytes = Buffer.alloc(segmentHeadBytes)
  bytes.set(magic)
  bytes[8] = segmentVersion
  bytes.writeUInt32LE(seed, 12)
  putU64(bytes, 16, number)
  bytes.writeUInt32LE(crc32(bytes.subarray(0, checksumAt)), checksumAt)
  return bytes
}

/** The head, a newer format's version, or null where it is not whole. */
export const decodeHead = (bytes: Buffer): SegmentHead | number | null => {
  if (bytes.length < segmentHeadBytes || !bytes.subarray(0, 8).equals(magic)) return null
  if (bytes.readUInt32LE(checksumAt) !== crc32(bytes.subarray(0, checksumAt))) return null
  if (bytes[8] !== segmentVersion) return bytes[8]!
  return { number: getU64(bytes, 16), seed: bytes.readUInt32LE(12) }
}

const suffix = ".log"

/** The name of a segment's file; names sort as numbers do. */
export const segmentName = (number: number): string => `${String(number).padStart(16, "0")}${suffix}`

/** The number in a file's name, or null where it is not a segment's. */
export const numberOfName = (name: string): number | null =>
  /^[0-9]{16}\.log$/.test(name) ? Number(name.slice(0, -suffix.length)) : null
