/**
 * The Raft state of one node, owned by the fiber that plays its roles; no other fiber changes it.
 *
 * Holds what outlives a role: term and vote, the log, the memberships, what is known to be durable, and the requests
 * that wait. Roles change it through the methods here, which keep its invariants:
 *
 * - the term never falls, and a vote changes only with the term (paper figure 2);
 * - `durable` never claims more than the disk holds, in whatever order completions come;
 * - a message that promises something about the disk leaves only once the disk holds it (`whenDurable`).
 */
import { StorageFailed } from "../DistKvError.ts"
import type { Limits } from "../DistKvSettings.ts"
import { decodeCommand } from "../domain/CommandCodec.ts"
import { flawOfFeatures } from "../domain/Features.ts"
import type { Address, ClusterId, Incarnation, NodeId, PublicKey } from "../domain/Identity.ts"
import { commandKind, type LogEntry } from "../domain/LogEntry.ts"
import type { Membership } from "../domain/Membership.ts"
import type { PeerMessage } from "../domain/PeerMessage.ts"
import type { LogIndex, Term } from "../domain/Position.ts"
import type { Role } from "../domain/Role.ts"
import type { HardState, LogWrite } from "../LogStore.ts"
import type { Admission } from "../state/Admission.ts"
import { type Counters, zeroCounters } from "../state/Counters.ts"
import { Durability, type Durable } from "../state/Durability.ts"
import type { Leadership } from "../state/Leadership.ts"
import { MemberSession } from "../state/MemberSession.ts"
import type { MembershipLog } from "../state/MembershipLog.ts"
import type { Administer, NodeMessage, Persisted } from "../state/NodeMessage.ts"
import type { FollowerView, NodeObserver, NodeView } from "../state/Observer.ts"
import { PendingReads } from "../state/PendingReads.ts"
import { PendingWrites } from "../state/PendingWrites.ts"
import type { RaftLog } from "../state/RaftLog.ts"
import type { Incoming, SnapshotDesk } from "../state/SnapshotDesk.ts"
import type { StateMachine } from "../state/StateMachine.ts"
import type { DurableClaim } from "../Transport.ts"
import { Belonging, type BelongingParts } from "./Belonging.ts"
import { ForwardFilter } from "./ForwardFilter.ts"
import { viewOf } from "./viewOf.ts"

/** What a node is made of; all fixed for the life of the process. */
export interface NodeParts extends BelongingParts {
  readonly incarnation: Incarnation
  readonly publicKey: PublicKey
  readonly clusterId: ClusterId | null
  /** Where others reach this node and its HTTP interface, as it says itself. */
  readonly address: Address
  readonly http: string | null
  /** Milliseconds. */
  readonly electionTimeout: number
  readonly heartbeat: number
  readonly limits: Limits
  readonly admission: Admission
  /** How much faster than another a member's clock may run, as a part of 1; null: no bound is stated, no leases. */
  readonly clockDrift: number | null
  /** A leader takes no writes while this many bytes of changes wait for a checkpoint. */
  readonly maxDirtyBytes: number
  readonly version: string
  readonly hardState: HardState
  readonly log: RaftLog
  readonly machine: StateMachine
  readonly submit: (number: number, write: LogWrite) => void
  /** Since when (milliseconds, monotonic) the oldest log commit is under way. */
  readonly commitBusySince: () => number | null
  readonly offer: (message: NodeMessage) => void
  /** Makes sure that deadlines are swept as long as something waits. */
  readonly watchDeadlines: () => void
  /** Drops entries from the disk, which the log in memory has dropped already. */
  readonly compact: (to: LogIndex) => void
  readonly snapshots: SnapshotDesk
  /** Asks for entries that left the memory window, for the state machine. */
  readonly readForApply: (from: LogIndex, to: LogIndex) => void
  /** Asks that the cluster id a leader told be made durable; `Adopted` follows. */
  readonly adopt: (clusterId: ClusterId) => void
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** Milliseconds, monotonic. */
  readonly clock: () => number
  readonly observer: NodeObserver | null
}

/** How many entries one turn applies at most, so that sockets and timers get theirs. */
const appliedPerTurn = 2048

export class NodeState {
  readonly parts: NodeParts
  readonly id: NodeId
  readonly log: RaftLog
  readonly machine: StateMachine
  readonly memberships: MembershipLog
  readonly belonging: Belonging
  /** Numbers what this node forwards. */
  readonly session = new MemberSession()
  readonly writes = new PendingWrites(this.session)
  readonly reads = new PendingReads()
  readonly forwardFilter = new ForwardFilter()
  /** This start of the process, as other nodes tell it from earlier ones. */
  readonly run: number
  /** The term at the start of the process: of leaderships up to then, nothing is remembered. */
  readonly bootTerm: Term
  readonly counters: Counters = zeroCounters()

  role: Role = "Follower"
  /** The role to play next, when the present one is over; and whether it gets the message at hand again. */
  next: Role | null = null
  redeliver = false
  /** Why the next candidacy begins: the timer, or the leader's order. */
  campaignByTransfer = false
  /** The unread rest of a batch, for the next role. */
  carry: Array<NodeMessage> = []
  /** The batch at hand: where the node ends in the middle of it, whoever speaks in its rest must still be answered. */
  batch: ReadonlyArray<NodeMessage> = []
  /** Milliseconds (monotonic) of the batch at hand. */
  now: number
  clusterId: ClusterId | null
  adopting = false
  term: Term
  votedFor: NodeId | null
  leader: NodeId | null = null
  /** When the leader was last heard of; negative infinity where never. */
  leaderContactAt = Number.NEGATIVE_INFINITY
  electionDeadline: number
  /** While this node leads: until when (milliseconds, monotonic) nobody else can; negative infinity where unknown. */
  leaseUntil = Number.NEGATIVE_INFINITY
  readonly startedAt: number
  commit: LogIndex
  readonly disk: Durability
  progress: ReadonlyMap<NodeId, FollowerView> | null = null
  closing = false
  diskFull = false
  /** Bytes above the disk reserve, null where unlimited. */
  spaceLeft: number | null = null
  /** Administrative requests that wait for a leader to be known. */
  readonly waitingAdmin: Array<Administer> = []
  /** Administrative requests that this node has passed on to its leader, by the id of the question. */
  readonly passedOn = new Map<number, Administer>()
  /** Begins anywhere: an answer to a question of an earlier start of the process must fit none of this one. */
  lastRequestId: number
  /** Transfers of this node's leadership that wait to hear who leads now. */
  readonly transfers: Array<Pick<Administer, "deadline" | "done">> = []
  /** What only a leader knows, while this node is one. */
  leadership: Leadership | null = null
  /** A snapshot on its way in. */
  incoming: Incoming | null = null

  private readingForApply = false
  private applyAgain = false
  readonly view: NodeView

  constructor(parts: NodeParts) {
    this.parts = parts
    this.id = parts.id
    this.log = parts.log
    this.machine = parts.machine
    this.memberships = parts.memberships
    this.clusterId = parts.clusterId
    this.term = parts.hardState.term
    this.votedFor = parts.hardState.votedFor
    this.bootTerm = parts.hardState.term
    this.disk = new Durability({ ...parts.hardState, index: parts.log.last })
    this.commit = parts.machine.applied
    this.now = parts.clock()
    this.startedAt = this.now
    this.run = Math.floor(parts.random() * 2 ** 52)
    this.lastRequestId = Math.floor(parts.random() * 2 ** 51)
    this.belonging = new Belonging(parts)
    // A sole voter has nobody to wait for.
    this.electionDeadline = this.now + (this.belonging.isSoleVoter ? 0 : this.randomTimeout())
    this.view = viewOf(this)
  }

  /** Whether nothing waits that has a deadline. */
  get isIdle(): boolean {
    return this.writes.isIdle && this.reads.isIdle && this.waitingAdmin.length === 0 && this.passedOn.size === 0 &&
      this.transfers.length === 0
  }

  /** Whether a log commit has been under way for longer than `ms` milliseconds. */
  diskIsStuckFor(ms: number): boolean {
    const since = this.parts.commitBusySince()
    return since !== null && this.now - since > ms
  }

  /** What this node's own disk holds for certain. */
  get durable(): Durable {
    return this.disk.durable
  }

  get membership(): Membership {
    return this.memberships.current
  }

  get isVoter(): boolean {
    return this.belonging.isVoter
  }

  /** Whether everything this node said of its term and vote is durable. */
  get hardStateIsDurable(): boolean {
    return this.disk.hardStateIsDurable
  }

  /** A time-out uniform in [T, 2 T), drawn anew each time (paper §5.2). */
  randomTimeout(): number {
    return this.parts.electionTimeout * (1 + this.parts.random())
  }

  resetElectionDeadline(): void {
    this.electionDeadline = this.now + this.randomTimeout()
  }

  /** Whether this node heard from its leader less than an election time-out ago (thesis §4.2.3). */
  get hasFreshLeader(): boolean {
    return this.leader !== null && this.now - this.leaderContactAt < this.parts.electionTimeout
  }

  nextRequestId(): number {
    return ++this.lastRequestId
  }

  /** Ends the role at hand: the next one is played from the next message on, or (`redeliver`) from the one at hand. */
  become(role: Role, redeliver = false): void {
    this.next = role
    this.redeliver = redeliver
  }

  /** Enters a higher term without a vote in it. */
  raiseTerm(term: Term): void {
    if (term <= this.term) throw new Error(`term ${term} does not follow ${this.term}`)
    this.term = term
    this.votedFor = null
    // What still waited for the disk spoke for the old term.
    this.disk.forgetHeld()
    this.setLeader(null)
    this.saveHardState()
  }

  /** Gives this node's vote in its term; a vote given is never given again to somebody else. */
  vote(candidate: NodeId): void {
    if (this.votedFor === candidate) return
    if (this.votedFor !== null) throw new Error(`already voted for ${this.votedFor} in term ${this.term}`)
    this.votedFor = candidate
    this.saveHardState()
  }

  setLeader(leader: NodeId | null): void {
    if (leader === this.leader) return
    if (leader !== null) {
      this.counters.leaderChanges++
      this.writes.retryAll()
      this.reads.abandon(Number.POSITIVE_INFINITY)
      for (const transfer of this.transfers.splice(0)) {
        transfer.done({ _tag: "Transferred", leader, term: this.term })
      }
    }
    this.leader = leader
  }

  /** Adds an entry to the log; a membership is in force from here on (thesis §4.1). */
  append(entry: LogEntry): void {
    this.log.push(entry)
    this.disk.push(entry)
    if (entry.kind !== commandKind.Configure) return
    const command = decodeCommand(entry.record)
    if (command._tag === "Configure") {
      const flaw = flawOfFeatures(command.membership.features ?? 0)
      if (flaw !== null) throw new StorageFailed({ message: flaw })
      this.belonging.append(entry.index, command.membership)
    }
  }

  /** Removes the entry at `index` and all after it, to make place for a leader's. */
  truncateFrom(index: LogIndex): void {
    if (index <= this.commit) throw new Error(`entry ${index} is committed and was to be replaced`)
    this.log.truncateFrom(index)
    this.disk.truncateFrom(index)
    this.belonging.truncateFrom(index)
  }

  /** Tells the observer of entries that joined the log. */
  observeAppended(entries: ReadonlyArray<LogEntry>): void {
    if (this.parts.observer !== null && entries.length > 0) this.parts.observer.appended(this.view, entries)
  }

  /** Sends `message` to a peer; see `Transport` for the claim. */
  send(to: NodeId, message: PeerMessage, claim?: DurableClaim): boolean {
    return this.parts.transport.send(to, message, claim)
  }

  /** Does `send` once everything that this node has decided so far is durable: at once, if it is already. */
  whenDurable(send: () => void): void {
    this.disk.whenDurable(send)
  }

  /** Keeps an administrative request, unless it is answered already, until a leader is known. */
  waitForLeader(request: Administer | null): void {
    if (request !== null) this.waitingAdmin.push(request)
  }

  /** Takes note of a durable step. */
  persisted(message: Persisted): void {
    this.disk.persisted(message, this.termAt)
  }

  /** Raises the commit index, never beyond the log. */
  commitTo(index: LogIndex): void {
    const target = Math.min(index, this.log.last) as LogIndex
    if (target <= this.commit) return
    this.commit = target
    if (this.belonging.commitTo(target)) this.forgetStrangers()
  }

  /** Who was removed is not heard again: what was kept of it is needed no more. */
  forgetStrangers(): void {
    this.forwardFilter.keep(this.belonging.isCommittedMember)
    this.parts.admission.keep(this.belonging.isCommittedMember)
  }

  /** Ends a turn: hands new writes to the committer, applies what is committed, and lets go what is settled. */
  endTurn(): void {
    this.disk.submit(this.parts.submit)
    this.applyCommitted()
    this.reads.serve(this.machine.applied, this.machine.revision)
    this.parts.transport.flush()
    this.belonging.endTurn()
    this.log.evict(Math.min(this.machine.applied, this.durable.index) as LogIndex, this.parts.limits.logWindowBytes)
    if (this.parts.observer !== null) this.parts.observer.stepped(this.view)
    // Here and not where a call begins: only from now on does the sweeper see what waits.
    if (!this.isIdle) this.parts.watchDeadlines()
    this.writes.release()
    this.reads.release()
    this.parts.transport.flush()
  }

  /**
   * Applies entries that left the memory window and were read back. The disk may still have held what a leader's
   * append has replaced: such an entry is another one than the log's, and is read again once the disk has caught up.
   */
  applyRead(entries: ReadonlyArray<LogEntry>): void {
    this.readingForApply = false
    if (this.machine.isReplacing) return
    for (const entry of entries) {
      if (entry.index > this.commit || entry.term !== this.log.termAt(entry.index)) return
      if (entry.index === this.machine.applied + 1) this.apply(entry)
    }
  }

  /** The `ApplyMore` that was asked for has come. */
  applyMore(): void {
    this.applyAgain = false
  }

  private applyCommitted(): void {
    if (this.readingForApply || this.machine.isReplacing) return
    for (let n = 0; this.machine.applied < this.commit; n++) {
      const index = (this.machine.applied + 1) as LogIndex
      if (n === appliedPerTurn) {
        if (!this.applyAgain) this.parts.offer({ _tag: "ApplyMore" })
        this.applyAgain = true
        return
      }
      const entry = this.log.entryAt(index)
      if (entry === undefined) {
        this.readingForApply = true
        this.parts.readForApply(index, Math.max(index, Math.min(this.commit, this.durable.index)) as LogIndex)
        return
      }
      this.apply(entry)
    }
  }

  private apply(entry: LogEntry): void {
    const outcome = this.machine.apply(entry)
    if (this.parts.observer !== null) this.parts.observer.applied(this.view, entry, outcome)
    this.writes.applied(entry.index, entry.term, outcome)
  }

  private saveHardState(): void {
    this.disk.setHardState({ term: this.term, votedFor: this.votedFor })
  }

  private readonly termAt = (index: LogIndex): Term | undefined => this.log.termAt(index)
}
