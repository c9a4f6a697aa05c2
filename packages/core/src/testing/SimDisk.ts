/**
 * What one node has on disk, through all its crashes and restarts: identity, hard state, log, checkpointed state.
 *
 * Everything here is durable: it survives a crash now. A log and a state device with queues of their own stand before
 * it, as two environments do in production. Invariants and the simulated network look at it directly.
 */
import { Effect } from "effect"
import type { Context } from "effect"
import { StorageFailed } from "../DistKvError.ts"
import { decodeCommand } from "../domain/CommandCodec.ts"
import type { NodeId } from "../domain/Identity.ts"
import type { Identity } from "../domain/Identity.ts"
import { commandKind, type LogEntry } from "../domain/LogEntry.ts"
import type { Membership } from "../domain/Membership.ts"
import { after, type LogId, type LogIndex, logStart, type Term } from "../domain/Position.ts"
import { readRecord } from "../domain/RecordCodec.ts"
import { flawOfWrite, type HardState, LogStore, type LogWrite, type RecoveredLog, type TermRun } from "../LogStore.ts"
import type { StateStore } from "../StateStore.ts"
import { SimDevice } from "./SimDevice.ts"
import type { SimHost } from "./SimHost.ts"
import { SimState, type StateCopy } from "./SimState.ts"
import type { SimWorld } from "./SimWorld.ts"
import type { SnapshotLedger } from "./SnapshotLedger.ts"

/** Told of every durable change, right after it. */
export interface DiskObserver {
  readonly hardState: (node: NodeId, before: HardState | null, after: HardState) => void
  /** Entries from `from` on were replaced by `entries`. */
  readonly written: (node: NodeId, from: LogIndex, removed: ReadonlyArray<LogEntry>) => void
  readonly snapshots: SnapshotLedger
  /** Something that a run should have shown. */
  readonly happened: (name: string) => void
  /** The node asked for something that no program should. */
  readonly broken: (invariant: string, message: string) => void
}

/** What was on a disk at one moment. */
export interface DiskCopy {
  readonly hardState: HardState | null
  readonly base: LogId
  readonly entries: ReadonlyArray<LogEntry>
  readonly last: LogIndex
  readonly state: StateCopy
}

export class SimDisk {
  readonly node: NodeId
  readonly logDevice: SimDevice
  readonly stateDevice: SimDevice
  readonly state: SimState
  identity: Identity | null = null
  hardState: HardState | null = null
  /** It was wiped or damaged: its node is out of the run, and may end itself. */
  isLost = false
  /** What a start reads and finds damaged; null where all is sound. */
  damaged: string | null = null
  /** Where a bit was flipped last; 0 where none was, or the record is gone. */
  private rottenAt = logStart.index
  /** Bytes left before the reserve is reached; null is unlimited. */
  spaceLeft: number | null = null
  /** The position before the first entry kept: everything up to there is in the checkpointed state. */
  base: LogId = logStart
  /** The durable log; entry i is at place i - base - 1. */
  private entries: Array<LogEntry> = []
  /** An older copy was put back. */
  isRolledBack = false
  /** What it held whenever it was wiped, or put back; the last first. */
  private readonly lost: Array<{ readonly base: LogIndex; readonly entries: ReadonlyArray<LogEntry> }> = []
  /** The last index once all writes that were asked for are done. */
  private issuedLast = logStart.index
  private readonly world: SimWorld
  private readonly observer: DiskObserver | null

  constructor(world: SimWorld, node: NodeId, observer: DiskObserver | null = null) {
    this.world = world
    this.node = node
    this.observer = observer
    const random = world.random.fork(`disk ${node}`)
    this.logDevice = new SimDevice(world, `${node} log`, random.fork("log"), observer)
    this.stateDevice = new SimDevice(world, `${node} state`, random.fork("state"), observer)
    this.state = new SimState(world, node, this.stateDevice, (index) => this.termAt(index), observer)
  }

  /** The last durable index; 0 when the log is empty. */
  get last(): LogIndex {
    return after(this.base.index, this.entries.length)
  }

  get term(): Term {
    return this.hardState?.term ?? (0 as Term)
  }

  get votedFor(): NodeId | null {
    return this.hardState?.votedFor ?? null
  }

  termAt(index: LogIndex): Term | undefined {
    return index === this.base.index ? this.base.term : this.entryAt(index)?.term
  }

  entryAt(index: LogIndex): LogEntry | undefined {
    return this.entries[index - this.base.index - 1]
  }

  /** The membership of the last config entry in the durable log, else of the state; null when there is none. */
  get membership(): Membership | null {
    for (let i = this.entries.length - 1; i >= 0; i--) {
      const entry = this.entries[i]!
      if (entry.kind !== commandKind.Configure) continue
      const command = decodeCommand(entry.record)
      if (command._tag === "Configure") return command.membership
    }
    return this.state.meta?.membership ?? null
  }

  /** Gives a process of `host` its two stores. */
  attach(
    host: SimHost
  ): { readonly log: LogStore["Service"]; readonly state: Context.Service.Shape<typeof StateStore> } {
    this.logDevice.attach(host)
    this.stateDevice.attach(host)
    this.state.attach()
    this.issuedLast = this.last
    return { log: this.logStore(), state: this.state.store() }
  }

  crash(): void {
    this.logDevice.crash()
    this.stateDevice.crash()
  }

  /** The term of the entry that it holds, or held before it was wiped or put back: what it acknowledged was true. */
  acknowledgedTermAt(index: LogIndex): Term | undefined {
    const held = this.lost.find(({ base, entries }) => entries[index - base - 1] !== undefined)
    return this.termAt(index) ?? held?.entries[index - held.base - 1]?.term
  }

  private lose(): void {
    this.lost.unshift({ base: this.base.index, entries: this.entries })
  }

  /** Everything is gone, as after the disk was replaced. */
  wipe(): void {
    this.lose()
    this.isRolledBack = false
    this.identity = null
    this.hardState = null
    this.base = logStart
    this.entries = []
    this.rottenAt = logStart.index
    this.damaged = null
    this.state.wipe()
  }

  /** All that is on it now. */
  copy(): DiskCopy {
    const { base, entries, hardState, last } = this
    return { base, hardState, entries: [...entries], last, state: this.state.copy() }
  }

  /** An older copy of it is put back; its node is out of the run from now on. */
  restore(copy: DiskCopy): void {
    this.lose()
    this.hardState = copy.hardState
    this.base = copy.base
    this.entries = [...copy.entries]
    this.state.restore(copy.state)
    this.isLost = true
    this.isRolledBack = true
  }

  /** Puts a log and a hard state in place, as if they had been written long ago. */
  prepare(identity: Identity, hardState: HardState, entries: ReadonlyArray<LogEntry>): void {
    this.identity = identity
    this.hardState = hardState
    this.base = logStart
    this.entries = entries.map(copyEntry)
  }

  /** Whether a record of its log is damaged: no process starts on it. */
  get isRotten(): boolean {
    return this.rottenAt !== logStart.index
  }

  /** Flips one bit in the durable record of this index. */
  flipBit(index: LogIndex, bit: number): void {
    const entry = this.entryAt(index)
    if (entry === undefined) return
    this.rottenAt = index
    const at = (bit >> 3) % entry.record.length
    entry.record[at] = (entry.record[at] ?? 0) ^ (1 << (bit & 7))
  }

  private logStore(): LogStore["Service"] {
    return LogStore.of({
      recover: this.logDevice.read(() => this.recovered()),
      saveIdentity: (identity) =>
        this.logDevice.write("log", () => {
          this.hardState ??= { term: 0 as Term, votedFor: null }
          this.identity = identity
        }, "identity"),
      write: (write) => {
        const copy: LogWrite = { ...write, entries: write.entries.map(copyEntry) }
        const first = copy.entries[0]?.index ?? this.issuedLast + 1
        const moment = first <= this.issuedLast ? "truncation" : null
        this.issuedLast = copy.entries.at(-1)?.index ?? copy.reset?.index ?? this.issuedLast
        return this.logDevice.write(copy.hardState === null ? "log" : "vote", () => this.apply(copy), moment)
      },
      compact: (to) => this.logDevice.write("log", () => this.compact(to), "compaction"),
      read: (from, to, maxBytes) => this.logDevice.read(() => this.readEntries(from, to, maxBytes)),
      spaceLeft: Effect.sync(() => this.spaceLeft)
    })
  }

  private compact(to: LogIndex): void {
    const term = this.termAt(to)
    const stands = this.state.meta?.applied.index ?? 0
    if (to <= this.base.index) return
    if (term === undefined || to > stands) {
      const message =
        `${this.node} drops its log up to ${to}, which ends at ${this.last}; its state stands at ${stands}`
      this.observer?.broken("I9", message)
      throw new StorageFailed({ message })
    }
    this.entries.splice(0, to - this.base.index)
    this.base = { term, index: to }
    if (this.rottenAt <= to) this.heal()
    this.world.timeline.mix(to)
  }

  /** A damaged record that is dropped or replaced harms nobody any more. */
  private heal(): void {
    if (this.isRolledBack || !this.isRotten) return
    this.rottenAt = logStart.index
    this.isLost = false
  }

  private reset(base: LogId): void {
    const { applied } = this.state.meta ?? { applied: logStart }
    // The state may be that of a later snapshot by now, whose own new beginning follows: a start in between mends it.
    const isLater = (this.state.installed?.index ?? 0) > base.index && applied.index > base.index
    if (!isLater && (applied.index !== base.index || applied.term !== base.term)) {
      const message =
        `${this.node} begins its log anew after ${base.term}.${base.index}, where its state does not stand`
      this.observer?.broken("I9", message)
      throw new StorageFailed({ message })
    }
    const removed = this.entries
    this.entries = []
    const from = after(this.base.index)
    this.base = base
    this.heal()
    this.observer?.written(this.node, from, removed)
  }

  private apply(write: LogWrite): void {
    const flaw = flawOfWrite(write, after(this.base.index), this.last)
    if (flaw !== null) {
      this.observer?.broken("R12", `${this.node}: ${flaw}: a hole`)
      throw new StorageFailed({ message: flaw })
    }
    if (write.reset !== undefined) this.reset(write.reset)
    const before = this.hardState
    if (write.hardState !== null) {
      this.hardState = write.hardState
      this.world.timeline.mix(write.hardState.term)
    }
    const first = write.entries[0]
    let removed: ReadonlyArray<LogEntry> = []
    if (first !== undefined) {
      removed = this.entries.splice(first.index - this.base.index - 1)
      if (first.index <= this.rottenAt) this.heal()
      for (const entry of write.entries) {
        this.entries.push(entry)
        this.world.timeline.mix(entry.term * 0x10_0000 + entry.index)
      }
    }
    if (write.hardState !== null) this.observer?.hardState(this.node, before, write.hardState)
    if (first !== undefined) this.observer?.written(this.node, first.index, removed)
  }

  private recovered(): RecoveredLog {
    if (this.damaged !== null) {
      this.observer?.happened("start refused")
      throw new StorageFailed({ message: `${this.node}: the ${this.damaged} is damaged: its checksum is wrong` })
    }
    const terms: Array<TermRun> = []
    for (const entry of this.entries) {
      const checked = readRecord(entry.record)
      if (terms.at(-1)?.term !== checked.term) terms.push({ term: checked.term, first: checked.index })
    }
    return {
      identity: this.identity,
      hardState: this.hardState,
      base: this.base,
      first: after(this.base.index),
      last: this.last,
      terms
    }
  }

  private readEntries(from: LogIndex, to: LogIndex, maxBytes: number): ReadonlyArray<LogEntry> {
    const result: Array<LogEntry> = []
    let bytes = 0
    for (let index = Math.max(from, this.base.index + 1); index <= Math.min(to, this.last); index++) {
      const entry = this.entryAt(index as LogIndex)
      if (entry === undefined) throw new StorageFailed({ message: `${this.node}: there is no entry ${index}` })
      bytes += entry.record.length
      if (result.length > 0 && bytes > maxBytes) break
      result.push(copyEntry(readRecord(entry.record)))
    }
    return result
  }
}

/** Storage holds bytes of its own: what the program does with its buffers later cannot reach the disk. */
const copyEntry = (entry: LogEntry): LogEntry => ({ ...entry, record: Uint8Array.from(entry.record) })
