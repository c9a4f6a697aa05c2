/**
 * What a node knows of its disk: its writes are numbered as they are handed to the committer, and become durable in
 * that order.
 *
 * Invariant: `index` never claims more than the disk holds, in whatever order truncations and completions come.
 */
import type { NodeId } from "../domain/Identity.ts"
import type { LogEntry } from "../domain/LogEntry.ts"
import type { LogId, LogIndex, Term } from "../domain/Position.ts"
import type { HardState, LogWrite } from "../LogStore.ts"
import type { Persisted } from "./NodeMessage.ts"
import { WriteBuffer } from "./WriteBuffer.ts"

/** What is on disk for certain. */
export interface Durable {
  readonly term: Term
  readonly votedFor: NodeId | null
  readonly index: LogIndex
}

export class Durability {
  durable: Durable
  private readonly buffer = new WriteBuffer()
  private submitted = 0
  private persistedNumber = 0
  private hardStateNumber = 0
  private truncations: Array<{ readonly number: number; readonly from: LogIndex }> = []
  private held: Array<{ readonly number: number; readonly send: () => void }> = []

  constructor(durable: Durable) {
    this.durable = durable
  }

  /** Whether everything that was said of term and vote is durable. */
  get hardStateIsDurable(): boolean {
    return this.persistedNumber >= this.hardStateNumber
  }

  setHardState(hardState: HardState): void {
    this.buffer.setHardState(hardState)
    this.hardStateNumber = this.submitted + 1
  }

  push(entry: LogEntry): void {
    this.buffer.push(entry)
  }

  /** The entry at `index` and all after it are to be replaced. */
  truncateFrom(index: LogIndex): void {
    if (this.durable.index >= index) this.durable = { ...this.durable, index: (index - 1) as LogIndex }
    this.truncations.push({ number: this.submitted + 1, from: index })
  }

  /** The whole log is to begin anew after a position; until that is durable, no index is. */
  reset(base: LogId): void {
    this.truncateFrom(1 as LogIndex)
    this.buffer.reset(base)
  }

  /** Does `send` once everything decided so far is durable: at once, if it is already. */
  whenDurable(send: () => void): void {
    const number = this.buffer.isEmpty ? this.submitted : this.submitted + 1
    if (number <= this.persistedNumber) send()
    else this.held.push({ number, send })
  }

  /** Forgets what still waits for the disk to be said. */
  forgetHeld(): void {
    this.held = []
  }

  /** Hands what was decided since the last call to the committer. */
  submit(to: (number: number, write: LogWrite) => void): void {
    if (!this.buffer.isEmpty) to(++this.submitted, this.buffer.take())
  }

  /** Takes note of a durable step. */
  persisted(message: Persisted, termAt: (index: LogIndex) => Term | undefined): void {
    this.persistedNumber = message.number
    let { index, term, votedFor } = this.durable
    if (message.hardState !== null) {
      term = message.hardState.term
      votedFor = message.hardState.votedFor
    }
    if (message.last !== null) {
      // What a later write replaces may be gone before that write is known to be done.
      let durable = message.last.index
      for (const cut of this.truncations) {
        if (cut.number > message.number) durable = Math.min(durable, cut.from - 1) as LogIndex
      }
      if (durable > index && (durable < message.last.index || termAt(durable) === message.last.term)) index = durable
    }
    if (this.truncations.length > 0) this.truncations = this.truncations.filter((cut) => cut.number > message.number)
    this.durable = { term, votedFor, index }
    while (this.held.length > 0 && this.held[0]!.number <= this.persistedNumber) this.held.shift()!.send()
  }
}
