/**
 * Leads for one term: the only node in it that adds entries (§5.2, §5.3). Begins with an entry of its own term, without
 * which it could neither commit what it inherited (§5.4.2) nor serve reads (thesis §6.4), and ends when it sees a
 * higher term, or has not heard from a quorum for an election time-out (check-quorum).
 *
 * Invariant: it adds entries only at the end of its log and only with its own term.
 */
import { Overloaded, StorageFull } from "../DistKvError.ts"
import type { Command } from "../domain/Command.ts"
import { encodeCommand } from "../domain/CommandCodec.ts"
import type { NodeId } from "../domain/Identity.ts"
import { commandKind, type LogEntry } from "../domain/LogEntry.ts"
import { findMember } from "../domain/Membership.ts"
import type { Envelope, PeerMessageOf } from "../domain/PeerMessage.ts"
import type { LogIndex } from "../domain/Position.ts"
import { stamp } from "../domain/RecordCodec.ts"
import { commitIndex } from "../rules/Commitment.ts"
import { historyToCut } from "../rules/History.ts"
import { Pauses } from "../rules/Pauses.ts"
import { isQuorum } from "../rules/Quorum.ts"
import type { Administer, NodeMessage } from "../state/NodeMessage.ts"
import type { PendingWrite } from "../state/PendingWrites.ts"
import { Agreement } from "./Agreement.ts"
import { Changes } from "./Changes.ts"
import { peerRequest, sweep, takeAnswer } from "./ClientDesk.ts"
import { answerVote, higherTerm, mayListen, refuseStale } from "./Conversation.ts"
import { flawOfForwarded, forwardedWrite, refuseForward, refuseShed } from "./Forwarding.ts"
import { Handover } from "./Handover.ts"
import { LeaderReads } from "./LeaderReads.ts"
import { leave, resign, sendBack } from "./Leaving.ts"
import { takeNews } from "./News.ts"
import type { NodeState } from "./NodeState.ts"
import { Replication } from "./Replication.ts"

/** Committed entries that may wait to be applied, for each write that may be pending. */
const unappliedMost = 4

export class Leader {
  private readonly node: NodeState
  private readonly replication: Replication
  private readonly changes: Changes
  private readonly handover: Handover
  private readonly agreement: Agreement
  private readonly reads: LeaderReads
  private readonly firstIndex: LogIndex
  private fresh: Array<LogEntry> = []
  private uncommittedBytes = 0
  private cutIndex = 0 as LogIndex
  private lastBeatAt: number
  private readonly pauses: Pauses
  /** While this node is unwell: when leadership may be offered again. */
  private handAgainAt = 0
  /** After a pause the quorum gets until then to be heard of again. */
  private graceUntil = 0

  constructor(node: NodeState, readForPeer: (id: NodeId, from: LogIndex) => void) {
    this.node = node
    node.setLeader(node.id)
    this.lastBeatAt = node.now
    this.pauses = new Pauses(node.parts.electionTimeout, node.parts.heartbeat, node.now)
    this.replication = new Replication(node, readForPeer)
    this.changes = new Changes(node, this.replication, (membership) => this.add({ _tag: "Configure", membership }))
    this.handover = new Handover(node, this.replication)
    this.agreement = new Agreement(node)
    node.progress = this.replication.progress
    node.leadership = {
      isLive: (id) => this.replication.isLive(id, 2 * node.parts.electionTimeout),
      needed: () => this.replication.needed(),
      knows: (id) => this.knows(id),
      held: () => this.held()
    }
    this.firstIndex = this.add({ _tag: "NoOp" })
    this.replication.beginRound()
    this.reads = new LeaderReads(node, this.replication)
    this.takeWaitingAdmin()
    this.takeParked()
  }

  step(message: NodeMessage): void {
    const { node } = this
    switch (message._tag) {
      case "Peer":
        if (mayListen(node, message.envelope)) this.receive(message.envelope)
        return
      case "Shed":
        return refuseShed(node, message.envelope)
      case "Persisted":
        return node.persisted(message)
      case "HeartbeatDue":
        return this.beat()
      case "Propose":
        node.writes.admit(message.write)
        return this.propose(message.write)
      case "Read":
        return this.reads.take(message.read)
      case "Administer":
        return this.administer(message)
      case "EntriesRead":
        return message.to === null
          ? node.applyRead(message.entries)
          : this.replication.entriesRead(message.to, message.entries)
      case "SweepDue":
        sweep(node)
        if (this.handover.sweep()) this.takeParked()
        return this.reads.prune()
      case "Close":
        node.closing = true
        return this.handover.close(message.done)
      case "SnapshotBuilt":
      case "SnapshotRead":
        return this.replication.snapshots.take(message)
      case "ElectionDue":
      case "Welcomed":
      case "Adopted":
        return
      default:
        return takeNews(node, message)
    }
  }

  /** Ends a turn: new entries go to the peers and to the own disk at the same time. */
  flush(): void {
    const { node } = this
    // What this node had asked of the leader before, and was sent back, is for itself now.
    if (node.next === null) {
      if (node.waitingAdmin.length > 0) this.takeWaitingAdmin()
      if (node.writes.parkedCount > 0) this.takeParked()
    }
    if (this.fresh.length > 0) {
      node.observeAppended(this.fresh)
      this.fresh = []
    }
    // Deposed in this turn: the term is another's by now, and nothing may be said or counted in it.
    if (node.next !== null) {
      node.leaseUntil = Number.NEGATIVE_INFINITY
      return node.endTurn()
    }
    this.advanceCommit()
    if (this.changes.advance(this.mayChange) && !node.isVoter) resign(node, this.handover)
    // Reads that came meanwhile need no further message to begin the next round.
    this.reads.confirm()
    if (this.isSettled) this.reads.begin()
    this.replication.flush()
    this.reads.confirm()
    this.handover.advance()
    this.reads.extendLease(this.isSettled && !this.handover.endsLease && node.next === null, this.withholdsMs)
    if (this.fresh.length > 0) {
      node.observeAppended(this.fresh)
      this.fresh = []
    }
    node.endTurn()
  }

  /** This node leads no more; what waits for it waits for the next leader. */
  end(): void {
    const { node } = this
    node.progress = null
    node.leadership = null
    if (node.leader === node.id) node.setLeader(null)
    this.reads.end()
    sendBack(node)
    this.changes.end()
    this.replication.snapshots.end()
    this.handover.end()
    node.resetElectionDeadline()
  }

  /** Whether an entry of this term is committed. */
  private get isSettled(): boolean {
    return this.node.commit >= this.firstIndex
  }

  /** Whether a change of the membership may begin: none is put between a transfer's target and its candidacy. */
  private get mayChange(): boolean {
    return this.isSettled && !this.handover.isUnderWay
  }

  private receive(envelope: Envelope): void {
    const { node } = this
    const { from, incarnation, message } = envelope
    const term = higherTerm(node, message)
    if (term !== null) {
      node.raiseTerm(term)
      return node.become("Follower", true)
    }
    switch (message._tag) {
      case "VoteRequest":
        answerVote(node, from, message)
        return
      case "AppendRequest":
        // One of this very term cannot be: nobody else was elected in it (§5.2).
        if (message.term < node.term) refuseStale(node, from)
        return
      case "AppendReply":
        if (message.term !== node.term) return
        if (findMember(node.membership, from)?.incarnation === null) this.changes.met(from, incarnation)
        return this.replication.receive(from, message)
      case "SnapshotReply":
        if (message.term === node.term) this.replication.snapshotReply(from, message)
        return
      case "LinkReport":
        if (message.term === node.term) this.changes.readiness.reports.set(from, message)
        return
      case "StateDigest":
        if (message.term === node.term) this.agreement.receive(from, message)
        return
      case "ForwardRequest":
        return this.forwarded(from, message)
      case "ReadIndexRequest":
        return this.reads.ask(from, message.id)
      case "AdminRequest":
        return this.administer(peerRequest(node, envelope, message))
      case "ForwardReply":
      case "ReadIndexReply":
      case "AdminReply":
        return takeAnswer(node, from, message)
      case "SnapshotPiece":
      case "VoteReply":
      case "TimeoutNow":
      case "Refused":
        return
    }
  }

  private forwarded(from: NodeId, request: PeerMessageOf<"ForwardRequest">): void {
    const { node } = this
    if (request.leaderTerm !== node.term) return refuseForward(node, from, request)
    if (!node.forwardFilter.accept(from, request.run, request.id)) return
    const write = forwardedWrite(node, from, request)
    node.writes.admit(write)
    const flaw = flawOfForwarded(node, from, request)
    if (flaw !== null) return node.writes.refuse(write, flaw)
    const { pendingBytes, pendingWrites } = node.parts.limits
    if (node.writes.count > 2 * pendingWrites || node.writes.bytes > 2 * pendingBytes) return this.overloaded(write)
    this.propose(write)
  }

  private propose(write: PendingWrite): void {
    const { node } = this
    // Out of time before it got into the log: the next sweep says so, and nothing is done for nobody.
    if (write.deadline <= node.now) return
    if (this.holdsWrites) return node.writes.park(write)
    const kind = write.record[5]
    if (node.diskFull && kind !== commandKind.Delete && kind !== commandKind.DeleteRange) {
      const message = "the disk reserve is reached; only deletes are taken until there is space again"
      return node.writes.refuse(write, new StorageFull({ message }))
    }
    // The disk of the state is slower than the writes: without a bound the changes would fill the memory.
    if (node.machine.dirtyBytes > node.parts.maxDirtyBytes) return this.overloaded(write)
    // Applying is slower than committing, and who waited for what is not applied yet has given up.
    if (node.commit - node.machine.applied > unappliedMost * node.parts.limits.pendingWrites) {
      return this.overloaded(write)
    }
    // One write alone is always taken, however small the limit is.
    const { uncommittedBytes } = this
    if (uncommittedBytes > 0 && uncommittedBytes + write.record.length > node.parts.limits.uncommittedBytes) {
      return this.overloaded(write)
    }
    const entry = stamp(write.record, node.term, (node.log.last + 1) as LogIndex)
    node.append(entry)
    this.fresh.push(entry)
    this.uncommittedBytes += entry.record.length
    node.writes.log(write, entry.index, node.term)
    if (write.origin !== null) this.replication.awaited(write.origin.from, entry.index)
  }

  private overloaded(write: PendingWrite): void {
    const error = new Overloaded({ message: "the leader has too many writes under way", retryAfterMs: 100 })
    this.node.writes.refuse(write, error)
  }

  /** Adds an entry of the leader's own. */
  private add(command: Command): LogIndex {
    const { node } = this
    const entry = stamp(encodeCommand(command), node.term, (node.log.last + 1) as LogIndex)
    node.append(entry)
    this.fresh.push(entry)
    this.uncommittedBytes += entry.record.length
    return entry.index
  }

  private takeParked(): void {
    if (this.holdsWrites) return
    for (const write of this.node.writes.takeParked()) if (write.phase === "Parked") this.propose(write)
  }

  private takeWaitingAdmin(): void {
    for (const request of this.node.waitingAdmin.splice(0)) this.administer(request)
  }

  private administer(request: Administer | null): void {
    if (request === null) return
    switch (request.command._tag) {
      case "Transfer":
        if (this.handover.order(request, request.command.to)) this.takeParked()
        return
      case "RemoveMember":
      case "DemoteMember":
        if (request.command.id !== this.node.id) return this.changes.ask(request, request.command)
        if (leave(this.node, this.changes, this.handover, request, request.command)) this.takeParked()
        return
      case "Join":
      case "AddMember":
      case "PromoteMember":
      case "UpdateAddress":
        return this.changes.ask(request, request.command)
    }
  }

  /** Whether new writes wait: for a successor, or because this node is leaving and they would be lost with it. */
  private get holdsWrites(): boolean {
    return this.handover.isUnderWay || this.node.closing || this.changes.isLeaving
  }

  private advanceCommit(): void {
    const { node } = this
    const committed = node.commit
    const index = commitIndex(
      { membership: node.membership, match: this.replication.match, termAt: (at) => node.log.termAt(at) },
      node.term,
      committed
    )
    if (index === committed) return
    for (let i = Math.max(committed + 1, this.firstIndex); i <= index; i++) {
      this.uncommittedBytes -= node.log.entryAt(i as LogIndex)?.record.length ?? 0
    }
    node.commitTo(index)
  }

  private beat(): void {
    const { node } = this
    const { electionTimeout } = node.parts
    // What the followers answered meanwhile may lie unread in the sockets.
    if (node.now - this.lastBeatAt > electionTimeout / 2) this.graceUntil = node.now + electionTimeout / 2
    if (this.pauses.beat(this.lastBeatAt, node.now)) node.counters.pauses++
    this.lastBeatAt = node.now
    if (this.hasLostQuorum() || this.diskIsStuck()) return node.become("Follower")
    this.replication.retry()
    this.replication.beginRound()
    this.changes.tick(this.mayChange)
    if (this.handover.tick()) this.takeParked()
    // Its followers replicate, commit and elect without this node's disk, and no later than it comes to beat.
    const isUnwell = node.diskFull || node.diskIsStuckFor(electionTimeout / 2) || this.pauses.areMany(node.now)
    if (isUnwell && node.now >= this.handAgainAt) {
      // Proposals are held while it lasts, so a target that does not take over is not asked again at once.
      this.handAgainAt = node.now + 10 * electionTimeout
      this.handover.handTo((id) => this.changes.readiness.reports.get(id)?.full === false)
    }
    this.cutHistory()
    this.agreement.tick()
  }

  private hasLostQuorum(): boolean {
    const { electionTimeout } = this.node.parts
    return this.node.now >= this.graceUntil &&
      !isQuorum(this.node.membership, (id) => this.replication.isLive(id, electionTimeout))
  }

  /** A leader whose disk hangs must not keep its followers from electing another. */
  private diskIsStuck(): boolean {
    const { node, replication } = this
    return replication.progress.size > 0 && node.diskIsStuckFor(1.5 * node.parts.electionTimeout)
  }

  private cutHistory(): void {
    const { machine, parts } = this.node
    if (!this.isSettled || machine.applied < this.cutIndex || this.handover.isUnderWay) return
    const revision = historyToCut(machine.counters, parts.limits, machine.eventAt)
    if (revision !== null) this.cutIndex = this.add({ _tag: "CutHistory", revision })
  }

  private readonly withholdsMs = (id: NodeId): number => this.changes.readiness.reports.get(id)?.withholdsMs ?? 0

  private held(): Readonly<Record<string, number>> {
    return {
      "uncommitted bytes": this.uncommittedBytes,
      "bytes on their way": this.replication.inflightBytes,
      "reads of the leader": this.reads.size,
      "changes of the leader": this.changes.size
    }
  }

  private knows(id: NodeId) {
    const progress = this.replication.progress.get(id)
    const own = id === this.node.id
    if (progress === undefined && !own) return null
    return {
      match: this.replication.match(id),
      contactAt: progress?.contactAt ?? this.node.now,
      version: own ? this.node.parts.version : this.changes.readiness.reports.get(id)?.version ?? null,
      missing: this.changes.readiness.missingOf(id),
      forgot: progress?.forgot ?? false
    }
  }
}
