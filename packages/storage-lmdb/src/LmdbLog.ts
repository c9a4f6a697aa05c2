/** A log in an environment of LMDB: a row for each entry, and rows for base and hard state. */
import type { HardState, Identity, LogEntry, LogId, LogIndex, Term, TermRun } from "@distkv/core"
import { after, logStart } from "@distkv/core"
import type { Environment } from "./Environment.ts"
import { Batch } from "./Environment.ts"
import type { LogBackend, LogStep } from "./LogBackend.ts"
import { LogRows } from "./LogRows.ts"
import type { MetaRows } from "./MetaRows.ts"
import { baseRow, hardStateRow, ownerRow } from "./MetaRows.ts"

/** Entries that one commit of a compaction drops at most: more would hold up the writes beside it. */
const compactedAtOnce = 1000

export class LmdbLog implements LogBackend {
  hardState: HardState | null
  base: LogId
  last: LogIndex
  private readonly environment: Environment
  private readonly meta: MetaRows
  private readonly rows: LogRows

  /** Throws `StorageFailed` where the log is damaged. */
  constructor(environment: Environment, meta: MetaRows) {
    this.environment = environment
    this.meta = meta
    this.rows = new LogRows(environment)
    this.base = meta.getUnsafe(baseRow) ?? logStart
    this.last = this.rows.lastUnsafe(this.base.index)
    this.hardState = meta.getUnsafe(hardStateRow)
  }

  get isOwned(): boolean {
    return this.meta.getUnsafe(ownerRow) !== null
  }

  checkOwnerUnsafe(identity: Identity): void {
    this.meta.checkOwnerUnsafe(identity)
  }

  termUnsafe(index: LogIndex): Term | undefined {
    if (index === this.base.index) return this.base.term
    return index < this.base.index || index > this.last ? undefined : this.rows.entryUnsafe(index).term
  }

  get sizes(): undefined {
    return undefined
  }

  termsUnsafe(): ReadonlyArray<TermRun> {
    return this.rows.termsUnsafe(after(this.base.index), this.last)
  }

  async claim(identity: Identity, hardState: HardState): Promise<void> {
    const batch = new Batch()
    this.meta.claim(batch, identity)
    this.meta.put(batch, hardStateRow, hardState)
    await this.environment.commit(batch)
    this.hardState = hardState
  }

  async commit({ entries, hardState, reset }: LogStep): Promise<void> {
    const last = entries.at(-1)?.index ?? reset?.index ?? this.last
    const batch = new Batch()
    if (hardState !== null) this.meta.put(batch, hardStateRow, hardState)
    if (reset !== null) {
      this.rows.clear(batch)
      this.meta.put(batch, baseRow, reset)
    }
    this.rows.put(batch, entries)
    if (reset === null) this.rows.remove(batch, last + 1, this.last)
    await this.environment.commit(batch)
    if (reset !== null) this.base = reset
    this.last = last
    if (hardState !== null) this.hardState = hardState
  }

  /** A slice, so that writes are not held up by a long one. */
  async compact(to: LogIndex): Promise<void> {
    const index = Math.min(to, this.base.index + compactedAtOnce) as LogIndex
    const base = { term: this.rows.entryUnsafe(index).term, index }
    const batch = new Batch()
    this.rows.remove(batch, this.base.index + 1, index)
    this.meta.put(batch, baseRow, base)
    await this.environment.commit(batch)
    this.base = base
  }

  async read(from: LogIndex, to: LogIndex, maxBytes: number): Promise<ReadonlyArray<LogEntry>> {
    const entries: Array<LogEntry> = []
    const end = Math.min(to, this.last)
    let bytes = 0
    for (let index = Math.max(from, this.base.index + 1); index <= end; index++) {
      const entry = this.rows.entryUnsafe(index)
      bytes += entry.record.length
      if (entries.length > 0 && bytes > maxBytes) break
      entries.push(entry)
    }
    return entries
  }

  /** The file never shrinks. */
  bytes(): Promise<number> {
    return this.environment.fileBytes()
  }
}
