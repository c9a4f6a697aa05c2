/**
 * The replicated state machine of one node: the store as of the last applied entry.
 *
 * Applying changes an overlay over the state store and is synchronous; a checkpoint freezes the overlay, writes it in
 * one step, and drops it. The log holds everything since the last checkpoint, so applying needs no disk of its own.
 *
 * Invariant: entries are applied in the order of their indexes, each exactly once in the life of the process, and every
 * read sees all of them.
 */
import { StorageFailed } from "../DistKvError.ts"
import type { Command, SessionOwner } from "../domain/Command.ts"
import { decodeCommand } from "../domain/CommandCodec.ts"
import type { Entry, EntryMetadata, Key } from "../domain/Entry.ts"
import type { LogEntry } from "../domain/LogEntry.ts"
import type { Membership } from "../domain/Membership.ts"
import { emptyMembership, findMember, hasFeature } from "../domain/Membership.ts"
import { resultKind } from "../domain/MessageLayout.ts"
import type { Outcome } from "../domain/Outcome.ts"
import type { LogId, LogIndex, Revision, SessionId } from "../domain/Position.ts"
import { logStart } from "../domain/Position.ts"
import { checksumOf, sessionOf } from "../domain/RecordCodec.ts"
import { note, recall } from "../rules/ExactlyOnce.ts"
import { apply, emptyCounters, type KeyValueView, type StoreCounters } from "../rules/KeyValue.ts"
import { Sessions } from "../rules/Sessions.ts"
import type { Checkpoint, HistoryEvent, Scan, StateMeta, StateStore } from "../StateStore.ts"
import { Overlay } from "./Overlay.ts"
import { StateDigest } from "./StateDigest.ts"

export class StateMachine implements KeyValueView {
  readonly counters: StoreCounters = emptyCounters()
  readonly digest = new StateDigest()
  private readonly store: StateStore["Service"]
  private readonly overlay: Overlay
  private appliedTerm = logStart.term
  private appliedIndex = logStart.index
  private committedMembership = emptyMembership
  private table = new Sessions()
  private frozenIndex = logStart.index
  private savedIndex = logStart.index
  private replacing = false

  /** Begins where the last checkpoint stands; null where there is none. Throws `StorageFailed`. */
  constructor(store: StateStore["Service"], meta: StateMeta | null) {
    this.store = store
    this.overlay = new Overlay(store)
    if (meta !== null) this.begin(meta)
  }

  /** The sessions as of the last applied entry. */
  get sessions(): Sessions {
    return this.table
  }

  private begin(meta: StateMeta): void {
    const { compactRevision, historyBytes, historyCutBytes, keys, revision } = meta
    Object.assign(this.counters, { revision, compactRevision, historyBytes, historyCutBytes, keys })
    this.appliedTerm = meta.applied.term
    this.appliedIndex = meta.applied.index
    this.frozenIndex = meta.applied.index
    this.savedIndex = meta.applied.index
    this.committedMembership = meta.membership
    this.digest.resume(meta.digest, meta.applied.index)
    this.table = new Sessions()
    const flaw = this.table.load(this.store.sessionsUnsafe())
    if (flaw !== null) throw new StorageFailed({ message: `a row of the sessions is damaged: ${flaw}` })
  }

  // Made where it is asked for: kept, it would be a new object for every entry.
  private get position(): LogId {
    return { term: this.appliedTerm, index: this.appliedIndex }
  }

  get applied(): LogIndex {
    return this.appliedIndex
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
    return this.overlay.bytes
  }

  /** Whether a checkpoint is under way. */
  get isFrozen(): boolean {
    return this.overlay.isFrozen
  }

  /** Whether something was applied since the last checkpoint was frozen. */
  get isDirty(): boolean {
    return this.appliedIndex > this.frozenIndex
  }

  /** The index of the last checkpoint that has succeeded. */
  get checkpointed(): LogIndex {
    return this.savedIndex
  }

  /** Whether a snapshot takes the place of the state just now: nothing is applied and no checkpoint begun meanwhile. */
  get isReplacing(): boolean {
    return this.replacing
  }

  /** Applies the entry after the last applied one. */
  apply(entry: LogEntry): Outcome {
    if (entry.index !== this.appliedIndex + 1) {
      throw new Error(`entry ${entry.index} was to be applied after ${this.appliedIndex}`)
    }
    const command = decodeCommand(entry.record)
    const session = sessionOf(entry.record)
    const outcome = session === 0 ? this.execute(command, entry.index) : this.executeOnce(session, command, entry)
    this.appliedTerm = entry.term
    this.appliedIndex = entry.index
    const answered = session === 0 ? 0 : resultKind[outcome._tag]
    this.digest.applied(entry.index, checksumOf(entry.record), this.counters, answered)
    return outcome
  }

  private execute(command: Command, index: LogIndex): Outcome {
    if (command._tag === "OpenSession") return this.openSession(command.owner, index)
    const { events, outcome } = apply(this, this.counters, command)
    for (let i = 0; i < events.length; i++) {
      this.overlay.add(events[i]!)
      this.digest.changed(events[i]!)
    }
    if (command._tag === "Configure") {
      if (hasFeature(command.membership, "digests")) this.digest.begin(index)
      this.committedMembership = command.membership
      this.sessions.keepMembers((id) => findMember(command.membership, id) !== undefined)
    }
    return outcome
  }

  /** A copy of a command that its session knows changes nothing and answers what the first one did (thesis §6.3). */
  private executeOnce(session: SessionId, command: Command, { index, record }: LogEntry): Outcome {
    const { compactRevision, revision } = this.counters
    const attempt = { session, index, record, command, revision, compactRevision }
    const known = recall(this.sessions, this, attempt)
    if (known !== null) return known
    const outcome = this.execute(command, index)
    note(this.sessions, attempt, outcome)
    return outcome
  }

  private openSession(owner: SessionOwner | null, index: LogIndex): Outcome {
    const { revision } = this.counters
    if (owner !== null && findMember(this.committedMembership, owner.member) === undefined) {
      return { _tag: "SessionExpired", revision }
    }
    return { _tag: "SessionOpened", revision, session: this.sessions.open(index, owner) }
  }

  readonly metadata = (key: Key): EntryMetadata | undefined => this.overlay.metadata(key)

  readonly get = (key: Key): Entry | undefined => this.overlay.get(key)

  readonly scan = (scan: Scan): Iterable<Entry> => this.overlay.scan(scan)

  readonly eventAt = (revision: Revision): HistoryEvent | undefined => this.overlay.eventAt(revision)

  /** Takes what has changed since the last call for a checkpoint; reads go on to see it. */
  freeze(): Checkpoint {
    const changes = this.overlay.freeze()
    this.frozenIndex = this.appliedIndex
    return {
      meta: {
        ...this.counters,
        applied: this.position,
        membership: this.committedMembership,
        ...(this.digest.current !== undefined && { digest: this.digest.current })
      },
      ...changes,
      sessions: this.sessions.takeRows()
    }
  }

  /** The checkpoint has succeeded: the state store shows what the frozen overlay did. */
  thaw(): void {
    this.overlay.thaw()
    this.savedIndex = this.frozenIndex
  }

  /** A snapshot is about to take the place of the state in the store; until it has nothing else happens. */
  replace(): void {
    if (this.isFrozen) throw new Error("a checkpoint is under way")
    this.replacing = true
  }

  /** The state store shows what a snapshot holds: this is the state now, and what was applied here is forgotten. */
  replaced(meta: StateMeta): void {
    if (!this.replacing || meta.applied.index < this.appliedIndex) {
      throw new Error(`a snapshot of ${meta.applied.index} was to replace a state of ${this.appliedIndex}`)
    }
    this.replacing = false
    this.overlay.clear()
    this.begin(meta)
  }
}
