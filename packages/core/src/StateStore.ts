/**
 * The port to the checkpointed state: what applying the log has made of the store, some time ago.
 *
 * The log is the truth; a crash replays it from the last checkpoint. Laws, checked by `testing/laws/StateStoreLaws.ts`:
 *
 * - a checkpoint is one atomic step: after a crash either all of it is there, or nothing;
 * - a checkpoint that succeeds has reached stable storage; checkpoints are serialised in the order of their calls;
 * - reads see exactly the checkpoints that have succeeded, and keys are ordered by their UTF-8 bytes;
 * - every row is checked when read; damage is `StorageFailed`, never an absent or altered row. A scan of keys only may
 *   leave unread what holds values, and then does not find damage there, but it checks keys and metadata.
 */
import { Context, type Effect } from "effect"
import type { StorageFailed } from "./DistKvError.ts"
import type { Entry, Key } from "./domain/Entry.ts"
import type { HistoryEvent } from "./domain/HistoryEvent.ts"
import type { Membership } from "./domain/Membership.ts"
import type { LogId, Revision } from "./domain/Position.ts"
import type { SessionRow } from "./domain/SessionRow.ts"

export type { HistoryEvent, PreviousEntry } from "./domain/HistoryEvent.ts"

/** Where the state stands. */
export interface StateMeta {
  /** The last entry applied. */
  readonly applied: LogId
  /** The store's revision. */
  readonly revision: Revision
  /** The highest revision whose events are gone; 0 while the history is whole. */
  readonly compactRevision: Revision
  /** Bytes ever written to the history: keys and new values of all events, the removed ones included. */
  readonly historyBytes: number
  /** Bytes of the events that `CutHistory` has removed; `historyBytes - historyCutBytes` are kept. */
  readonly historyCutBytes: number
  /** Number of present keys. */
  readonly keys: number
  /** The last committed membership. */
  readonly membership: Membership
}

/** What changed since the last checkpoint. */
export interface Checkpoint {
  readonly meta: StateMeta
  /** The changed keys with their entries, null where deleted. */
  readonly rows: ReadonlyMap<Key, Entry | null>
  /** New events, in order. Events at or below `meta.compactRevision` are removed by the checkpoint. */
  readonly history: ReadonlyArray<HistoryEvent>
  /** The changed rows of the sessions, which the store keeps without looking into them. */
  readonly sessions: ReadonlyArray<SessionRow>
}

/** Bounds of a scan in key order; null is open. */
export interface Scan {
  /** Inclusive. */
  readonly from: string | null
  /** Exclusive. */
  readonly to: string | null
  /** Only keys that begin with this; null for all. */
  readonly prefix: string | null
  readonly reverse: boolean
  /** Entries come without their values (empty arrays), which the store neither reads nor copies. */
  readonly keysOnly: boolean
}

export class StateStore extends Context.Service<StateStore, {
  /** Reads where the state stands; null when nothing was ever checkpointed. */
  readonly recover: Effect.Effect<StateMeta | null, StorageFailed>
  readonly checkpoint: (checkpoint: Checkpoint) => Effect.Effect<void, StorageFailed>
  /** The entry as of the last checkpoint. Throws `StorageFailed`, which ends the node. */
  readonly getUnsafe: (key: Key) => Entry | undefined
  /**
   * Entries in key order (or its reverse) as of the last checkpoint. The iterator must be drained or returned in the
   * turn in which it was made. Throws `StorageFailed`, which ends the node.
   */
  readonly scanUnsafe: (scan: Scan) => Iterable<Entry>
  /** The first event kept of the given revision, or of the next that has one. Throws `StorageFailed`. */
  readonly eventAtUnsafe: (revision: Revision) => HistoryEvent | undefined
  /** All rows of the sessions as of the last checkpoint, in order of their bytes. Throws `StorageFailed`. */
  readonly sessionsUnsafe: () => Iterable<Uint8Array>
}>()("@distkv/core/StateStore") {}
