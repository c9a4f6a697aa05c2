/**
 * A leader's reads: by a round of contact (thesis §6.4), or, where a bound on the drift of clocks is stated, by its
 * lease (thesis §6.4.1).
 */
import type { NodeId } from "../domain/Identity.ts"
import { leaseUntil, promisedUntil } from "../rules/Lease.ts"
import { isQuorum } from "../rules/Quorum.ts"
import { ReadQueue } from "../rules/ReadIndex.ts"
import type { PendingRead } from "../state/PendingReads.ts"
import type { NodeState } from "./NodeState.ts"
import type { Replication } from "./Replication.ts"

export class LeaderReads {
  private readonly node: NodeState
  private readonly replication: Replication
  private readonly queue = new ReadQueue<PendingRead>()

  constructor(node: NodeState, replication: Replication) {
    this.node = node
    this.replication = replication
    for (const read of node.reads.takeWaiting()) this.queue.add(read)
  }

  get size(): number {
    return this.queue.size
  }

  take(read: PendingRead): void {
    this.node.reads.admit(read)
    if (read.local) this.node.reads.wait(read)
    else this.queue.add(read)
  }

  /** A follower asks for the index at which its reads may be served. */
  ask(from: NodeId, id: number): void {
    this.queue.ask(from, id)
  }

  /** Forgets what reached its deadline. */
  prune(): void {
    this.queue.prune((read) => read.settled)
  }

  /** Begins a round where reads wait for one; the leader has committed in its term. */
  begin(): void {
    if (this.queue.wantsRound) this.queue.begin(this.replication.beginRound(), this.node.commit)
  }

  /** Confirms the reads whose round a quorum has answered. */
  confirm(): void {
    const { node, replication } = this
    const round = this.queue.pendingRound
    if (round === null || !isQuorum(node.membership, (id) => replication.answered(id, round))) return
    const confirmed = this.queue.confirm(round)
    if (confirmed === null) return
    node.counters.readRounds++
    const { questions, readIndex, reads } = confirmed
    for (const read of reads) node.reads.confirm(read, readIndex)
    for (const [from, id] of questions) node.send(from, { _tag: "ReadIndexReply", id, index: readIndex })
  }

  /**
   * Takes note of how long a quorum withholds its votes; `withholdsMs` is what each has said. Where the leader may hold
   * no lease (it has not committed in its term, or a transfer may let another campaign) it ends at once.
   */
  extendLease(mayHold: boolean, withholdsMs: (id: NodeId) => number): void {
    const { node, replication } = this
    const drift = node.parts.clockDrift
    if (drift === null) return
    node.leaseUntil = mayHold
      ? leaseUntil(node.membership, (id) => {
        if (id === node.id) return Number.POSITIVE_INFINITY
        const heardAt = replication.progress.get(id)?.answeredAt ?? Number.NEGATIVE_INFINITY
        return promisedUntil({ heardAt, withholdsMs: withholdsMs(id) }, drift)
      })
      : Number.NEGATIVE_INFINITY
  }

  /** This node leads no more: its reads wait for the next leader, its followers ask that one. */
  end(): void {
    const { node } = this
    node.leaseUntil = Number.NEGATIVE_INFINITY
    const { questions, reads } = this.queue.drain()
    for (const read of reads) node.reads.wait(read)
    for (const [from, id] of questions) node.send(from, { _tag: "ReadIndexReply", id, index: null })
  }
}
