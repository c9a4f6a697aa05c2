/**
 * Linearizable reads without writing to the log (thesis §6.4).
 *
 * A leader numbers its rounds of contact; every append carries the round's number and every reply the highest number
 * received. A read that arrives waits for a round begun after it, shares it with all reads that wait by then, and takes
 * effect at the commit index of the moment when it was registered. A follower asks for all its reads with one question,
 * and a later question of the same follower takes the place of an earlier one that waits.
 *
 * Invariant: a read is answered only when (1) the leader had committed an entry of its own term when the read was
 * registered, (2) a quorum answered, in the same term, a round begun after that, and (3) the state has reached the
 * read index. An answer to an earlier round, however late it arrives, confirms nothing.
 */
import type { NodeId } from "../domain/Identity.ts"
import type { LogIndex } from "../domain/Position.ts"

/** Reads and questions that share a round. */
interface Batch<A> {
  readonly reads: ReadonlyArray<A>
  /** The id of each follower's question. */
  readonly questions: ReadonlyMap<NodeId, number>
}

interface Confirmed<A> extends Batch<A> {
  readonly readIndex: LogIndex
}

/** Reads of one leader in one term. */
export class ReadQueue<A> {
  private reads: Array<A> = []
  private questions = new Map<NodeId, number>()
  private inFlight: (Confirmed<A> & { readonly round: number }) | null = null

  /** Reads and questions that wait for a round, or for its answers. */
  get size(): number {
    const { inFlight } = this
    return this.reads.length + this.questions.size +
      (inFlight === null ? 0 : inFlight.reads.length + inFlight.questions.size)
  }

  add(read: A): void {
    this.reads.push(read)
  }

  /** A follower asks on behalf of its reads. */
  ask(from: NodeId, id: number): void {
    this.questions.set(from, id)
  }

  /** Forgets reads for which nobody waits any more; those whose round is on its way leave with it. */
  prune(isOver: (read: A) => boolean): void {
    this.reads = this.reads.filter((read) => !isOver(read))
  }

  /** Whether a new round should begin: somebody waits, and no round is on its way. */
  get wantsRound(): boolean {
    return (this.reads.length > 0 || this.questions.size > 0) && this.inFlight === null
  }

  /** Begins `round` for all that wait. `readIndex` is the commit index now; the caller has committed in its term. */
  begin(round: number, readIndex: LogIndex): void {
    this.inFlight = { round, readIndex, ...this.takeWaiting() }
  }

  /** The round that reads wait for, or null. */
  get pendingRound(): number | null {
    return this.inFlight?.round ?? null
  }

  /** Takes what is confirmed by a quorum's answer to `round`, or null when nothing is. */
  confirm(round: number): Confirmed<A> | null {
    if (this.inFlight === null || round < this.inFlight.round) return null
    const batch = this.inFlight
    this.inFlight = null
    return batch
  }

  /** Takes everything that waits, for a leader that leads no more. */
  drain(): Batch<A> {
    const { inFlight } = this
    const waiting = this.takeWaiting()
    this.inFlight = null
    if (inFlight === null) return waiting
    return {
      reads: [...inFlight.reads, ...waiting.reads],
      questions: new Map([...inFlight.questions, ...waiting.questions])
    }
  }

  private takeWaiting(): Batch<A> {
    const { questions, reads } = this
    this.reads = []
    if (questions.size > 0) this.questions = new Map()
    return { reads, questions: questions.size > 0 ? questions : none }
  }
}

const none: ReadonlyMap<NodeId, number> = new Map()
