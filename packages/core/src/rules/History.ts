/**
 * How much of the past is kept, and when a leader has some of it cut.
 *
 * The history is replicated state, cut by a committed command and never by a node's own decision: at equal revisions
 * it is equal everywhere (paper §2). Only the leader's proposal depends on its settings.
 *
 * Invariant: a cut is above the compact revision and at most the revision; cutting there keeps within both bounds,
 * and not a revision less than they allow. Nothing is proposed again until a hundredth of a bound has gathered.
 */
import { utf8Length } from "../domain/Bytes.ts"
import type { Revision } from "../domain/Position.ts"
import type { HistoryEvent, StateMeta } from "../StateStore.ts"

/** Looks for the first event kept of the given revision, or of the next that has one. */
export type EventAt = (revision: Revision) => HistoryEvent | undefined

/** Bounds on the events kept: revisions, and bytes of keys and values. */
export interface HistoryLimits {
  readonly historyRevisions: number
  readonly historyBytes: number
}

/** What one event adds to `historyBytes`: its key and its value. */
export const eventBytes = (event: HistoryEvent): number => utf8Length(event.key) + (event.entry?.value.length ?? 0)

/** `StateMeta.historyBytes` as it was right after `revision`, not below the compact one; `now` is what it is now. */
export const historyBytesAt = (eventAt: EventAt, now: number, revision: Revision): number => {
  const next = eventAt((revision + 1) as Revision)
  return next === undefined ? now : next.historyBytes - eventBytes(next)
}

/**
 * The revision up to which the leader should propose to cut the history; null while it is within bounds or only a
 * hundredth beyond them, so that there is one small cut per hundredth and not one per write.
 */
export const historyToCut = (
  counters: Pick<StateMeta, "revision" | "compactRevision" | "historyBytes" | "historyCutBytes">,
  limits: HistoryLimits,
  eventAt: EventAt
): Revision | null => {
  const { compactRevision, historyBytes, historyCutBytes, revision } = counters
  const byCount = exceeds(revision - compactRevision, limits.historyRevisions)
    ? revision - limits.historyRevisions
    : compactRevision
  const byBytes = exceeds(historyBytes - historyCutBytes, limits.historyBytes)
    ? lowestWithin(
      byCount,
      revision,
      (at) => historyBytes - historyBytesAt(eventAt, historyBytes, at as Revision) <= limits.historyBytes
    )
    : compactRevision
  const cut = Math.max(byCount, byBytes)
  return cut > compactRevision ? cut as Revision : null
}

const exceeds = (kept: number, limit: number): boolean => kept > limit + Math.floor(limit / 100)

/** The lowest number from `low` to `high` that fits, where all above one that fits do too, and `high` does. */
const lowestWithin = (low: number, high: number, fits: (at: number) => boolean): number => {
  while (low < high) {
    const middle = low + Math.floor((high - low) / 2)
    if (fits(middle)) high = middle
    else low = middle + 1
  }
  return low
}
