/**
 * Linearizable reads without writing to the log (thesis §6.4).
 *
 * A leader numbers its rounds of contact; every append carries the round's number and every reply the highest number
 * received. A read that arrives waits for a round begun after it, shares it with all reads that wait by then, and takes
 * effect at the commit index of the moment when it was registered.
 *
 * Invariant: a read is answered only when (1) the leader had committed an entry of its own term when the read was
 * registered, (2) a quorum answered, in the same term, a round begun after that, and (3) the state has reached the
 * read index. An answer to an earlier round, however late it arrives, confirms nothing.
 */
import type { LogIndex } from "../domain/Position.ts"

/** A batch of reads that share a round. */
interface Batch<A> {
  readonly round: number
  readonly readIndex: LogIndex
  readonly reads: ReadonlyArray<A>
}

/** Reads of one leader in one term. */
export class ReadQueue<A> {
  private waiting: Array<A> = []
  private inFlight: Batch<A> | null = null

  /** Reads that wait for a round, or for its answers. */
  get size(): number {
    return this.waiting.length + (this.inFlight?.reads.length ?? 0)
  }

  add(read: A): void {
    this.waiting.push(read)
  }

  /** Whether a new round should begin: somebody waits, and no round is on its way. */
  get wantsRound(): boolean {
    return this.waiting.length > 0 && this.inFlight === null
  }

  /** Begins `round` for all that wait. `readIndex` is the commit index now; the caller has committed in its term. */
  begin(round: number, readIndex: LogIndex): void {
    this.inFlight = { round, readIndex, reads: this.waiting }
    this.waiting = []
  }

  /** The round that reads wait for, or null. */
  get pendingRound(): number | null {
    return this.inFlight?.round ?? null
  }

  /** Takes the reads confirmed by a quorum's answer to `round`, or null when none are. */
  confirm(round: number): { readonly readIndex: LogIndex; readonly reads: ReadonlyArray<A> } | null {
    if (this.inFlight === null || round < this.inFlight.round) return null
    const batch = this.inFlight
    this.inFlight = null
    return batch
  }

  /** Takes everything that waits, for a leader that leads no more. */
  drain(): Array<A> {
    const all = [...(this.inFlight?.reads ?? []), ...this.waiting]
    this.inFlight = null
    this.waiting = []
    return all
  }
}
