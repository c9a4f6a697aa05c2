/**
 * A disk that loses power: whatever is under way then is done in part. Of a write any sectors may have arrived, in
 * whatever order; a change of a name has happened or not.
 */
import type { SegmentFile, SegmentFiles } from "../../src/segments/SegmentFiles.ts"

const sectorBytes = 512

/** Uniform in [0, 1), the same for the same seed. */
export type Draw = () => number

/** Marsaglia's xorshift. */
export const drawFrom = (seed: number): Draw => {
  let state = (seed * 2_654_435_761 + 1) >>> 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state / 2 ** 32
  }
}

/**
 * What has arrived of an operation during which the power went: of a write the first sectors (a lost tail), the last
 * ones, or every other one; any of them, as drawn; nothing of it, or all of it without that anybody was told.
 */
export type Arrival = "any" | "nothing" | "all" | "first" | "last" | "every other"

interface Inode {
  bytes: Buffer
}

interface Operation {
  readonly whole: () => void
  readonly part: () => void
}

export class PowerDisk {
  private readonly names = new Map<string, Inode>()
  private readonly draw: Draw
  private readonly arrival: Arrival
  private under = new Set<Operation>()
  private left = Number.POSITIVE_INFINITY
  private life = 0
  private count = 0

  constructor(draw: Draw, arrival: Arrival = "any") {
    this.draw = draw
    this.arrival = arrival
  }

  /** How many operations have begun since the power came. */
  get begun(): number {
    return this.count
  }

  /** Whether the power is gone. */
  get isOff(): boolean {
    return this.left <= 0
  }

  /** Switches on; the power goes when so many more operations have begun. */
  start(operations: number): SegmentFiles {
    this.left = operations
    this.count = 0
    this.under = new Set()
    const life = ++this.life
    const run = (operation: Operation) => this.run(operation, life)
    return {
      list: async () => [...this.names.keys()],
      create: async (name, bytes) => {
        const inode = { bytes: Buffer.alloc(bytes) }
        await run(this.renaming(() => this.names.set(name, inode)))
        return this.file(inode, run)
      },
      open: async (name) => this.file(this.names.get(name)!, run),
      rename: (from, to) =>
        run(this.renaming(() => {
          this.names.set(to, this.names.get(from)!)
          this.names.delete(from)
        })),
      remove: (name) => run(this.renaming(() => this.names.delete(name)))
    }
  }

  /** Changes a byte of a file. */
  flip(name: string, at: number): void {
    const { bytes } = this.names.get(name)!
    bytes[at] = bytes[at]! ^ 0x40
  }

  get files(): ReadonlyArray<string> {
    return [...this.names.keys()].sort()
  }

  private file(inode: Inode, run: (operation: Operation) => Promise<void>): SegmentFile {
    return {
      write: async (given, position) => {
        const bytes = Buffer.from(given)
        const end = position + bytes.length
        if (inode.bytes.length < end) inode.bytes = Buffer.concat([inode.bytes, Buffer.alloc(end - inode.bytes.length)])
        await run({
          whole: () => inode.bytes.set(bytes, position),
          part: () => this.writePart(inode.bytes, bytes, position)
        })
      },
      read: async (position, length) => Buffer.from(inode.bytes.subarray(position, position + length)),
      bytes: async () => inode.bytes.length,
      close: async () => {}
    }
  }

  private renaming(change: () => void): Operation {
    return { whole: change, part: () => this.happens(0, 2) && change() }
  }

  /** Whether the sector of this number, of so many, has arrived; a change of a name is the first of two. */
  private happens(sector: number, sectors: number, chance = 0.5): boolean {
    switch (this.arrival) {
      case "any":
        return this.draw() < chance
      case "nothing":
        return false
      case "all":
        return true
      case "first":
        return sector < sectors / 2
      case "last":
        return sector >= sectors / 2
      case "every other":
        return sector % 2 === 1
    }
  }

  /** Each sector that the write touches arrives or not. */
  private writePart(into: Buffer, bytes: Buffer, position: number): void {
    const chance = this.draw()
    const firstSector = Math.floor(position / sectorBytes)
    const sectors = Math.ceil((position + bytes.length) / sectorBytes) - firstSector
    for (let sector = firstSector; sector < firstSector + sectors; sector++) {
      if (!this.happens(sector - firstSector, sectors, chance)) continue
      const from = Math.max(position, sector * sectorBytes)
      const to = Math.min(position + bytes.length, (sector + 1) * sectorBytes)
      into.set(bytes.subarray(from - position, to - position), from)
    }
  }

  private async run(operation: Operation, life: number): Promise<void> {
    if (life !== this.life || this.isOff) return await new Promise<never>(() => {})
    this.under.add(operation)
    this.count++
    if (--this.left === 0) {
      for (const each of this.under) each.part()
      return await new Promise<never>(() => {})
    }
    for (let turns = Math.floor(this.draw() * 6); turns > 0; turns--) await Promise.resolve()
    if (life !== this.life || this.isOff) return await new Promise<never>(() => {})
    this.under.delete(operation)
    operation.whole()
  }
}
