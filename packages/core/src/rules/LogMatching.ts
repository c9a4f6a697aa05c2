/**
 * What a follower does with an append (paper §5.3).
 *
 * Invariant (log matching): two logs that hold an entry of the same index and term are equal up to there. So a follower
 * takes entries only after an entry that it shares with the leader, and removes entries only where terms differ; an old
 * or repeated append removes nothing.
 */
import type { LogEntry } from "../domain/LogEntry.ts"
import type { LogId, LogIndex, Term } from "../domain/Position.ts"
import type { TermRuns } from "../domain/TermRuns.ts"

/** The follower's log as far as the rule needs it. */
export interface FollowerLog {
  readonly last: LogIndex
  readonly terms: TermRuns
}

export type Match =
  /** `hint` is the last place where the two logs may still agree. */
  | { readonly _tag: "Rejected"; readonly hint: LogId }
  /** Entries before `skip` are there already; `truncate` says whether the entry at `skip` replaces others. */
  | { readonly _tag: "Accepted"; readonly skip: number; readonly truncate: boolean; readonly end: LogIndex }

/** Compares an append of `entries` after `previous` with the follower's log. `entries` are contiguous. */
export const matchAppend = (log: FollowerLog, previous: LogId, entries: ReadonlyArray<LogEntry>): Match => {
  // What lies before the base is committed here, and no leader has anything else there (§5.4).
  const covered = log.terms.base.index - previous.index
  const known = covered > 0 ? previous.term : log.terms.termAt(previous.index)
  if (previous.index > log.last || known !== previous.term) {
    return { _tag: "Rejected", hint: agreeingUpTo(log, previous) }
  }
  let skip = Math.max(0, Math.min(covered, entries.length))
  for (; skip < entries.length; skip++) {
    const entry = entries[skip]!
    if (entry.index > log.last) break
    if (log.terms.termAt(entry.index) !== entry.term) return accepted(previous, entries, skip, true)
  }
  return accepted(previous, entries, skip, false)
}

const accepted = (previous: LogId, entries: ReadonlyArray<LogEntry>, skip: number, truncate: boolean): Match => ({
  _tag: "Accepted",
  skip,
  truncate,
  end: (previous.index + entries.length) as LogIndex
})

/**
 * The last entry of a log that may equal one of another log in which `at` stands: the highest index not above
 * `at.index` whose term is not above `at.term`. Both sides use it, so a whole term of conflicts costs one exchange.
 */
export const agreeingUpTo = (log: FollowerLog, at: LogId): LogId => {
  const index = log.terms.lastAtMost(Math.min(at.index, log.last) as LogIndex, at.term)
  return { index, term: log.terms.termAt(index) ?? (0 as Term) }
}
