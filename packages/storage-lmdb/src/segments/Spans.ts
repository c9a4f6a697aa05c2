/**
 * Where the entries of a log lie: one span for each frame that still has entries of the log, in order of their indexes.
 *
 * Invariant: spans are contiguous; what a later step replaced or a base dropped is in none.
 */
import type { LogId, LogIndex, LogSize, Term, TermRun } from "@distkv/core"
import type { OpenSegment } from "./OpenSegment.ts"

/** A size is noted once in about so many entries. */
const sizeGrain = 16

export interface Span {
  readonly segment: OpenSegment
  /** Where the frame begins in its file, and its size, in bytes. */
  readonly at: number
  readonly bytes: number
  /** The index of the frame's first entry. */
  readonly first: number
  /** The last index that still counts. */
  last: number
}

export class Spans {
  private spans: Array<Span> = []
  private runs: Array<{ readonly term: Term; first: number }> = []
  /** The last entry dropped. */
  base: LogId

  constructor(base: LogId) {
    this.base = base
  }

  get last(): LogIndex {
    return (this.spans.at(-1)?.last ?? this.base.index) as LogIndex
  }

  /** The first index that a frame still holds; after the base's while earlier frames are gone. */
  get firstHeld(): number {
    return this.spans[0]?.first ?? this.base.index + 1
  }

  get terms(): ReadonlyArray<TermRun> {
    const { index } = this.base
    const runs: Array<TermRun> = []
    for (const { first, term } of this.runs) {
      // The last run that begins at or before the first index kept begins there.
      if (first <= index + 1) runs.length = 0
      if (first <= this.last) runs.push({ term, first: Math.max(first, index + 1) as LogIndex })
    }
    return this.spans.length === 0 || this.last <= index ? [] : runs
  }

  /** How many bytes the frames take up to some of the indexes. */
  get sizes(): ReadonlyArray<LogSize> {
    const sizes: Array<LogSize> = []
    let total = 0
    let noted = 0
    for (const { bytes, last } of this.spans) {
      total += bytes
      if (last - noted < sizeGrain) continue
      sizes.push({ index: last as LogIndex, total })
      noted = last
    }
    return sizes
  }

  /** Adds a frame's entries, whose terms are given in order, in the place of all at and after its first index. */
  add(span: Span, terms: Iterable<Term>): void {
    const { first } = span
    this.truncate(first)
    this.spans.push(span)
    let index = first
    for (const term of terms) {
      if (this.runs.at(-1)?.term !== term) this.runs.push({ term, first: index })
      index++
    }
  }

  /** Everything up to `base` is dropped. */
  drop(base: LogId): void {
    if (base.index < this.base.index) return
    this.base = base
    let gone = 0
    while (gone < this.spans.length && this.spans[gone]!.last <= base.index) gone++
    if (gone > 0) this.spans.splice(0, gone)
    while (this.runs.length > 1 && this.runs[1]!.first <= base.index + 1) this.runs.shift()
    if (this.spans.length === 0) this.runs = []
  }

  /** The log is empty and goes on after `base`. */
  reset(base: LogId): void {
    this.spans = []
    this.runs = []
    this.base = base
  }

  /** The spans that hold entries from `from` to `to`. */
  *within(from: number, to: number): Generator<Span> {
    let low = 0
    let high = this.spans.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.spans[middle]!.last < from) low = middle + 1
      else high = middle
    }
    for (; low < this.spans.length && this.spans[low]!.first <= to; low++) yield this.spans[low]!
  }

  /** Whether a segment still holds an entry of the log. */
  uses(segment: OpenSegment): boolean {
    // Spans lie in the order of their segments; only the oldest are asked about.
    return this.spans[0] !== undefined && this.spans[0].segment.head.number <= segment.head.number &&
      this.spans.some((span) => span.segment === segment)
  }

  private truncate(index: number): void {
    while (this.spans.length > 0 && this.spans.at(-1)!.first >= index) this.spans.pop()
    const last = this.spans.at(-1)
    if (last !== undefined && last.last >= index) last.last = index - 1
    while (this.runs.length > 0 && this.runs.at(-1)!.first >= index) this.runs.pop()
  }
}
