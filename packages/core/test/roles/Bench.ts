/**
 * One node's roles on a bench: a fake transport that keeps what was sent, a fake disk that is done when the test says
 * so, and a clock that the test moves. Every message that claims something about the disk is held against the disk.
 */
import { assert } from "@effect/vitest"
import { defaultLimits, type Limits } from "../../src/DistKvSettings.ts"
import { encodeCommand } from "../../src/domain/CommandCodec.ts"
import type { Key } from "../../src/domain/Entry.ts"
import { ownFeatures } from "../../src/domain/Features.ts"
import type { Address, ClusterId, Incarnation, NodeId, Refusal } from "../../src/domain/Identity.ts"
import type { LogEntry } from "../../src/domain/LogEntry.ts"
import type { Membership, Standing } from "../../src/domain/Membership.ts"
import type { Introduction } from "../../src/domain/PeerDirectory.ts"
import type { AdminCommand, AdminResult, Envelope, PeerMessage, PeerMessageOf } from "../../src/domain/PeerMessage.ts"
import type { LogIndex, Revision } from "../../src/domain/Position.ts"
import { stamp } from "../../src/domain/RecordCodec.ts"
import type { SnapshotId } from "../../src/domain/Snapshot.ts"
import { TermRuns } from "../../src/domain/TermRuns.ts"
import type { LogWrite } from "../../src/LogStore.ts"
import * as MemoryStateStore from "../../src/MemoryStateStore.ts"
import { Candidate } from "../../src/roles/Candidate.ts"
import { Follower } from "../../src/roles/Follower.ts"
import { Leader } from "../../src/roles/Leader.ts"
import { NodeState } from "../../src/roles/NodeState.ts"
import { type Player, runBatch } from "../../src/roles/play.ts"
import { Admission } from "../../src/state/Admission.ts"
import { MembershipLog } from "../../src/state/MembershipLog.ts"
import type { NodeMessage } from "../../src/state/NodeMessage.ts"
import type { PendingRead, ReadSettlement } from "../../src/state/PendingReads.ts"
import { pendingWrite, type WriteSettlement } from "../../src/state/PendingWrites.ts"
import { RaftLog } from "../../src/state/RaftLog.ts"
import type { SnapshotDesk } from "../../src/state/SnapshotDesk.ts"
import { StateMachine } from "../../src/state/StateMachine.ts"
import { WriteBuffer } from "../../src/state/WriteBuffer.ts"
import type { DurableClaim } from "../../src/Transport.ts"
import { index, term } from "../rules/Logs.ts"
import { member, node as idOf } from "../rules/Voters.ts"

export const electionTimeout = 1000
export const clusterId = "c".repeat(32) as ClusterId
export const incarnationOf = (id: NodeId): Incarnation => (id.charCodeAt(1).toString(16).repeat(16)) as Incarnation

/** `n1` to `nN` as voters and the next ones as learners, their incarnations bound. */
export const cluster = (voters: number, learners = 0, standing: Standing = "learner"): Membership => ({
  members: Array.from({ length: voters + learners }, (_, i) => {
    const id = idOf(i + 1)
    return { ...member(id, i < voters ? "voter" : standing), incarnation: incarnationOf(id) }
  }),
  tombstones: [],
  outgoing: null,
  features: ownFeatures
})

/** The same without features: what a cluster is while one of its members runs the first release. */
export const olderCluster = (voters: number): Membership => {
  const { features: _, ...membership } = cluster(voters)
  return membership
}

export const put = (termOf: number, indexOf: number, key = `k${indexOf}`): LogEntry =>
  stamp(putRecord(key), term(termOf), index(indexOf))

export const configure = (termOf: number, indexOf: number, membership: Membership): LogEntry =>
  stamp(encodeCommand({ _tag: "Configure", membership }), term(termOf), index(indexOf))

export const putRecord = (key: string): Uint8Array =>
  encodeCommand({
    _tag: "Put",
    key: key as Key,
    value: new Uint8Array([1]),
    ifRevision: null,
    previous: false,
    leaseId: null
  })

/** What a message from `from`, a member of the cluster, looks like in the inbox. */
export const peer = (from: number, message: PeerMessage, over: Partial<Envelope> = {}): NodeMessage => {
  const { id, publicKey } = member(idOf(from))
  return {
    _tag: "Peer",
    envelope: { from: id, publicKey, incarnation: incarnationOf(id), clusterId, message, ...over }
  }
}

/** An append of the given entries after `(previousTerm, previousIndex)`. */
export const append = (
  from: number,
  termOf: number,
  previous: readonly [term: number, index: number],
  entries: ReadonlyArray<LogEntry> = [],
  committed = 0,
  round = 1
): NodeMessage =>
  peer(from, {
    _tag: "AppendRequest",
    term: term(termOf),
    previous: { term: term(previous[0]), index: index(previous[1]) },
    committed: index(committed),
    round,
    entries
  })

export const accepted = (from: number, termOf: number, indexOf: number, round = 0): NodeMessage =>
  peer(from, {
    _tag: "AppendReply",
    term: term(termOf),
    matched: true,
    index: index(indexOf),
    hint: { term: term(0), index: index(0) },
    round
  })

export const rejected = (
  from: number,
  termOf: number,
  indexOf: number,
  hint: readonly [term: number, index: number],
  round = 0
): NodeMessage =>
  peer(from, {
    _tag: "AppendReply",
    term: term(termOf),
    matched: false,
    index: index(indexOf),
    hint: { term: term(hint[0]), index: index(hint[1]) },
    round
  })

export const voteRequest = (
  from: number,
  termOf: number,
  lastLog: readonly [term: number, index: number],
  kind: { readonly preVote?: boolean; readonly transfer?: boolean } = {}
): NodeMessage =>
  peer(from, {
    _tag: "VoteRequest",
    term: term(termOf),
    preVote: kind.preVote ?? false,
    transfer: kind.transfer ?? false,
    lastLog: { term: term(lastLog[0]), index: index(lastLog[1]) }
  })

export const vote = (from: number, termOf: number, granted = true, preVote = false): NodeMessage =>
  peer(from, { _tag: "VoteReply", term: term(termOf), preVote, granted })

/** An operator's order to admit `n<n>` as a learner. */
export const addLearner = (n: number): AdminCommand => {
  const { address, id, publicKey } = member(idOf(n))
  return { _tag: "AddMember", id, publicKey, address, learner: true }
}

export interface BenchOptions {
  readonly membership?: Membership
  /** The terms of the log's entries. */
  readonly log?: ReadonlyArray<number>
  readonly term?: number
  readonly votedFor?: NodeId | null
  readonly clockDrift?: number
  readonly limits?: Partial<Limits>
  /** Numbers drawn, in [0, 1); the last one for ever. */
  readonly random?: ReadonlyArray<number>
}

interface Sent<M extends PeerMessage = PeerMessage> {
  readonly to: NodeId
  readonly message: M
}

export class Bench {
  readonly node: NodeState
  now = 0
  /** Since when the disk is said to be busy. */
  busySince: number | null = null
  /** Peers to whom nothing can be sent. */
  readonly unreachable = new Set<NodeId>()
  /** What peers announce; everything, where they are not named. */
  readonly features = new Map<NodeId, number | null>()
  /** What the peers say of where they are. */
  readonly introduced = new Map<NodeId, Introduction>()
  /** Whom the transport was last told to talk to. */
  directory: Membership | null = null
  /** Refusals that were to be made durable. */
  readonly saved: Array<Refusal> = []
  /** What was dropped from the disk. */
  readonly compacted: Array<LogIndex> = []
  /** What was asked of the fibers that deal with snapshots, by name; and the snapshot that they have. */
  readonly asked: Array<string> = []
  snapshot: SnapshotId | null = null
  private readonly desk: SnapshotDesk = {
    current: () => this.snapshot,
    build: () => void this.asked.push("build"),
    drop: () => void this.asked.push("drop"),
    read: (to, _id, offset) => void this.asked.push(`read ${to} ${offset}`),
    receive: (id) => void this.asked.push(`receive ${id.last.index}`),
    append: (bytes) => void this.asked.push(`append ${bytes.length}`),
    prepare: () => void this.asked.push("prepare"),
    install: () => void this.asked.push("install"),
    abandon: () => void this.asked.push("abandon")
  }
  /** Messages that did not get through. */
  refused = 0
  player: Player
  private sent: Array<Sent> = []
  private readonly inbox: Array<NodeMessage> = []
  private readonly submissions: Array<{ readonly number: number; readonly write: LogWrite }> = []
  private readonly disk: { term: number; votedFor: NodeId | null; last: number }

  constructor(options: BenchOptions = {}) {
    const { log: terms = [], membership = cluster(3), random = [0.5], votedFor = null } = options
    const log = new RaftLog(new TermRuns([], index(0)))
    terms.forEach((one, i) => log.push(put(one, i + 1)))
    const hardState = { term: term(options.term ?? terms.at(-1) ?? 1), votedFor }
    this.disk = { ...hardState, last: terms.length }
    let drawn = 0
    const id = idOf(1)
    this.node = new NodeState({
      id,
      incarnation: incarnationOf(id),
      publicKey: member(id).publicKey,
      clusterId,
      address: "n1:7000" as Address,
      http: null,
      refused: null,
      electionTimeout,
      heartbeat: 100,
      clockDrift: options.clockDrift ?? null,
      limits: { ...defaultLimits, ...options.limits },
      admission: new Admission(defaultLimits),
      maxDirtyBytes: Number.POSITIVE_INFINITY,
      version: "test",
      hardState,
      log,
      machine: new StateMachine(MemoryStateStore.make(new MemoryStateStore.MemoryState()), null),
      memberships: new MembershipLog(index(0), membership),
      transport: {
        address: "n1:7000" as Address,
        send: (to, message, claim) => this.send(to, message, claim),
        flush: () => {},
        setMembership: (directory) => void (this.directory = directory),
        introduce: () => {},
        introductions: () => this.introduced,
        setClusterId: () => {},
        links: () => this.node.membership.members.map((one) => ({ id: one.id, accepts: true, connected: true })),
        traffic: () => [],
        features: (id) => this.features.has(id) ? this.features.get(id)! : ownFeatures,
        call: () => {
          throw new Error("nobody calls here")
        }
      },
      submit: (number, write) => void this.submissions.push({ number, write }),
      commitBusySince: () => this.busySince,
      offer: (message) => void this.inbox.push(message),
      watchDeadlines: () => {},
      compact: (to) => void this.compacted.push(to),
      snapshots: this.desk,
      readForApply: () => {},
      adopt: () => {},
      saveRefusal: (reason) => void this.saved.push(reason),
      random: () => random[Math.min(drawn++, random.length - 1)]!,
      clock: () => this.now,
      observer: null
    })
    this.player = new Follower(this.node)
    this.player.flush()
  }

  /** Hands messages over as one batch, and plays on through every change of role that they bring. */
  deliver(...messages: ReadonlyArray<NodeMessage>): this {
    const { node } = this
    node.now = this.now
    runBatch(node, this.player, messages)
    while (node.next !== null) {
      node.role = node.next
      node.next = null
      if (this.player instanceof Leader) this.player.end()
      this.player = this.play()
      this.player.flush()
      if (node.next === null && node.carry.length > 0) runBatch(node, this.player, node.carry.splice(0))
    }
    return this
  }

  /** The disk has done all that waits, in one step for each turn, or in a single one; or only the first `steps`. */
  persist(together = false, steps = Number.POSITIVE_INFINITY): this {
    for (let step = 0; step < steps && this.submissions.length > 0; step++) {
      const batch = this.submissions.splice(0, together ? this.submissions.length : 1)
      const buffer = new WriteBuffer()
      for (const { write } of batch) buffer.add(write)
      const write = buffer.take()
      const last = write.entries.at(-1)
      if (write.hardState !== null) Object.assign(this.disk, write.hardState)
      if (last !== undefined) this.disk.last = last.index
      this.deliver({
        _tag: "Persisted",
        number: batch.at(-1)!.number,
        hardState: write.hardState,
        last: last === undefined ? null : { term: last.term, index: last.index }
      })
    }
    return this
  }

  /** Wins an election with the votes of `n2` and (of five) `n3`; the first entry of the term is durable here. */
  lead(voters: ReadonlyArray<number> = [2, 3]): this {
    this.elapse(2 * electionTimeout).deliver({ _tag: "ElectionDue" })
    this.deliver(...voters.map((from) => vote(from, this.node.term + 1, true, true)))
    this.persist().deliver(...voters.map((from) => vote(from, this.node.term)))
    assert.strictEqual(this.node.role, "Leader")
    this.persist()
    return this
  }

  elapse(ms: number): this {
    this.now += ms
    return this
  }

  /** What was sent since the last call, of one kind. */
  take<Tag extends PeerMessage["_tag"]>(tag: Tag): ReadonlyArray<Sent<PeerMessageOf<Tag>>> {
    const sent = this.sent
    this.sent = []
    return sent.filter((one): one is Sent<PeerMessageOf<Tag>> => one.message._tag === tag)
  }

  /** A caller's write; the list gets how it ends. */
  propose(key: string, timeout = 5000): Array<WriteSettlement> {
    const [message, ends] = this.write(key, timeout)
    this.deliver(message)
    return ends
  }

  /** The same, for a batch. */
  write(key: string, timeout = 5000): [message: NodeMessage, ends: Array<WriteSettlement>] {
    const ends: Array<WriteSettlement> = []
    const write = pendingWrite({
      record: putRecord(key),
      deadline: this.now + timeout,
      origin: null,
      hops: 0,
      settle: (settlement) => void ends.push(settlement)
    })
    return [{ _tag: "Propose", write }, ends]
  }

  /** A caller's linearizable read; the list gets how it ends. */
  read(timeout = 5000): Array<ReadSettlement> {
    const ends: Array<ReadSettlement> = []
    const read: PendingRead = {
      deadline: this.now + timeout,
      minRevision: 0 as Revision,
      readIndex: null,
      settled: false,
      local: false,
      settle: (settlement) => void ends.push(settlement)
    }
    this.deliver({ _tag: "Read", read })
    return ends
  }

  administer(command: AdminCommand, timeout = 5000): Array<AdminResult> {
    const [message, ends] = this.order(command, timeout)
    this.deliver(message)
    return ends
  }

  /** The same, for a batch. */
  order(command: AdminCommand, timeout = 5000): [message: NodeMessage, ends: Array<AdminResult>] {
    const ends: Array<AdminResult> = []
    const done = (result: AdminResult) => void ends.push(result)
    return [{ _tag: "Administer", command, deadline: this.now + timeout, hops: 0, done }, ends]
  }

  private play(): Player {
    const { node } = this
    switch (node.role) {
      case "Follower":
        return new Follower(node)
      case "Candidate":
        return new Candidate(node)
      case "Leader":
        return new Leader(node, () => {})
    }
  }

  private send(to: NodeId, message: PeerMessage, claim: DurableClaim | undefined): boolean {
    if (claim !== undefined) {
      assert.isAtMost(claim.term, this.disk.term, `${message._tag} of a term that is not durable`)
      assert.isAtMost(claim.index, this.disk.last, `${message._tag} speaks of entries that are not durable`)
      if (claim.votedFor !== null && claim.term === this.disk.term) {
        assert.strictEqual(claim.votedFor, this.disk.votedFor, `${message._tag} of a vote that is not durable`)
      }
    }
    if (this.unreachable.has(to)) {
      this.refused++
      return false
    }
    this.sent.push({ to, message })
    return true
  }
}
