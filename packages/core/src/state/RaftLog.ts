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

/** Bytes that an entry weighs beside its record. */
const entryOverhead = 64

export class RaftLog {
  readonly terms: TermRuns
  /** The first index of the log. */
  readonly first: LogIndex
  private ring: Array<LogEntry | undefined> = new Array(1024).fill(undefined)
  private mask = 1023
  private windowStart: LogIndex
  private bytes = 0

  /** A log whose entries are all in the store, none in the window. */
  constructor(terms: TermRuns, first: LogIndex) {
    this.terms = terms
    this.first = first
    this.windowStart = (terms.last + 1) as LogIndex
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
    this.bytes += entry.record.length + entryOverhead
  }

  /** Removes the entry at `index` and all after it. */
  truncateFrom(index: LogIndex): void {
    for (let i = this.last; i >= Math.max(index, this.windowStart); i--) this.drop(i)
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
    while (this.bytes > maxBytes && this.windowStart <= upTo) {
      this.drop(this.windowStart)
      this.windowStart = (this.windowStart + 1) as LogIndex
    }
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
