/**
 * A leader's replication: what each follower has, what goes to it next, and who was heard of when (§5.3).
 *
 * Every append carries the number of the leader's latest round of contact, and every reply the highest received; so a
 * reply proves contact at the time when its round was begun, however late it arrives.
 */
import { feature } from "../domain/Features.ts"
import type { NodeId } from "../domain/Identity.ts"
import type { LogEntry } from "../domain/LogEntry.ts"
import { directoryOf } from "../domain/PeerDirectory.ts"
import type { AppendRequest, PeerMessageOf } from "../domain/PeerMessage.ts"
import { before, type LogIndex, logStart, type Term } from "../domain/Position.ts"
import { ContactRounds } from "../rules/ContactRounds.ts"
import { agreeingUpTo } from "../rules/LogMatching.ts"
import { Progress } from "../rules/Progress.ts"
import type { NodeState } from "./NodeState.ts"
import { SnapshotSending } from "./SnapshotSending.ts"

/** An append carries at most this many bytes of entries, but at least one entry. */
const maxAppendBytes = 1024 * 1024
/** The beginnings of rounds are remembered to within this part of an election time-out. */
const roundGrain = 1 / 64

export class Replication {
  readonly progress = new Map<NodeId, Progress>()
  round = 0
  private readonly node: NodeState
  private readonly readForPeer: (id: NodeId, from: LogIndex) => void
  private readonly rounds: ContactRounds
  readonly snapshots: SnapshotSending
  /** Everybody gets an append in this turn, with or without entries. */
  private broadcast = false
  /** The last append of this turn: followers that stand alike get the very same object, and it is encoded once. */
  private last: AppendRequest | null = null
  /** Who is no member any more gets what this turn sends, and nothing after it. */
  private dismisses = false

  /** `readForPeer` has entries read that left the memory window; `EntriesRead` follows. */
  constructor(node: NodeState, readForPeer: (id: NodeId, from: LogIndex) => void) {
    this.node = node
    this.snapshots = new SnapshotSending(node, this.progress)
    this.readForPeer = readForPeer
    this.rounds = new ContactRounds(node.parts.electionTimeout * roundGrain)
    this.follow()
  }

  /**
   * Replicates to exactly the other members of the membership in force, and to those whose removal is not committed
   * yet: they have to learn of it.
   */
  follow(): void {
    const { log, memberships, now } = this.node
    const { members } = directoryOf(memberships.current, memberships.lastCommitted)
    for (const { id } of members) {
      if (id === this.node.id || this.progress.has(id)) continue
      this.progress.set(id, new Progress((log.last + 1) as LogIndex, now))
    }
    for (const id of this.progress.keys()) {
      if (!members.some((member) => member.id === id)) this.progress.delete(id)
    }
  }

  /** A membership is committed: everybody hears of it in this turn, and for those who are out it is the last. */
  dismiss(): void {
    this.broadcast = true
    this.dismisses = true
  }

  /** A heartbeat is due: links that took nothing are tried again. */
  retry(): void {
    for (const progress of this.progress.values()) progress.refused = false
    this.snapshots.retry()
  }

  /** A write that `id` forwarded is in the log at `index`: its caller waits until `id` knows that it is committed. */
  awaited(id: NodeId, index: LogIndex): void {
    const progress = this.progress.get(id)
    if (progress !== undefined) progress.awaited = index
  }

  /** Begins a round of contact: every follower hears of it in this turn. Returns its number. */
  beginRound(): number {
    this.round++
    this.rounds.begin(this.round, this.node.now)
    this.broadcast = true
    return this.round
  }

  /** What `id` holds durably; of this node itself, what its own disk does. */
  readonly match = (id: NodeId): LogIndex =>
    id === this.node.id ? this.node.durable.index : this.matchOf(this.progress.get(id))

  private matchOf(progress: Progress | undefined): LogIndex {
    return progress === undefined || progress.forgot ? (0 as LogIndex) : progress.match
  }

  /** Bytes of entries on their way to all followers. */
  get inflightBytes(): number {
    let bytes = 0
    for (const progress of this.progress.values()) bytes += progress.bytesUnderWay
    return bytes
  }

  /** Whether `id` was in contact less than `withinMs` milliseconds ago. */
  isLive(id: NodeId, withinMs: number): boolean {
    if (id === this.node.id) return true
    const progress = this.progress.get(id)
    return progress !== undefined && !progress.forgot && this.node.now - progress.contactAt < withinMs
  }

  /** Whether `id` has answered `round` or a later one. */
  answered(id: NodeId, round: number): boolean {
    return id === this.node.id || (this.progress.get(id)?.round ?? -1) >= round
  }

  /** Takes a follower's answer in this term. */
  receive(from: NodeId, reply: PeerMessageOf<"AppendReply">): void {
    const progress = this.progress.get(from)
    if (progress === undefined || progress.forgot || reply.round > this.round) return
    if (!reply.matched) progress.judge(reply.hint, reply.round)
    if (progress.forgot) return
    progress.refused = false
    let isNews = reply.round > progress.round
    if (isNews) {
      progress.round = reply.round
      progress.answered(this.rounds.beganBy(reply.round))
    }
    if (!reply.matched) this.rejected(progress, reply)
    else if (reply.index <= this.node.log.last && progress.matched(reply.index, this.round)) isNews = true
    if (isNews) progress.contactAt = this.node.now
  }

  private rejected(progress: Progress, { hint, index }: PeerMessageOf<"AppendReply">): void {
    const { log } = this.node
    const { base } = log
    const agreed = agreeingUpTo(log, hint)
    // What was dropped cannot be compared: where the logs agree before the base only, it is taken for no agreement.
    const isBefore = hint.index < base.index || (hint.index === base.index && hint.term !== base.term) ||
      (agreed.index === base.index && base.term > hint.term)
    if (isBefore) progress.rejected(index, { ...logStart, index: Math.min(hint.index, base.index - 1) as LogIndex })
    else if (progress.state !== "Snapshot") progress.rejected(index, agreed)
    else if (agreed.index > base.index) progress.helped(agreed.index)
  }

  /** Takes a follower's word on the snapshot that it gets. */
  snapshotReply(from: NodeId, reply: PeerMessageOf<"SnapshotReply">): void {
    const done = this.snapshots.receive(from, reply)
    if (done !== null && done <= this.node.log.last) this.progress.get(from)?.helped(done)
  }

  /** The lowest index after which a follower in contact may still need entries. */
  needed(): number {
    return this.snapshots.needed((id) => this.isLive(id, 2 * this.node.parts.electionTimeout))
  }

  /** Entries read back for a follower have come; meanwhile the log may have been compacted beyond them. */
  entriesRead(id: NodeId, entries: ReadonlyArray<LogEntry>): void {
    const progress = this.progress.get(id)
    if (progress === undefined) return
    progress.reading = false
    const [first] = entries
    if (first?.index !== progress.next || !this.holds(entries)) return
    if (progress.maySend(this.node.parts.limits.inflightBytes)) this.sendEntries(id, progress, entries)
  }

  /** Whether entries of one log are those of this one, where it still knows them: their ends say it (§5.3). */
  private holds(entries: ReadonlyArray<LogEntry>): boolean {
    const { log } = this.node
    const last = entries.at(-1)!
    return entries[0]!.index > log.base.index && log.termAt(last.index) === last.term
  }

  /** Sends each follower what it may get now. */
  flush(): void {
    for (const [id, progress] of this.progress) {
      if (progress.forgot) {
        if (this.broadcast) this.refuse(id, progress.match)
        continue
      }
      const { index: base } = this.node.log.base
      if (progress.next <= base || progress.state === "Snapshot") progress.needSnapshot(base)
      const sent = this.sendNew(id, progress)
      if (!sent && (this.broadcast || this.owesCommit(progress))) this.sendAppend(id, progress, [])
    }
    this.snapshots.flush()
    this.broadcast = false
    this.last = null
    if (!this.dismisses) return
    this.dismisses = false
    this.follow()
  }

  /** Tells a follower that it lost what it had acknowledged: it must vote no more either. */
  private refuse(id: NodeId, index: LogIndex): void {
    const { log, parts, term } = this.node
    // An older version would cut the connection at a message that it does not know.
    if (((parts.transport.features(id) ?? 0) & feature.administration) === 0) return
    const lost = { term: log.termAt(index) ?? term, index }
    this.node.send(id, { _tag: "Refused", term, reason: "rolledBack", lost })
  }

  /** Whether this follower waits to hear of a commit that no append has told it of. */
  private owesCommit(progress: Progress): boolean {
    const { commit } = this.node
    return progress.told < progress.awaited && progress.told < commit && !progress.refused
  }

  private sendNew(id: NodeId, progress: Progress): boolean {
    const { log, parts } = this.node
    let sent = false
    while (progress.next <= log.last && !progress.reading && progress.maySend(parts.limits.inflightBytes)) {
      const entries = log.slice(progress.next, maxAppendBytes)
      if (entries === undefined) {
        progress.reading = true
        this.readForPeer(id, progress.next)
        break
      }
      if (!this.sendEntries(id, progress, entries)) break
      sent = true
    }
    return sent
  }

  private sendEntries(id: NodeId, progress: Progress, entries: ReadonlyArray<LogEntry>): boolean {
    if (!this.sendAppend(id, progress, entries)) {
      progress.refused = true
      return false
    }
    let bytes = 0
    for (const entry of entries) bytes += entry.record.length
    progress.sent(entries.at(-1)!.index, bytes)
    return true
  }

  private sendAppend(id: NodeId, progress: Progress, entries: ReadonlyArray<LogEntry>): boolean {
    const { commit, log, term } = this.node
    const previous = before(progress.next)
    const previousTerm = log.termAt(previous)
    if (previousTerm === undefined) throw new Error(`the log has no entry ${previous} that ${id} needs`)
    const append = this.appendOf(previous, previousTerm, entries)
    const sent = this.node.send(id, append, { term, votedFor: this.node.id, index: 0 as LogIndex })
    if (sent) progress.told = commit
    return sent
  }

  private appendOf(index: LogIndex, previousTerm: Term, entries: ReadonlyArray<LogEntry>): AppendRequest {
    const { last, round } = this
    const { commit, term } = this.node
    // Equal ends make equal entries: they are contiguous, and all come from this one log.
    if (
      last !== null && last.previous.index === index && last.term === term && last.committed === commit &&
      last.round === round && last.entries.length === entries.length && last.entries.at(-1) === entries.at(-1)
    ) return last
    const previous = { term: previousTerm, index }
    this.last = { _tag: "AppendRequest", term, previous, committed: commit, round, entries }
    return this.last
  }
}
