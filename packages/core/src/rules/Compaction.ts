/**
 * How much of its log a node keeps (thesis §5.1): enough for followers that are a little behind, and not more.
 *
 * Each node decides for itself, since what is dropped is in its own state and on its own disk.
 *
 * Invariant: nothing is dropped that the last checkpoint does not hold. A follower in contact loses what it still needs
 * only when the log has outgrown its bounds many times over: then a snapshot is the shorter way.
 */
import type { LogIndex } from "../domain/Position.ts"

/** Bounds on the entries kept behind the last one. */
export interface LogLimits {
  readonly logEntries: number
  readonly logBytes: number
}

/** A log as far as the rule needs it. */
export interface CompactionView {
  /** The index before the first entry kept. */
  readonly base: LogIndex
  readonly last: LogIndex
  /** The lowest index after which there are at most so many bytes of entries. */
  readonly lowestWithin: (maxBytes: number) => LogIndex
  /** The index at which the last checkpoint stands. */
  readonly checkpointed: LogIndex
  /** The lowest index that a follower in contact may still need the entries after; infinite where there is none. */
  readonly needed: number
}

/** So many times its bounds a log may have for the sake of a follower. */
const patience = 32

/** The index up to which the log should be dropped now; null while it is within its bounds, or hardly beyond them. */
export const dropUpTo = (log: CompactionView, limits: LogLimits): LogIndex | null => {
  // A hundredth more, so that there is one drop per hundredth and not one per entry.
  if (beyond(log, limits, 1.01) <= log.base) return null
  const wanted = beyond(log, limits, 1)
  const index = Math.min(Math.max(Math.min(wanted, log.needed), beyond(log, limits, patience)), log.checkpointed)
  return index > log.base ? index as LogIndex : null
}

/** The lowest index after which the log is within so many times its bounds. */
const beyond = ({ last, lowestWithin }: CompactionView, { logBytes, logEntries }: LogLimits, times: number): number =>
  Math.max(last - Math.floor(times * logEntries), lowestWithin(times * logBytes))
