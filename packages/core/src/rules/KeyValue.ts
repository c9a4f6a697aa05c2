/**
 * Applying commands: what the log makes of the store (replicated state machines, paper §2).
 *
 * Invariants:
 * - the result depends on the commands alone, so it is equal on every node that applied the same prefix of the log;
 * - the revision rises by exactly 1 for a command that puts or deletes at least one entry, else it stays: for failed
 *   guards, deletes of nothing, no-ops, config entries and cuts of the history;
 * - every change of a key has exactly one event, and the events of one command share its revision;
 * - no event holds the value that it replaced, so what a command leaves behind is never larger than the command and
 *   the keys that it names;
 * - `createRevision <= modRevision <= revision`, `version` counts the changes since the key was created;
 * - a command that is refused changes nothing;
 * - `compactRevision` never falls and never passes the revision.
 */
import { utf8Length } from "../domain/Bytes.ts"
import type { Command, CommandOf, KeyRange } from "../domain/Command.ts"
import { maxDeleteRange } from "../domain/Command.ts"
import type { Entry, EntryMetadata, Key } from "../domain/Entry.ts"
import type { Outcome } from "../domain/Outcome.ts"
import type { Revision } from "../domain/Position.ts"
import type { HistoryEvent, PreviousEntry, Scan, StateMeta } from "../StateStore.ts"
import { historyBytesAt } from "./History.ts"

/** What a command may look at: the state that all commands before it have made. */
export interface KeyValueView {
  readonly get: (key: Key) => Entry | undefined
  /** The same without its value; to be looked at before anything changes. */
  readonly metadata: (key: Key) => EntryMetadata | undefined
  /** Entries in key order; drained or returned before `apply` returns. */
  readonly scan: (scan: Scan) => Iterable<Entry>
  /** The first event kept of the given revision, or of the next that has one. */
  readonly eventAt: (revision: Revision) => HistoryEvent | undefined
}

type Counted = "revision" | "compactRevision" | "historyBytes" | "historyCutBytes" | "keys"

/** The part of `StateMeta` that commands advance; `apply` writes to it in place. */
export type StoreCounters = { -readonly [Name in Counted]: StateMeta[Name] }

/** The counters of the empty store. */
export const emptyCounters = (): StoreCounters => ({
  revision: 0 as Revision,
  compactRevision: 0 as Revision,
  historyBytes: 0,
  historyCutBytes: 0,
  keys: 0
})

/** What a command did. `events` has one event per changed key, each key once: the rows to write are in it too. */
export interface Applied {
  readonly outcome: Outcome
  readonly events: ReadonlyArray<HistoryEvent>
}

/**
 * Applies one committed command: reads through `view`, advances `counters` in place, and returns what changed. The
 * caller makes the events' entries visible in its view before it applies the next command.
 *
 * Values in the result are the command's own, hence views of its log record. A missing answer from the view must be
 * the truth: a view that fails throws, and the node ends.
 */
export const apply = (view: KeyValueView, counters: StoreCounters, command: Command): Applied => {
  switch (command._tag) {
    case "Put":
      return applyPut(view, counters, command)
    case "Delete":
      return applyDelete(view, counters, command)
    case "DeleteRange":
      return applyDeleteRange(view, counters, command.range)
    case "Txn":
      return applyTxn(view, counters, command)
    case "CutHistory":
      return applyCut(view, counters, command.revision)
    // Membership and sessions are not the store's.
    case "NoOp":
    case "Configure":
    case "OpenSession":
    case "Seal":
      return nothing({ _tag: "Done", revision: counters.revision })
  }
}

/** A scan of the keys that a range means, without values. An empty or inverted range means none. */
export const rangeOf = (range: KeyRange): Scan => {
  switch (range._tag) {
    case "Prefix":
      return { ...allKeys, prefix: range.prefix }
    case "Between":
      return { ...allKeys, from: range.from, to: range.to }
    case "All":
      return allKeys
  }
}

const allKeys: Scan = { from: null, to: null, prefix: null, reverse: false, keysOnly: true }

const applyPut = (view: KeyValueView, counters: StoreCounters, put: CommandOf<"Put">): Applied => {
  const current = view.metadata(put.key) ?? null
  if (!holds(put.ifRevision, current)) return refused(view, counters, put.key)
  const previous = put.previous && current !== null ? view.get(put.key) ?? null : null
  const revision = nextRevision(counters)
  const event = putEvent(counters, revision, 0, put.key, put.value, put.leaseId, current)
  return { outcome: { _tag: "Put", revision, created: current === null, previous }, events: [event] }
}

const applyDelete = (view: KeyValueView, counters: StoreCounters, command: CommandOf<"Delete">): Applied => {
  const current = view.metadata(command.key) ?? null
  if (!holds(command.ifRevision, current)) return refused(view, counters, command.key)
  if (current === null) return nothing({ _tag: "Deleted", revision: counters.revision, deleted: 0 })
  const revision = nextRevision(counters)
  return { outcome: { _tag: "Deleted", revision, deleted: 1 }, events: [deleteEvent(counters, revision, 0, current)] }
}

const applyDeleteRange = (view: KeyValueView, counters: StoreCounters, range: KeyRange): Applied => {
  const doomed: Array<Entry> = []
  for (const entry of view.scan(rangeOf(range))) {
    if (doomed.length === maxDeleteRange) {
      return nothing({ _tag: "TooManyEntries", revision: counters.revision, limit: maxDeleteRange })
    }
    doomed.push(entry)
  }
  if (doomed.length === 0) return nothing({ _tag: "Deleted", revision: counters.revision, deleted: 0 })
  const revision = nextRevision(counters)
  const events = doomed.map((entry, position) => deleteEvent(counters, revision, position, entry))
  return { outcome: { _tag: "Deleted", revision, deleted: events.length }, events }
}

const applyTxn = (view: KeyValueView, counters: StoreCounters, { puts }: CommandOf<"Txn">): Applied => {
  if (puts.length === 0) return nothing({ _tag: "Done", revision: counters.revision })
  const revision = nextRevision(counters)
  const events = puts.map(({ key, value }, position) =>
    putEvent(counters, revision, position, key, value, null, view.metadata(key) ?? null)
  )
  return { outcome: { _tag: "Done", revision }, events }
}

const applyCut = (view: KeyValueView, counters: StoreCounters, wanted: Revision): Applied => {
  const cut = Math.min(wanted, counters.revision) as Revision
  if (cut > counters.compactRevision) {
    counters.historyCutBytes = historyBytesAt(view.eventAt, counters.historyBytes, cut)
    counters.compactRevision = cut
  }
  return nothing({ _tag: "Done", revision: counters.revision })
}

/** Whether a guard holds: null always, 0 for an absent key, n for an entry that was last changed at n. */
const holds = (ifRevision: Revision | null, current: EntryMetadata | null): boolean =>
  ifRevision === null || ifRevision === (current === null ? 0 : current.modRevision)

const noEvents: ReadonlyArray<HistoryEvent> = []

const nothing = (outcome: Outcome): Applied => ({ outcome, events: noEvents })

const refused = (view: KeyValueView, counters: StoreCounters, key: Key): Applied =>
  nothing({ _tag: "CompareFailed", revision: counters.revision, current: view.get(key) ?? null })

const nextRevision = (counters: StoreCounters): Revision => {
  counters.revision = (counters.revision + 1) as Revision
  return counters.revision
}

const putEvent = (
  counters: StoreCounters,
  revision: Revision,
  position: number,
  named: Key,
  value: Uint8Array,
  leaseId: Revision | null,
  previous: EntryMetadata | null
): HistoryEvent => {
  // The string that is there already lets the new one go.
  const key = previous === null ? named : previous.key
  if (previous === null) counters.keys += 1
  counters.historyBytes += utf8Length(key) + value.length
  const entry: Entry = {
    key,
    value,
    createRevision: previous === null ? revision : previous.createRevision,
    modRevision: revision,
    version: previous === null ? 1 : previous.version + 1,
    leaseId
  }
  return {
    revision,
    position,
    key,
    entry,
    previous: previous === null ? null : previousOf(previous),
    historyBytes: counters.historyBytes
  }
}

const deleteEvent = (
  counters: StoreCounters,
  revision: Revision,
  position: number,
  deleted: EntryMetadata
): HistoryEvent => {
  const { key } = deleted
  counters.keys -= 1
  counters.historyBytes += utf8Length(key)
  const previous = previousOf(deleted)
  return { revision, position, key, entry: null, previous, historyBytes: counters.historyBytes }
}

const previousOf = ({ createRevision, leaseId, modRevision, version }: EntryMetadata): PreviousEntry => ({
  createRevision,
  modRevision,
  version,
  leaseId
})
