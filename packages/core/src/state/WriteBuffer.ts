/**
 * Log writes that belong into one durable step, merged in their order.
 *
 * Entries that a later write replaces are left out; what remains is contiguous, and replaces whatever the store has at
 * and after its first index.
 */
import type { LogEntry } from "../domain/LogEntry.ts"
import type { LogId } from "../domain/Position.ts"
import type { HardState, LogWrite } from "../LogStore.ts"

export class WriteBuffer {
  private hardState: HardState | null = null
  private entries: Array<LogEntry> = []
  private base: LogId | undefined

  get isEmpty(): boolean {
    return this.hardState === null && this.entries.length === 0 && this.base === undefined
  }

  setHardState(hardState: HardState): void {
    this.hardState = hardState
  }

  /** Adds an entry, which replaces every waiting entry at and after its index. */
  push(entry: LogEntry): void {
    const first = this.entries[0]
    if (first !== undefined) {
      const keep = entry.index - first.index
      if (keep <= 0) this.entries = []
      else if (keep < this.entries.length) this.entries.length = keep
    }
    this.entries.push(entry)
  }

  /** The log begins anew after a position: no entry that waits is of it. */
  reset(base: LogId): void {
    this.entries = []
    this.base = base
  }

  add(write: LogWrite): void {
    if (write.reset !== undefined) this.reset(write.reset)
    if (write.hardState !== null) this.hardState = write.hardState
    for (const entry of write.entries) this.push(entry)
  }

  /** Takes all that waits. */
  take(): LogWrite {
    const { base: reset, entries, hardState } = this
    const write = reset === undefined ? { hardState, entries } : { hardState, entries, reset }
    this.base = undefined
    this.hardState = null
    this.entries = []
    return write
  }
}
