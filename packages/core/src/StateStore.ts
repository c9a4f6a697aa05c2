/**
 * The port to the checkpointed state: what applying the log has made of the store, some time ago.
 *
 * The log is the truth; a crash replays it from the last checkpoint. Laws, checked by `testing/laws/StateStoreLaws.ts`:
 *
 * - a checkpoint is one atomic step: after a crash either all of it is there, or nothing;
 * - a checkpoint that succeeds has reached stable storage; checkpoints are serialised in the order of their calls;
 * - reads see exactly the checkpoints that have succeeded, and keys are ordered by their UTF-8 bytes;
 * - a snapshot is of one checkpoint, whole, the same bytes on every implementation, and not changed by later ones;
 * - an installed snapshot replaces everything in one atomic step; after a crash the state is the old or the new one,
 *   and what was left of a snapshot that was being built or received is gone;
 * - every row is checked when read; damage is `StorageFailed`, never an absent or altered row. Who asks for metadata or
 *   for keys only may leave unread what holds values, and then does not find damage there, but checks the rest.
 */
import { Context, type Effect, Schema, type Scope } from "effect"
import type { StorageFailed } from "./DistKvError.ts"
import type { Entry, EntryMetadata, Key } from "./domain/Entry.ts"
import type { HistoryEvent } from "./domain/HistoryEvent.ts"
import type { ClusterId } from "./domain/Identity.ts"
import type { Membership } from "./domain/Membership.ts"
import type { LogId, Revision } from "./domain/Position.ts"
import type { SessionRow } from "./domain/SessionRow.ts"
import type { MalformedSnapshot, SnapshotHeader, SnapshotId } from "./domain/Snapshot.ts"

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
  /** What replicas compare, see `state/StateDigest.ts`; absent before its chain begins. */
  readonly digest?: number
}

/** Events in their order; an array, or something that makes each where it is looked at. */
export type HistoryEvents = Iterable<HistoryEvent> & Pick<ReadonlyArray<HistoryEvent>, "length" | "at">

/** What changed since the last checkpoint. */
export interface Checkpoint {
  readonly meta: StateMeta
  /** The changed keys with their entries, null where deleted. */
  readonly rows: Iterable<readonly [Key, Entry | null]>
  /** New events, in order. Events at or below `meta.compactRevision` are removed by the checkpoint. */
  readonly history: HistoryEvents
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

/** A file of a snapshot could not be written, for lack of space perhaps. Nothing else is harmed: it is tried again. */
export class SnapshotUnwritten extends Schema.TaggedError<SnapshotUnwritten>()("SnapshotUnwritten", {
  message: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {}

/** A snapshot that was built: bytes that can be read at any place, as long as its scope lasts. */
export interface StoredSnapshot {
  readonly id: SnapshotId
  readonly header: SnapshotHeader
  /** The bytes from `offset` on, at most `length`; fewer only at the end. */
  readonly read: (offset: number, length: number) => Effect.Effect<Uint8Array, SnapshotUnwritten>
}

/** A snapshot on its way in; what was received of it goes with its scope. */
export interface IncomingSnapshot {
  /** Keeps the bytes that follow. */
  readonly append: (bytes: Uint8Array) => Effect.Effect<void, SnapshotUnwritten>
  /**
   * All bytes are there: checks them, and writes the rows beside the present state, which goes on to be read and
   * checkpointed meanwhile. May take minutes, and is not one commit.
   */
  readonly prepare: Effect.Effect<SnapshotHeader, MalformedSnapshot | SnapshotUnwritten | StorageFailed>
  /**
   * Makes the prepared state the present one, durable when this succeeds. No checkpoint may be under way, and the next
   * one goes on from here. While it runs reads still see the old state.
   */
  readonly install: Effect.Effect<StateMeta, StorageFailed>
}

/** Where a state stands that is exactly what a snapshot says. */
export const metaOfSnapshot = (header: SnapshotHeader): StateMeta => ({
  applied: header.last,
  revision: header.revision,
  compactRevision: header.compactRevision,
  historyBytes: header.historyBytes,
  historyCutBytes: header.historyCutBytes,
  keys: header.keys,
  membership: header.membership,
  ...(header.digest === null ? {} : { digest: header.digest })
})

/** What a snapshot says of a state that stands here. */
export const headerOfState = (meta: StateMeta, clusterId: ClusterId | null): SnapshotHeader => ({
  clusterId,
  last: meta.applied,
  membership: meta.membership,
  revision: meta.revision,
  compactRevision: meta.compactRevision,
  historyBytes: meta.historyBytes,
  historyCutBytes: meta.historyCutBytes,
  keys: meta.keys,
  digest: meta.digest ?? null
})

export class StateStore extends Context.Service<StateStore, {
  /** Reads where the state stands; null when nothing was ever checkpointed. */
  readonly recover: Effect.Effect<StateMeta | null, StorageFailed>
  readonly checkpoint: (checkpoint: Checkpoint) => Effect.Effect<void, StorageFailed>
  /** The entry as of the last checkpoint. Throws `StorageFailed`, which ends the node. */
  readonly getUnsafe: (key: Key) => Entry | undefined
  /**
   * The same without its value, which need not be read: damage of a value alone need not be found. Throws
   * `StorageFailed`, which ends the node.
   */
  readonly metadataUnsafe: (key: Key) => EntryMetadata | undefined
  /**
   * Entries in key order (or its reverse) as of the last checkpoint. The iterator must be drained or returned in the
   * turn in which it was made. Throws `StorageFailed`, which ends the node.
   */
  readonly scanUnsafe: (scan: Scan) => Iterable<Entry>
  /** The first event kept of the given revision, or of the next that has one. Throws `StorageFailed`. */
  readonly eventAtUnsafe: (revision: Revision) => HistoryEvent | undefined
  /** All rows of the sessions as of the last checkpoint, in order of their bytes. Throws `StorageFailed`. */
  readonly sessionsUnsafe: () => Iterable<Uint8Array>
  /**
   * The last entry of the snapshot that was installed last, null where none was. A state that stands there may be ahead
   * of its log: the log then begins anew after this entry.
   */
  readonly installed: Effect.Effect<LogId | null, StorageFailed>
  /**
   * Builds a snapshot of the last checkpoint, which takes a while and holds nothing up; null where there is none.
   * `StorageFailed`: the state is damaged.
   */
  readonly snapshot: (
    clusterId: ClusterId | null
  ) => Effect.Effect<StoredSnapshot | null, SnapshotUnwritten | StorageFailed, Scope.Scope>
  /** Begins to receive a snapshot; one at a time. */
  readonly receive: Effect.Effect<IncomingSnapshot, SnapshotUnwritten, Scope.Scope>
}>()("@distkv/core/StateStore") {}
