/**
 * The mark: a second record of what the log has promised, in a file of its own that may lie on another volume. A log
 * that is behind its mark was rolled back, and would vote twice or forget what it acknowledged.
 *
 * It holds term and vote exactly, a floor of the durable index and of the files' sizes, and is always written after the
 * commit it speaks of.
 *
 * The file has two slots of 4,096 bytes, written in turn, so that a torn write leaves the other; the sound one with the
 * higher sequence counts. A slot, integers little-endian:
 *
 * | offset | size | what |
 * |---|---|---|
 * | 0 | 8 | "distkvMK" |
 * | 8 | 1 | format version, 1 |
 * | 9 | 1 | length of the vote, 0 for none |
 * | 16 | 8 | sequence |
 * | 24 | 8 | term |
 * | 32 | 8 | floor of the durable index |
 * | 40 | 32 | incarnation of the directory |
 * | 72 | 64 | id of the node voted for |
 * | 136 | 8 | bytes of the log's file |
 * | 144 | 8 | bytes of the state's file |
 * | 152 | 4 | CRC-32 of bytes 0 to 152 |
 */
import type { HardState, Incarnation, LogIndex, NodeId, Term } from "@distkv/core"
import { howToReplace, StorageFailed } from "@distkv/core"
import type { FileHandle } from "node:fs/promises"
import { open } from "node:fs/promises"
import { crc32 } from "node:zlib"
import { readFileIfPresent, replaceFile } from "./DurableFile.ts"
import { newerFormat } from "./Failure.ts"

export interface Mark {
  readonly incarnation: Incarnation
  readonly hardState: HardState
  /** Every index up to here was durable, and has not been truncated since. */
  readonly floor: LogIndex
  /** Sizes that the files of log and state have had. */
  readonly logBytes: number
  readonly stateBytes: number
}

const slotBytes = 4096
const usedBytes = 156
const checksumAt = 152
const magic = Buffer.from("distkvMK")
const version = 1

interface Slot {
  readonly sequence: number
  readonly mark: Mark
}

const encode = (sequence: number, { floor, hardState, incarnation, logBytes, stateBytes }: Mark): Buffer => {
  const bytes = Buffer.alloc(slotBytes)
  bytes.set(magic)
  bytes[8] = version
  bytes[9] = hardState.votedFor?.length ?? 0
  bytes.writeBigUInt64LE(BigInt(sequence), 16)
  bytes.writeBigUInt64LE(BigInt(hardState.term), 24)
  bytes.writeBigUInt64LE(BigInt(floor), 32)
  bytes.write(incarnation, 40, "latin1")
  bytes.write(hardState.votedFor ?? "", 72, "latin1")
  bytes.writeBigUInt64LE(BigInt(logBytes), 136)
  bytes.writeBigUInt64LE(BigInt(stateBytes), 144)
  bytes.writeUInt32LE(crc32(bytes.subarray(0, checksumAt)), checksumAt)
  return bytes
}

/** The slot, null where it is not whole, or the version where that is not known. */
const decode = (bytes: Buffer): Slot | number | null => {
  if (bytes.length < usedBytes || !bytes.subarray(0, 8).equals(magic)) return null
  if (bytes.readUInt32LE(checksumAt) !== crc32(bytes.subarray(0, checksumAt))) return null
  if (bytes[8] !== version) return bytes[8] ?? 0
  const vote = bytes.toString("latin1", 72, 72 + bytes[9]!)
  return {
    sequence: Number(bytes.readBigUInt64LE(16)),
    mark: {
      incarnation: bytes.toString("latin1", 40, 72) as Incarnation,
      hardState: {
        term: Number(bytes.readBigUInt64LE(24)) as Term,
        votedFor: vote === "" ? null : vote as NodeId
      },
      floor: Number(bytes.readBigUInt64LE(32)) as LogIndex,
      logBytes: Number(bytes.readBigUInt64LE(136)),
      stateBytes: Number(bytes.readBigUInt64LE(144))
    }
  }
}

export class MarkFile {
  readonly path: string
  private latest: Slot | null
  private file: FileHandle | null = null

  private constructor(path: string, latest: Slot | null) {
    this.path = path
    this.latest = latest
  }

  /** Reads the mark. Rejects with `StorageFailed` where the file is damaged or newer. */
  static async read(path: string): Promise<MarkFile> {
    const bytes = await readFileIfPresent(path)
    if (bytes === null) return new MarkFile(path, null)
    const slots = [decode(bytes.subarray(0, slotBytes)), decode(bytes.subarray(slotBytes, 2 * slotBytes))]
    let latest: Slot | null = null
    for (const slot of slots) {
      if (typeof slot === "number") throw newerFormat(path, slot, version)
      if (slot !== null && (latest === null || slot.sequence > latest.sequence)) latest = slot
    }
    if (latest === null) {
      throw new StorageFailed({ message: `the mark ${path} is damaged: neither half of it is whole. ${howToReplace}` })
    }
    return new MarkFile(path, latest)
  }

  /** What the file says, or null where there is none. */
  get mark(): Mark | null {
    return this.latest?.mark ?? null
  }

  /** Makes a new file with this mark in both halves, whatever was there. */
  async create(mark: Mark): Promise<void> {
    await this.close()
    await replaceFile(this.path, Buffer.concat([encode(2, mark), encode(1, mark)]))
    this.latest = { sequence: 2, mark }
  }

  /** Resolves when the mark is durable. One at a time. */
  async write(mark: Mark): Promise<void> {
    const sequence = (this.latest?.sequence ?? 0) + 1
    this.file ??= await open(this.path, "r+")
    const { bytesWritten } = await this.file.write(encode(sequence, mark), 0, slotBytes, (sequence % 2) * slotBytes)
    if (bytesWritten !== slotBytes) throw new StorageFailed({ message: `the mark ${this.path} was not written whole` })
    await this.file.datasync()
    this.latest = { sequence, mark }
  }

  async close(): Promise<void> {
    const { file } = this
    this.file = null
    await file?.close()
  }
}
