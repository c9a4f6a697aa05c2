/**
 * The port to the durable log. Laws, checked by `testing/laws/LogStoreLaws.ts` on every implementation:
 *
 * - a `write` that succeeds has reached stable storage, hard state and entries together or not at all;
 * - indexes are contiguous from the first index kept, which is 1 until the log is compacted; no write leaves a hole;
 * - the term and index right before the first index kept (`base`) are never forgotten;
 * - entries that a write replaces are gone with all that followed them, in the same atomic step;
 * - writes are serialised in the order of their calls, and a later one never overtakes an earlier one;
 * - every record is checked when read; damage is `StorageFailed`, never a shorter log.
 *
 * After a failed write nothing more may be written: what is on disk is unknown until the next start.
 */
import { Context, type Effect } from "effect"
import type { StorageFailed } from "./DistKvError.ts"
import type { Identity, NodeId } from "./domain/Identity.ts"
import type { LogEntry } from "./domain/LogEntry.ts"
import { after, type LogId, type LogIndex, type Term } from "./domain/Position.ts"

/** Term and vote: always written together, in one atomic write (paper figure 2, "persistent state"). */
export interface HardState {
  readonly term: Term
  readonly votedFor: NodeId | null
}

/** The first index of each term's entries in the log, in order; a log has few of these. */
export interface TermRun {
  readonly term: Term
  readonly first: LogIndex
}

/** The entries from the first one kept up to `index` weigh about `total` bytes. */
export interface LogSize {
  readonly index: LogIndex
  readonly total: number
}

/** What a node finds in its log at its start. */
export interface RecoveredLog {
  /** Null in a directory that was never used. */
  readonly identity: Identity | null
  /** Null only where `identity` is null too. */
  readonly hardState: HardState | null
  /** The position right before the first entry kept, `logStart` until the log is compacted. */
  readonly base: LogId
  /** The first index kept, `base.index + 1`; `last` is `base.index` when the log is empty. */
  readonly first: LogIndex
  readonly last: LogIndex
  readonly terms: ReadonlyArray<TermRun>
  /** Sizes at some of the indexes, rising; absent where the store does not know them without reading all entries. */
  readonly sizes?: ReadonlyArray<LogSize> | undefined
}

/**
 * One durable step. `entries` are contiguous and replace whatever is at and after their first index.
 *
 * With `reset` the whole log goes first and begins anew after that position, which a snapshot holds (thesis §5.1).
 */
export interface LogWrite {
  readonly hardState: HardState | null
  readonly reset?: LogId | undefined
  readonly entries: ReadonlyArray<LogEntry>
}

/** The hard state of a node that has taken part in nothing yet. */
export const initialHardState: HardState = { term: 0 as Term, votedFor: null }

/** Why a log that holds `first` to `last` must not take this write, as it would leave a hole; null where it may. */
export const flawOfWrite = ({ entries, reset }: LogWrite, first: LogIndex, last: LogIndex): string | null => {
  if (reset !== undefined) return flawOfWrite({ hardState: null, entries }, after(reset.index), reset.index)
  const start = entries[0]?.index
  if (start === undefined) return null
  if (start < first || start > last + 1) {
    return `entries from index ${start} do not continue a log that holds ${first} to ${last}`
  }
  const stray = entries.findIndex((entry, i) => entry.index !== start + i)
  return stray === -1 ? null : `entry ${entries[stray]!.index} follows entry ${start + stray - 1} in one write`
}

export class LogStore extends Context.Service<LogStore, {
  /** Reads what is there. Fails when it is damaged, of a newer format, or behind its mark. */
  readonly recover: Effect.Effect<RecoveredLog, StorageFailed>
  /** Makes the identity durable. The first call makes an initial hard state (term 0, no vote) durable before it. */
  readonly saveIdentity: (identity: Identity) => Effect.Effect<void, StorageFailed>
  readonly write: (write: LogWrite) => Effect.Effect<void, StorageFailed>
  /**
   * Drops the entries up to `to` (inclusive), all of which must be there or dropped already. May be many small steps,
   * each atomic and between other writes; a crash leaves a log that begins anywhere up to there.
   */
  readonly compact: (to: LogIndex) => Effect.Effect<void, StorageFailed>
  /**
   * The entries from `from` to at most `to` (inclusive), as many as fit in `maxBytes` but at least one; empty only
   * when `from` is beyond the last index. Where `from` was dropped, from the first index kept. Sees every write that
   * has succeeded.
   */
  readonly read: (
    from: LogIndex,
    to: LogIndex,
    maxBytes: number
  ) => Effect.Effect<ReadonlyArray<LogEntry>, StorageFailed>
  /** Bytes that may still be written before the disk reserve is reached, negative beyond it; null where unlimited. */
  readonly spaceLeft: Effect.Effect<number | null, StorageFailed>
}>()("@distkv/core/LogStore") {}
