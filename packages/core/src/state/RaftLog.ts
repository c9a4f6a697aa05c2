/**
 * The log as the owner of the Raft state sees it: the terms of all entries, and the recent entries themselves.
 *
 * The window of recent entries is a ring: followers and the state machine read from it, and whoever needs an older
 * entry has it read from the log store. Entries that are not yet applied or not yet durable never leave it, except
 * right after a start with a long tail to replay.
 */
import type { LogEntry } from "../domain/LogEntry.ts"
import type { LogId, LogIndex, Term } from "../domain/Position.ts"
import type { TermRuns } from "../domain/TermRuns.ts"
import type { LogSize } from "../LogStore.ts"

/** Bytes that an entry weighs beside its record. */
const entryOverhead = 64

/** A size is noted at each index that has none of these bits. */
const sizeGrain = 15

export class RaftLog {
  readonly terms: TermRuns
  private ring: Array<LogEntry | undefined> = new Array(1024).fill(undefined)
  private mask = 1023
  private windowStart: LogIndex
  private bytes = 0
  /** Bytes of all entries whose size is known, the truncated ones not. */
  private total: number
  /** `total` right after some of the entries, in order. */
  private sizes: Array<LogSize>

  /** A log whose entries are all in the store, none in the window. */
  constructor(terms: TermRuns, sizes: ReadonlyArray<LogSize> = []) {
    this.terms = terms
    this.sizes = [...sizes]
    this.total = sizes.at(-1)?.total ?? 0
    this.windowStart = (terms.last + 1) as LogIndex
  }

  /** The position right before the first entry. */
  get base(): LogId {
    return this.terms.base
  }

  /** The first index of the log. */
  get first(): LogIndex {
    return (this.terms.base.index + 1) as LogIndex
  }

  get last(): LogIndex {
    return this.terms.last
  }

  get lastId(): LogId {
    return this.terms.lastId
  }

  get windowFirst(): LogIndex {
    return this.windowStart
  }

  get windowBytes(): number {
    return this.bytes
  }

  termAt(index: LogIndex): Term | undefined {
    return this.terms.termAt(index)
  }

  /** The entry, where it is in the window. */
  entryAt(index: LogIndex): LogEntry | undefined {
    return index >= this.windowStart && index <= this.last ? this.ring[index & this.mask] : undefined
  }

  /** Adds the entry after the last. */
  push(entry: LogEntry): void {
    if (entry.index !== this.last + 1) throw new Error(`entry ${entry.index} does not follow ${this.last}`)
    this.terms.push(entry.term)
    if (this.last - this.windowStart >= this.mask) this.grow()
    this.ring[entry.index & this.mask] = entry
    const size = entry.record.length + entryOverhead
    this.bytes += size
    this.total += size
    if ((entry.index & sizeGrain) === 0) this.sizes.push({ index: entry.index, total: this.total })
  }

  /** Removes the entry at `index` and all after it. */
  truncateFrom(index: LogIndex): void {
    const before = this.bytes
    const isBeyondWindow = index < this.windowStart
    for (let i = this.last; i >= Math.max(index, this.windowStart); i--) this.drop(i)
    this.total -= before - this.bytes
    while (this.sizes.length > 0 && this.sizes.at(-1)!.index >= index) this.sizes.pop()
    if (isBeyondWindow) this.total = this.sizes.at(-1)?.total ?? 0
    this.terms.truncateFrom(index)
    if (this.windowStart > this.last + 1) this.windowStart = (this.last + 1) as LogIndex
  }

  /** Puts entries that lie right before the window into it; used when a start reads the tail of the log backwards. */
  prepend(entry: LogEntry): void {
    if (entry.index !== this.windowStart - 1) throw new Error(`entry ${entry.index} does not precede the window`)
    if (this.last - entry.index >= this.mask) this.grow()
    this.windowStart = entry.index
    this.ring[entry.index & this.mask] = entry
    this.bytes += entry.record.length + entryOverhead
  }

  /** Forgets the entries up to `index`, which is in the log. */
  dropUpTo(index: LogIndex): void {
    while (this.windowStart <= index) this.forgetFirst()
    this.terms.dropUpTo(index)
    let gone = 0
    while (gone < this.sizes.length && this.sizes[gone]!.index < index) gone++
    this.sizes = this.sizes.slice(gone)
  }

  /** Begins anew, without entries, after a position that a snapshot holds. */
  reset(base: LogId): void {
    while (this.windowStart <= this.last) this.forgetFirst()
    this.terms.reset(base)
    this.windowStart = (base.index + 1) as LogIndex
    this.total = 0
    this.sizes = []
  }

  /**
   * The lowest index after which there are at most about `maxBytes` of entries; the base where all are within it. What
   * was in the log before the start of the process weighs nothing where the store does not know its sizes.
   */
  lowestWithin(maxBytes: number): LogIndex {
    let low = 0
    let high = this.sizes.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.total - this.sizes[middle]!.total <= maxBytes) high = middle
      else low = middle + 1
    }
    const { base } = this
    if (low === 0) return base.index
    return Math.max(base.index, this.sizes[low]?.index ?? this.last) as LogIndex
  }

  /**
   * The entries from `from` on, as many as fit in `maxBytes` but at least one; undefined where `from` lies before the
   * window, empty where it lies after the log.
   */
  slice(from: LogIndex, maxBytes: number): ReadonlyArray<LogEntry> | undefined {
    if (from < this.windowStart) return undefined
    const entries: Array<LogEntry> = []
    let size = 0
    for (let i = from; i <= this.last; i = (i + 1) as LogIndex) {
      const entry = this.ring[i & this.mask]!
      size += entry.record.length + entryOverhead
      if (entries.length > 0 && size > maxBytes) break
      entries.push(entry)
    }
    return entries
  }

  /** Forgets the oldest entries up to `upTo` while the window weighs more than `maxBytes`. */
  evict(upTo: LogIndex, maxBytes: number): void {
    while (this.bytes > maxBytes && this.windowStart <= upTo) this.forgetFirst()
  }

  private forgetFirst(): void {
    this.drop(this.windowStart)
    this.windowStart = (this.windowStart + 1) as LogIndex
  }

  private drop(index: LogIndex): void {
    const entry = this.ring[index & this.mask]
    if (entry !== undefined) this.bytes -= entry.record.length + entryOverhead
    this.ring[index & this.mask] = undefined
  }

  private grow(): void {
    const size = this.ring.length * 2
    const ring: Array<LogEntry | undefined> = new Array(size).fill(undefined)
    for (let i = this.windowStart; i <= this.last; i = (i + 1) as LogIndex) {
      ring[i & (size - 1)] = this.ring[i & this.mask]
    }
    this.ring = ring
    this.mask = size - 1
  }
}
