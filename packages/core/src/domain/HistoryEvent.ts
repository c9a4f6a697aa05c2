/** What is remembered of a change, for watchers, until the history is cut. */
import type { Entry, Key } from "./Entry.ts"
import type { Revision } from "./Position.ts"

/**
 * What an event says of the entry that it replaced: all but the value, so that a range delete weighs as much as its
 * keys and not as much as everything that it removes. The value is in the event of this key at `modRevision`, as long
 * as the history holds that; when it was cut, the value is gone.
 */
export type PreviousEntry = Pick<Entry, "createRevision" | "modRevision" | "version" | "leaseId">

/** A change of one key, kept for watchers until the history is cut. `entry` is null when the key was deleted. */
export interface HistoryEvent {
  readonly revision: Revision
  /** Place among the events of the revision, from 0. */
  readonly position: number
  readonly key: Key
  readonly entry: Entry | null
  /** The entry before the change without its value; null when the key was absent. */
  readonly previous: PreviousEntry | null
  /** `StateMeta.historyBytes` once this event was written, itself included. */
  readonly historyBytes: number
}
