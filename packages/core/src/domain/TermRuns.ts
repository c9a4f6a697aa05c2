/**
 * The term of every entry of a log, as runs: terms never fall along a log, so it has few of them however long it is.
 *
 * Knows the terms from `base` on, the position right before the first entry kept (`logStart` until a log is compacted).
 */
import type { LogId, LogIndex, Term } from "./Position.ts"
import { logStart } from "./Position.ts"

/** `first` is the index of the first entry of `term`. */
interface Run {
  readonly term: Term
  readonly first: LogIndex
}

export class TermRuns {
  private start: LogId
  private runs: Array<Run>
  private end: LogIndex

  /** `last` is the index of the last entry, `base.index` when there is none. */
  constructor(runs: ReadonlyArray<Run>, last: LogIndex, base: LogId = logStart) {
    this.start = base
    this.runs = runs.slice()
    this.end = last
  }

  /** The position right before the first entry. */
  get base(): LogId {
    return this.start
  }

  get last(): LogIndex {
    return this.end
  }

  /** The position of the last entry. */
  get lastId(): LogId {
    const run = this.runs.at(-1)
    return run === undefined ? this.start : { term: run.term, index: this.end }
  }

  /** The term of the entry at `index`; undefined where the log has none. */
  termAt(index: LogIndex): Term | undefined {
    if (index === this.start.index) return this.start.term
    if (index < this.start.index || index > this.end) return undefined
    return this.runs[this.runAt(index)]!.term
  }

  /** Adds the entry after the last. */
  push(term: Term): void {
    this.end = (this.end + 1) as LogIndex
    const run = this.runs.at(-1)
    if (run === undefined || run.term !== term) this.runs.push({ term, first: this.end })
  }

  /** Removes the entry at `index` and all after it. */
  truncateFrom(index: LogIndex): void {
    if (index > this.end) return
    this.end = (index - 1) as LogIndex
    while (this.runs.length > 0 && this.runs.at(-1)!.first > this.end) this.runs.pop()
  }

  /** Forgets the entries up to `index`, which is there; its position is the base now. */
  dropUpTo(index: LogIndex): void {
    const term = this.termAt(index)
    if (index <= this.start.index || term === undefined) return
    let gone = 0
    while (gone < this.runs.length && (this.runs[gone + 1]?.first ?? this.end + 1) <= index + 1) gone++
    this.runs = this.runs.slice(gone)
    const first = this.runs[0]
    if (first !== undefined && first.first <= index) this.runs[0] = { term: first.term, first: (index + 1) as LogIndex }
    this.start = { term, index }
  }

  /** Begins anew, without entries, after a position. */
  reset(base: LogId): void {
    this.start = base
    this.runs = []
    this.end = base.index
  }

  /** The highest index not above `index` whose term is not above `term`; the base where no entry is. */
  lastAtMost(index: LogIndex, term: Term): LogIndex {
    let upTo = Math.min(index, this.end)
    for (let i = this.runs.length - 1; i >= 0; i--) {
      const run = this.runs[i]!
      if (run.first > upTo) continue
      if (run.term <= term) return upTo as LogIndex
      upTo = run.first - 1
    }
    return this.start.index
  }

  private runAt(index: LogIndex): number {
    let low = 0
    let high = this.runs.length - 1
    // Almost every question is about the last run.
    if (this.runs[high]!.first <= index) return high
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.runs[middle]!.first <= index) low = middle
      else high = middle - 1
    }
    return low
  }
}
