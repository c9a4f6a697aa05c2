/** Where one log's entries, base and hard state are kept: sub-databases of LMDB, or segments. */
import type { HardState, Identity, LogEntry, LogId, LogIndex, LogSize, Term, TermRun } from "@distkv/core"

/** One durable step. */
export interface LogStep {
  readonly hardState: HardState | null
  /** The whole log goes first, and begins anew after this position. */
  readonly reset: LogId | null
  /** Contiguous; they replace whatever is at and after their first index. */
  readonly entries: ReadonlyArray<LogEntry>
}

/**
 * Steps come one after another; a step that fails stops the store for good. What throws, throws `StorageFailed`, and
 * rejects with it.
 */
export interface LogBackend {
  /** As durable; null before the first identity. */
  readonly hardState: HardState | null
  /** The position before the first entry kept. */
  readonly base: LogId
  /** The last durable index. */
  readonly last: LogIndex
  /** The term at an index from the base to the last one; undefined elsewhere. */
  readonly termUnsafe: (index: LogIndex) => Term | undefined
  readonly termsUnsafe: () => ReadonlyArray<TermRun>
  /** Sizes at some of the indexes; undefined where they are not known without reading all entries. */
  readonly sizes: ReadonlyArray<LogSize> | undefined
  /** Whether it was ever made somebody's. */
  readonly isOwned: boolean
  /** Throws where it belongs to somebody else. */
  readonly checkOwnerUnsafe: (identity: Identity) => void
  /** Makes it that of `identity`, with this hard state. */
  readonly claim: (identity: Identity, hardState: HardState) => Promise<void>
  readonly commit: (step: LogStep) => Promise<void>
  /** Drops entries up to `to`, or some of them; `base` tells how far it came. */
  readonly compact: (to: LogIndex) => Promise<void>
  /** From the first index kept, at least one entry and at most `maxBytes`. */
  readonly read: (from: LogIndex, to: LogIndex, maxBytes: number) => Promise<ReadonlyArray<LogEntry>>
  /** A size that the log's file has for good, in bytes; 0 where none says anything. */
  readonly bytes: () => Promise<number>
}
