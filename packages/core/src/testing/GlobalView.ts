/**
 * What an omniscient observer knows of a simulated cluster: each node's log in memory and on disk, who led which term,
 * what is committed, and what was applied. The invariants in `invariants/` are stated over it.
 */
import { getU32 } from "../domain/Bytes.ts"
import { decodeCommand } from "../domain/CommandCodec.ts"
import type { NodeId } from "../domain/Identity.ts"
import { commandKind, type LogEntry } from "../domain/LogEntry.ts"
import type { Membership } from "../domain/Membership.ts"
import type { Outcome } from "../domain/Outcome.ts"
import type { PeerMessage } from "../domain/PeerMessage.ts"
import type { LogId, LogIndex, Term } from "../domain/Position.ts"
import type { Role } from "../domain/Role.ts"
import type { HardState } from "../LogStore.ts"
import type { NodeView } from "../state/Observer.ts"
import type { DurableClaim } from "../Transport.ts"
import { AppliedHistory } from "./AppliedHistory.ts"
import type { Calm } from "./CalmPhase.ts"
import { Coverage } from "./Coverage.ts"
import type { Invariant } from "./invariants/Invariant.ts"
import { mix32 } from "./Prng.ts"
import type { SimDisk } from "./SimDisk.ts"
import type { SimWorld } from "./SimWorld.ts"
import { SnapshotLedger } from "./SnapshotLedger.ts"
import { votersOf } from "./Voters.ts"

/** An entry's identity: `chain` covers it and everything before it. */
export interface Mark {
  readonly term: Term
  readonly checksum: number
  readonly chain: number
  /** The voters, where it is a config entry, … */
  readonly voters: ReadonlyArray<NodeId> | null
  /** … all members, … */
  readonly members: ReadonlyArray<NodeId> | null
  /** … and the whole of it. */
  readonly membership: Membership | null
}

/** A committed entry, and the term of the node that first said so. */
export interface CommittedMark extends Mark {
  readonly knownIn: Term
}

/** A node's state after its last batch. */
export interface Snapshot {
  readonly role: Role
  readonly term: Term
  readonly votedFor: NodeId | null
  readonly commit: LogIndex
  readonly applied: LogIndex
  readonly revision: number
}

/** One node through all its runs. */
export interface NodeRecord {
  readonly id: NodeId
  readonly disk: SimDisk
  isUp: boolean
  /** Its log in memory; entry i is at place i - 1. */
  log: Array<Mark>
  /** Indexes of the config entries in it. */
  configs: Array<number>
  /** Null before the first batch of a run. */
  last: Snapshot | null
  /** Whether entries have joined its log in this run. */
  hasAppended: boolean
  pending: NodeView["pending"]
  /** What the process holds for others, whenever it is asked. */
  held: NodeView["held"]
}

/** A term's leader, and its log while it leads. */
export interface Leadership {
  readonly node: NodeId
  readonly log: ReadonlyArray<Mark>
}

const noPending = { writes: 0, reads: 0, bytes: 0 }
const nothingHeld: NodeView["held"] = () => ({})

export const markOf = (previous: Mark | undefined, entry: LogEntry): Mark => {
  const checksum = getU32(entry.record, 0)
  const membership = membershipOf(entry)
  return {
    term: entry.term,
    checksum,
    chain: mix32(previous?.chain ?? 1, checksum),
    voters: membership === null ? null : votersOf(membership),
    members: membership === null ? null : membership.members.map((member) => member.id),
    membership
  }
}

const membershipOf = (entry: LogEntry): Membership | null => {
  if (entry.kind !== commandKind.Configure) return null
  const command = decodeCommand(entry.record)
  return command._tag === "Configure" ? command.membership : null
}

/** A majority of these. */
export const majority = (voters: ReadonlyArray<unknown>): number => Math.floor(voters.length / 2) + 1

export class GlobalView {
  readonly world: SimWorld
  readonly nodes = new Map<NodeId, NodeRecord>()
  /** Entry i is at place i - 1. */
  readonly committed: Array<CommittedMark> = []
  /** Who has led, by term. */
  readonly leaders = new Map<Term, Leadership>()
  /** The voters that ever had a durable vote for a candidate, by term. */
  readonly votes = new Map<Term, Map<NodeId, NodeId>>()
  readonly applied = new AppliedHistory()
  readonly coverage = new Coverage()
  /** Snapshots that took the place of a log, and what becomes of each. */
  snapshots = 0
  readonly ledger = new SnapshotLedger(this.coverage)
  /** While nothing is wrong with the leader, and little with anybody else; else null. */
  calm: Calm | null = null
  /** How often a node became leader, and how often it was another one than before. */
  elections = 0
  leaderChanges = 0
  /** The members by the last committed config entry. */
  members: ReadonlySet<NodeId> = new Set()
  /** All that ever were, by a committed one. */
  readonly everMembers = new Set<NodeId>()
  /** Who has campaigned since leadership was handed over, in which term. */
  private readonly handed = new Map<NodeId, Term>()
  private lastLeader: NodeId | null = null
  private standings: ReadonlyMap<NodeId, string> = new Map()
  private readonly addresses = new Map<NodeId, string>()
  private readonly invariants: Array<Invariant> = []

  constructor(world: SimWorld) {
    this.world = world
  }

  add(invariant: Invariant): void {
    this.invariants.push(invariant)
  }

  addNode(disk: SimDisk): NodeRecord {
    const record: NodeRecord = {
      id: disk.node,
      disk,
      isUp: false,
      log: [],
      configs: [],
      last: null,
      hasAppended: false,
      pending: noPending,
      held: nothingHeld
    }
    this.nodes.set(disk.node, record)
    return record
  }

  node(id: NodeId): NodeRecord {
    const record = this.nodes.get(id)
    if (record === undefined) throw new Error(`there is no node ${id}`)
    return record
  }

  violate(invariant: Invariant["id"], message: string): void {
    this.world.violate(invariant, message)
  }

  /** Whether so many of these voters hold this entry on disk, crashed ones included. */
  isDurableOn(voters: ReadonlyArray<NodeId>, index: number, term: Term): boolean {
    const holders = voters.filter((id) => {
      const disk = this.nodes.get(id)?.disk
      // What its log has dropped is in its state.
      return disk !== undefined && (index < disk.base.index || disk.acknowledgedTermAt(index as LogIndex) === term)
    })
    return holders.length >= majority(voters)
  }

  /** A process of this node starts: what it has in memory is what is on its disk. */
  started(id: NodeId): void {
    const node = this.node(id)
    node.isUp = true
    node.last = null
    node.hasAppended = false
    const { hardState } = node.disk
    if (hardState !== null) this.noteVote(id, hardState)
    this.loadLog(node)
    for (const invariant of this.invariants) invariant.started?.(node)
  }

  /** It is gone, by a crash or by its own will. */
  ended(id: NodeId): void {
    const node = this.node(id)
    node.isUp = false
    node.pending = noPending
    node.held = nothingHeld
  }

  appended(view: NodeView, entries: ReadonlyArray<LogEntry>): void {
    const first = entries[0]
    if (first === undefined) return
    const node = this.node(view.id)
    node.hasAppended = true
    for (const invariant of this.invariants) invariant.appending?.(node, view, entries)
    if (first.index > node.log.length + 1) {
      this.violate("I9", `${view.id} appends ${first.index} after ${node.log.length}`)
      return
    }
    const replaced = node.log.slice(first.index - 1)
    // A new array: the old one is on record as the log of a term that this node led.
    if (replaced.length > 0) node.log = node.log.slice(0, first.index - 1)
    node.configs = node.configs.filter((index) => index < first.index)
    for (const entry of entries) this.push(node, entry)
    for (const invariant of this.invariants) invariant.appended?.(node, view, entries, replaced)
  }

  /** A snapshot took the place of a node's state: it stands for the entries that are committed up to its end. */
  installed(view: NodeView, last: LogId, keepsLog: boolean): void {
    const node = this.node(view.id)
    node.hasAppended = true
    this.snapshots++
    if (!keepsLog) this.begin(node, last)
    for (const invariant of this.invariants) invariant.installed?.(node, last)
  }

  appliedEntry(view: NodeView, entry: LogEntry, outcome: Outcome): void {
    const node = this.node(view.id)
    this.applied.note(entry, outcome)
    for (const invariant of this.invariants) invariant.applied?.(node, view, entry, outcome)
  }

  stepped(view: NodeView): void {
    const node = this.node(view.id)
    const before = node.last
    if (view.role === "Leader" && !(before?.role === "Leader" && before.term === view.term)) this.elected(node, view)
    for (const invariant of this.invariants) invariant.stepped?.(node, view, before)
    this.noteCommit(node, view, before?.commit ?? 0)
    if (before?.role !== view.role) this.coverage.transition(before?.role ?? "start", view.role)
    if (before === null || before.role !== view.role || before.term !== view.term) {
      const { leader, role, term } = view
      this.world.timeline.record(this.world.now, view.id, `${role} t${term}${leader === null ? "" : ` of ${leader}`}`)
    }
    node.last = {
      role: view.role,
      term: view.term,
      votedFor: view.votedFor,
      commit: view.commit,
      applied: view.applied,
      revision: view.revision
    }
    node.pending = { ...view.pending }
    node.held = view.held
  }

  sent(from: NodeId, to: NodeId, message: PeerMessage, claim: DurableClaim | undefined): void {
    const node = this.nodes.get(from)
    if (node === undefined) return
    if (message._tag === "VoteRequest" && message.transfer && !message.preVote) this.handed.set(from, message.term)
    for (const invariant of this.invariants) invariant.sent?.(node, to, message, claim)
  }

  /** A message reaches a process of this node. */
  received(to: NodeId, message: PeerMessage): void {
    const role = this.nodes.get(to)?.last?.role
    if (role !== undefined) this.coverage.meeting(message._tag, role)
  }

  hardStateDurable(id: NodeId, before: HardState | null, after: HardState): void {
    const node = this.node(id)
    for (const invariant of this.invariants) invariant.hardState?.(node, before, after)
    this.noteVote(id, after)
  }

  logDurable(id: NodeId, from: LogIndex, removed: ReadonlyArray<LogEntry>): void {
    const node = this.node(id)
    // Before its first batch a node may still found a cluster: the log that it then takes up is the one on disk.
    if (node.last === null && !node.hasAppended) this.loadLog(node)
    for (const invariant of this.invariants) invariant.written?.(node, from, removed)
  }

  private elected(node: NodeRecord, view: NodeView): void {
    this.elections++
    if (this.lastLeader !== null && this.lastLeader !== node.id) this.leaderChanges++
    this.lastLeader = node.id
    if (this.handed.get(node.id) === view.term) this.coverage.happened("leadership handed over")
    for (const invariant of this.invariants) invariant.elected?.(node, view)
    // The leader's own log object, so that the record grows with it.
    this.leaders.set(view.term, { node: node.id, log: node.log })
  }

  private noteCommit(node: NodeRecord, view: NodeView, from: number): void {
    for (let index = from + 1; index <= view.commit; index++) {
      const mark = node.log[index - 1]
      const known = this.committed[index - 1]
      if (mark === undefined) {
        this.violate("I9", `${view.id} commits ${index}, but its log ends at ${node.log.length}`)
        return
      }
      if (known === undefined) {
        this.committed.push({ ...mark, knownIn: view.term })
        if (mark.membership !== null) this.noteMembers(mark.membership)
      }
      if (known !== undefined && known.chain !== mark.chain) {
        this.violate(
          "I6",
          `${view.id} commits ${index} of term ${mark.term}, but another entry is committed there (term ${known.term})`
        )
        return
      }
    }
  }

  /** What somebody is by the last committed config entry; undefined for nothing. */
  standingOf(id: NodeId): string | undefined {
    return this.standings.get(id)
  }

  private noteMembers({ members }: Membership): void {
    const standings = new Map(members.map(({ id, standing }) => [id, standing]))
    for (const [id, before] of this.standings) {
      const now = standings.get(id) ?? "gone"
      if (before !== now) this.coverage.happened(`${before}>${now}`)
    }
    for (const { address, id } of members) {
      const before = this.addresses.get(id)
      if (before !== undefined && before !== address) this.coverage.happened("address changed")
      this.addresses.set(id, address)
      this.everMembers.add(id)
    }
    this.standings = standings
    this.members = new Set(standings.keys())
  }

  private noteVote(id: NodeId, { term, votedFor }: HardState): void {
    if (votedFor === null) return
    const votes = this.votes.get(term) ?? new Map<NodeId, NodeId>()
    this.votes.set(term, votes)
    if (!votes.has(id)) votes.set(id, votedFor)
  }

  private loadLog(node: NodeRecord): void {
    // A wiped or restored disk holds what its new life has written; a damaged one nothing that anybody gets to read.
    if (node.disk.isRotten) {
      node.log = []
      node.configs = []
      return
    }
    this.begin(node, node.disk.base)
    for (let index = node.disk.base.index + 1; index <= node.disk.last; index++) {
      this.push(node, node.disk.entryAt(index as LogIndex)!)
    }
  }

  /** Fills a log with the committed entries up to a place at which a snapshot or a compacted log begins. */
  private begin(node: NodeRecord, { index, term }: LogId): void {
    node.log = this.committed.slice(0, index)
    node.configs = node.log.flatMap((mark, i) => mark.voters === null ? [] : [i + 1])
    if (node.log.length === index && (node.log.at(-1)?.term ?? 0) === term) return
    this.violate("I24", `${node.id} begins after ${term}.${index}, but ${this.committed.length} entries are committed`)
  }

  private push(node: NodeRecord, entry: LogEntry): void {
    const mark = markOf(node.log.at(-1), entry)
    node.log.push(mark)
    if (mark.voters !== null) node.configs.push(node.log.length)
  }
}
