/**
 * The reads that wait on this node: for a read index, then for the state to reach it.
 *
 * All reads that wait without an index share the next question to the leader; `id` is never used twice, so a late
 * answer to an abandoned question confirms nothing (thesis §6.4).
 */
import type { ReadError } from "../DistKvError.ts"
import { DeadlineExceeded, NoLeader } from "../DistKvError.ts"
import type { LogIndex, Revision } from "../domain/Position.ts"
import { Deadlines } from "./Deadlines.ts"
import { Thresholds } from "./Thresholds.ts"

/** Null when the read may be served from this node's state now. */
export type ReadSettlement = ReadError | null

export interface PendingRead {
  /** Milliseconds, monotonic. */
  readonly deadline: number
  /** The state must have this revision too; 0 for any. */
  readonly minRevision: Revision
  /** Called once; let go of then, as that of a write. */
  settle: (settlement: ReadSettlement) => void
  /** It waits for `minRevision` only, not for the leader's word. */
  readonly local: boolean
  /** Where the state must be; null until the leader has said. */
  readIndex: LogIndex | null
  settled: boolean
}

export class PendingReads {
  private readonly deadlines = new Deadlines<PendingRead>()
  /** No index yet, and not part of a question on its way. */
  private waiting: Array<PendingRead> = []
  private asked: { readonly id: number; readonly at: number; readonly reads: ReadonlyArray<PendingRead> } | null = null
  /** With an index since the last turn. */
  private confirmed: Array<PendingRead> = []
  /** With an index, or then a revision, that the state has not reached. */
  private readonly byIndex = new Thresholds<PendingRead>()
  private readonly byRevision = new Thresholds<PendingRead>()
  private readonly done: Array<[PendingRead, ReadSettlement]> = []
  count = 0

  get isIdle(): boolean {
    return this.count === 0
  }

  /** Places where reads lie; those that were settled elsewhere leave them a little later. */
  get places(): number {
    return this.waiting.length + (this.asked?.reads.length ?? 0) + this.confirmed.length + this.byIndex.size +
      this.byRevision.size + this.done.length
  }

  admit(read: PendingRead): void {
    this.count++
    this.deadlines.add(read)
  }

  /** Waits for the next question, or for this node to lead. */
  wait(read: PendingRead): void {
    if (read.settled) return
    if (read.local) this.confirm(read, 0 as LogIndex)
    else this.waiting.push(read)
  }

  takeWaiting(): ReadonlyArray<PendingRead> {
    const waiting = this.waiting
    if (waiting.length > 0) this.waiting = []
    return waiting
  }

  /** Whether a follower should ask its leader now. */
  get wantsQuestion(): boolean {
    return this.waiting.length > 0 && this.asked === null
  }

  ask(id: number, at: number): void {
    this.asked = { id, at, reads: this.waiting }
    this.waiting = []
  }

  /** The leader's answer; null when it could not confirm that it leads. Answers to other questions are ignored. */
  answered(id: number, index: LogIndex | null): void {
    if (this.asked === null || this.asked.id !== id) return
    const { reads } = this.asked
    this.asked = null
    for (const read of reads) {
      if (index === null) this.wait(read)
      else this.confirm(read, index)
    }
  }

  /** Gives up the question on its way, if it was asked before `before`: its reads wait for another. */
  abandon(before: number): void {
    if (this.asked === null || this.asked.at > before) return
    for (const read of this.asked.reads) this.wait(read)
    this.asked = null
  }

  confirm(read: PendingRead, index: LogIndex): void {
    if (read.settled) return
    read.readIndex = index
    this.confirmed.push(read)
  }

  /** Settles the reads that a state at `applied` and `revision` can serve. */
  serve(applied: LogIndex, revision: Revision): void {
    if (this.confirmed.length > 0) {
      for (const read of this.confirmed) {
        if (read.readIndex! <= applied) this.look(read, revision)
        else this.byIndex.add(read.readIndex!, read)
      }
      this.confirmed = []
    }
    if (!this.byIndex.isEmpty) this.byIndex.reach(applied, (read) => this.look(read, revision))
    if (!this.byRevision.isEmpty) this.byRevision.reach(revision, (read) => this.settle(read, null))
  }

  /** The state has the read's index; it may still lack its revision. */
  private look(read: PendingRead, revision: Revision): void {
    if (read.minRevision <= revision) this.settle(read, null)
    else this.byRevision.add(read.minRevision, read)
  }

  expire(now: number, leaderless: boolean): void {
    const expired = this.deadlines.expire(now)
    if (expired.length === 0) return
    for (const read of expired) {
      this.settle(
        read,
        leaderless && read.readIndex === null
          ? new NoLeader({ message: "no leader confirmed the read within the deadline" })
          : new DeadlineExceeded({
            message: read.readIndex === null
              ? "the leader could not confirm within the deadline that it still leads"
              : "this node's state did not reach what was asked for within the deadline"
          })
      )
    }
    this.waiting = this.waiting.filter((read) => !read.settled)
    this.byIndex.prune((read) => read.settled)
    this.byRevision.prune((read) => read.settled)
  }

  settle(read: PendingRead, settlement: ReadSettlement): void {
    if (read.settled) return
    read.settled = true
    this.count--
    this.deadlines.remove(read)
    this.done.push([read, settlement])
  }

  settleAll(error: ReadError): void {
    for (const read of this.deadlines.clear()) this.settle(read, error)
    this.waiting = []
    this.confirmed = []
    this.byIndex.clear()
    this.byRevision.clear()
    this.asked = null
  }

  release(): void {
    if (this.done.length === 0) return
    for (const [read, settlement] of this.done.splice(0)) {
      const { settle } = read
      read.settle = settled
      settle(settlement)
    }
  }
}

const settled = (): void => undefined
