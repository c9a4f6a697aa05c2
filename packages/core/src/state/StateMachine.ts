/**
 * The replicated state machine of one node: the store as of the last applied entry.
 *
 * Applying changes an overlay over the state store and is synchronous; a checkpoint freezes the overlay, writes it in
 * one step, and drops it. The log holds everything since the last checkpoint, so applying needs no disk of its own.
 *
 * Invariant: entries are applied in the order of their indexes, each exactly once in the life of the process, and every
 * read sees all of them.
 */
import { decodeCommand } from "../domain/CommandCodec.ts"
import type { Entry, Key } from "../domain/Entry.ts"
import type { LogEntry } from "../domain/LogEntry.ts"
import type { Membership } from "../domain/Membership.ts"
import { emptyMembership } from "../domain/Membership.ts"
import type { Outcome } from "../domain/Outcome.ts"
import type { LogId, LogIndex, Revision } from "../domain/Position.ts"
import { logStart } from "../domain/Position.ts"
import { apply, emptyCounters, type KeyValueView, type StoreCounters } from "../rules/KeyValue.ts"
import type { Checkpoint, HistoryEvent, Scan, StateMeta, StateStore } from "../StateStore.ts"
import { overlaid, Overlay } from "./Overlay.ts"

export class StateMachine implements KeyValueView {
  readonly counters: StoreCounters
  private readonly store: StateStore["Service"]
  private active = new Overlay()
  private frozen: Overlay | null = null
  private position: LogId
  private committedMembership: Membership
  private checkpointed: LogIndex

  /** Begins where the last checkpoint stands; null where there is none. */
  constructor(store: StateStore["Service"], meta: StateMeta | null) {
    this.store = store
    this.counters = meta === null ? emptyCounters() : {
      revision: meta.revision,
      compactRevision: meta.compactRevision,
      historyBytes: meta.historyBytes,
      historyCutBytes: meta.historyCutBytes,
      keys: meta.keys
    }
    this.position = meta?.applied ?? logStart
    this.checkpointed = this.position.index
    this.committedMembership = meta?.membership ?? emptyMembership
  }

  get applied(): LogIndex {
    return this.position.index
  }

  get revision(): Revision {
    return this.counters.revision
  }

  /** The membership of the last config entry applied. */
  get membership(): Membership {
    return this.committedMembership
  }

  /** Bytes of changes that no checkpoint holds yet. */
  get dirtyBytes(): number {
    return this.active.bytes + (this.frozen?.bytes ?? 0)
  }

  /** Whether a checkpoint is under way. */
  get isFrozen(): boolean {
    return this.frozen !== null
  }

  /** Whether something was applied since the last checkpoint was frozen. */
  get isDirty(): boolean {
    return this.position.index > this.checkpointed
  }

  /** Applies the entry after the last applied one. */
  apply(entry: LogEntry): Outcome {
    if (entry.index !== this.position.index + 1) {
      throw new Error(`entry ${entry.index} was to be applied after ${this.position.index}`)
    }
    const command = decodeCommand(entry.record)
    const { events, outcome } = apply(this, this.counters, command)
    for (let i = 0; i < events.length; i++) this.active.add(events[i]!)
    if (command._tag === "Configure") this.committedMembership = command.membership
    this.position = { term: entry.term, index: entry.index }
    return outcome
  }

  readonly get = (key: Key): Entry | undefined => {
    let changed = this.active.rows.get(key)
    if (changed === undefined) changed = this.frozen?.rows.get(key)
    return changed === undefined ? this.store.getUnsafe(key) : changed ?? undefined
  }

  readonly scan = (scan: Scan): Iterable<Entry> => {
    const below = this.store.scanUnsafe(scan)
    return overlaid(this.active, scan, this.frozen === null ? below : overlaid(this.frozen, scan, below))
  }

  readonly eventAt = (revision: Revision): HistoryEvent | undefined => {
    // Older events lie in the store, newer ones in the frozen overlay, the newest in the active one.
    const stored = this.frozen === null ? this.active.history[0] : this.frozen.history[0] ?? this.active.history[0]
    if (stored === undefined || revision < stored.revision) {
      const event = this.store.eventAtUnsafe(revision)
      if (event !== undefined) return event
    }
    return this.frozen?.eventAt(revision) ?? this.active.eventAt(revision)
  }

  /** Takes what has changed since the last call for a checkpoint; reads go on to see it. */
  freeze(): Checkpoint {
    if (this.frozen !== null) throw new Error("a checkpoint is under way")
    const overlay = this.active
    this.frozen = overlay
    this.active = new Overlay()
    this.checkpointed = this.position.index
    return {
      meta: { ...this.counters, applied: this.position, membership: this.committedMembership },
      rows: overlay.rows,
      history: overlay.history
    }
  }

  /** The checkpoint has succeeded: the state store shows what the frozen overlay did. */
  thaw(): void {
    this.frozen = null
  }
}
