/**
 * The sub-database `log`: one row for each entry, its key the index as u64 big-endian, its value the record as it is.
 */
import type { LogEntry, LogIndex, Term, TermRun } from "@distkv/core"
import { entryAt, flawOfRecord, howToReplace, StorageFailed } from "@distkv/core"
import type { Batch, Environment, Rows } from "./Environment.ts"
import { reading } from "./Failure.ts"

const keyBytes = 8
const twoTo32 = 2 ** 32

/** Makes the key of an index; `into` is written over where one is given. */
const keyOf = (index: number, into: Buffer = Buffer.allocUnsafe(keyBytes)): Buffer => {
  into.writeUInt32BE(Math.floor(index / twoTo32), 0)
  into.writeUInt32BE(index >>> 0, 4)
  return into
}

const indexOf = (key: Buffer): number => key.readUInt32BE(0) * twoTo32 + key.readUInt32BE(4)

export class LogRows {
  private readonly rows: Rows
  /** LMDB copies the key of a read before it returns, so one buffer serves all. */
  private readonly scratch = Buffer.allocUnsafe(keyBytes)

  constructor(environment: Environment) {
    this.rows = reading("the log cannot be read", () => environment.rows("log"))
  }

  /** The last index of a log that begins after `base`. Throws `StorageFailed` where an entry between is missing. */
  lastUnsafe(base: LogIndex): LogIndex {
    const [first, last, count] = reading("the log cannot be read", () => [
      this.endUnsafe(false),
      this.endUnsafe(true),
      this.countUnsafe()
    ])
    if (first === null || last === null) return base
    if (last - first + 1 !== count || first !== base + 1) {
      throw damaged(`it holds ${count} entries from index ${first} to ${last}, and ought to begin after ${base}`)
    }
    return last as LogIndex
  }

  /** The checked entry at an index that the log holds. Throws `StorageFailed`. */
  entryUnsafe(index: number): LogEntry {
    const found = reading("the log cannot be read", () => this.rows.getBinaryFast(keyOf(index, this.scratch)))
    if (found === undefined) throw damaged(`the entry of index ${index} is missing`)
    // LMDB uses these bytes for its next answer; the copy is a plain array, of a slab where it is small.
    const slab = Buffer.allocUnsafe(found.length)
    const record = new Uint8Array(slab.buffer, slab.byteOffset, slab.length)
    record.set(found.subarray(0, slab.length))
    const flaw = flawOfRecord(record)
    if (flaw !== null) throw damaged(`the entry of index ${index}: ${flaw}`)
    const entry = entryAt(record)
    if (entry.index !== index) throw damaged(`in the place of index ${index} is the entry of index ${entry.index}`)
    return entry
  }

  /** The terms of the entries from `first` to `last`. Few terms are found by few reads, since terms never fall. */
  termsUnsafe(first: LogIndex, last: LogIndex): ReadonlyArray<TermRun> {
    const runs: Array<TermRun> = []
    for (let index: number = first; index <= last;) {
      const { term } = this.entryUnsafe(index)
      const before = runs.at(-1)
      if (before !== undefined && term <= before.term) throw damaged(`the term falls to ${term} at index ${index}`)
      runs.push({ term, first: index as LogIndex })
      index = this.endOfTermUnsafe(index, last, term) + 1
    }
    return runs
  }

  put(batch: Batch, entries: ReadonlyArray<LogEntry>): void {
    for (const { index, record } of entries) {
      batch.put(this.rows, keyOf(index), Buffer.from(record.buffer, record.byteOffset, record.length))
    }
  }

  /** Removes the entries from `from` to `to`. */
  remove(batch: Batch, from: number, to: number): void {
    for (let index = from; index <= to; index++) batch.remove(this.rows, keyOf(index))
  }

  /** Removes all entries. */
  clear(batch: Batch): void {
    batch.clear(this.rows)
  }

  /** The last index up to `last` with this term, which `index` has. */
  private endOfTermUnsafe(index: number, last: number, term: Term): number {
    let low = index
    let step = 1
    // Doubling first makes a short term cost little in a long log.
    while (low + step <= last && this.entryUnsafe(low + step).term === term) {
      low += step
      step *= 2
    }
    let high = Math.min(low + step, last + 1)
    while (low + 1 < high) {
      const middle = Math.floor((low + high) / 2)
      if (this.entryUnsafe(middle).term === term) low = middle
      else high = middle
    }
    return low
  }

  private endUnsafe(reverse: boolean): number | null {
    for (const key of this.rows.getKeys({ reverse, limit: 1 })) {
      if (key.length !== keyBytes) throw damaged(`a key of ${key.length} bytes`)
      return indexOf(key)
    }
    return null
  }

  private countUnsafe(): number {
    const stats: { readonly entryCount?: number } = this.rows.getStats()
    return stats.entryCount ?? 0
  }
}

const damaged = (why: string) => new StorageFailed({ message: `the log is damaged: ${why}. ${howToReplace}` })
