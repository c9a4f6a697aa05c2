/**
 * The log in memory: every law of the port except that it outlives the process.
 *
 * `MemoryLog` is the plain data behind it. It survives the service, so that a test can open the same log again.
 */
import { Effect, Layer } from "effect"
import { StorageFailed } from "./DistKvError.ts"
import type { Identity } from "./domain/Identity.ts"
import type { LogEntry } from "./domain/LogEntry.ts"
import { after, type LogId, type LogIndex, logStart } from "./domain/Position.ts"
import { entryAt, flawOfRecord } from "./domain/RecordCodec.ts"
import type { HardState, LogWrite, RecoveredLog, TermRun } from "./LogStore.ts"
import { flawOfWrite, initialHardState, LogStore } from "./LogStore.ts"

/** An identity, a hard state and the records of a log. `…Unsafe` methods throw `StorageFailed`. */
export class MemoryLog {
  private identity: Identity | null = null
  private hardState: HardState | null = null
  private base: LogId = logStart
  /** The record of index i is at i - base - 1. */
  private records: Array<Uint8Array> = []

  get last(): LogIndex {
    return after(this.base.index, this.records.length)
  }

  recoverUnsafe(): RecoveredLog {
    const terms: Array<TermRun> = []
    const { base } = this
    for (let index = base.index + 1; index <= this.last; index++) {
      const { term } = this.entryUnsafe(index)
      const latest = terms.at(-1)
      if (term < (latest ?? base).term) throw damaged(index, `its term ${term} is below the one before`)
      if (latest?.term !== term) terms.push({ term, first: index as LogIndex })
    }
    const { hardState, identity, last } = this
    return { identity, hardState, base, first: after(base.index), last, terms }
  }

  saveIdentity(identity: Identity): void {
    this.hardState ??= initialHardState
    this.identity = identity
  }

  writeUnsafe(write: LogWrite): void {
    const flaw = flawOfWrite(write, after(this.base.index), this.last)
    if (flaw !== null) throw new StorageFailed({ message: `${flaw}; nothing was written` })
    if (write.reset !== undefined) {
      this.base = write.reset
      this.records = []
    }
    if (write.hardState !== null) this.hardState = write.hardState
    const first = write.entries[0]
    if (first === undefined) return
    this.records.length = first.index - 1 - this.base.index
    for (const entry of write.entries) this.records.push(entry.record)
  }

  compactUnsafe(to: LogIndex): void {
    if (to > this.last) throw new StorageFailed({ message: `the log ends at ${this.last} and has no entry ${to}` })
    if (to <= this.base.index) return
    const { term } = this.entryUnsafe(to)
    this.records.splice(0, to - this.base.index)
    this.base = { term, index: to }
  }

  readUnsafe(from: LogIndex, to: LogIndex, maxBytes: number): ReadonlyArray<LogEntry> {
    const entries: Array<LogEntry> = []
    let bytes = 0
    for (let index = Math.max(from, this.base.index + 1); index <= Math.min(to, this.last); index++) {
      const entry = this.entryUnsafe(index)
      bytes += entry.record.length
      if (entries.length > 0 && bytes > maxBytes) break
      entries.push(entry)
    }
    return entries
  }

  /** Replaces the record at `index` with other bytes, as a failing disk might. */
  damage(index: LogIndex, change: (record: Uint8Array) => Uint8Array): void {
    const at = index - this.base.index - 1
    this.records[at] = change(this.records[at]!)
  }

  private entryUnsafe(index: number): LogEntry {
    const record = this.records[index - this.base.index - 1]!
    const flaw = flawOfRecord(record)
    if (flaw !== null) throw damaged(index, flaw)
    const entry = entryAt(record)
    if (entry.index !== index) throw damaged(index, `it holds the entry of index ${entry.index}`)
    return entry
  }
}

const damaged = (index: number, why: string) =>
  new StorageFailed({ message: `the log is damaged at index ${index}: ${why}` })

/** Runs code that throws nothing but `StorageFailed`; anything else is a mistake of this file, and stays a defect. */
const attempt = <A>(run: () => A): Effect.Effect<A, StorageFailed> =>
  Effect.try({ try: run, catch: (cause) => cause }).pipe(
    Effect.catch((cause) => cause instanceof StorageFailed ? Effect.fail(cause) : Effect.die(cause))
  )

/** The port over a log that the caller keeps. */
export const make = (log: MemoryLog): LogStore["Service"] =>
  LogStore.of({
    recover: attempt(() => log.recoverUnsafe()),
    saveIdentity: (identity) => Effect.sync(() => log.saveIdentity(identity)),
    write: (write) => attempt(() => log.writeUnsafe(write)),
    read: (from, to, maxBytes) => attempt(() => log.readUnsafe(from, to, maxBytes)),
    compact: (to) => attempt(() => log.compactUnsafe(to)),
    spaceLeft: Effect.succeed(null)
  })

/** A log of its own, gone with the Layer. */
export const layer: Layer.Layer<LogStore> = Layer.sync(LogStore, () => make(new MemoryLog()))
