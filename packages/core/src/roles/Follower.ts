/**
 * Follows at most one leader in a term (§5.2, §5.3): takes its entries, acknowledges what is durable, votes, and
 * campaigns when it has not heard from a leader for an election time-out. A learner, or a node that belongs to no
 * cluster yet, follows the same way but never campaigns.
 *
 * Invariant: an acknowledgement names only what is durable here and known to equal the leader's log; an empty or
 * repeated append is acknowledged no differently.
 */
import { NoLeader } from "../DistKvError.ts"
import type { Envelope, PeerMessageOf } from "../domain/PeerMessage.ts"
import type { LogId, LogIndex } from "../domain/Position.ts"
import { logStart } from "../domain/Position.ts"
import { matchAppend } from "../rules/LogMatching.ts"
import type { NodeMessage } from "../state/NodeMessage.ts"
import { Testimony } from "./Agreement.ts"
import { answerUnled, keepForLeader, passOn, sweep, takeAnswer } from "./ClientDesk.ts"
import { answerVote, higherTerm, isForMembers, mayListen, refuseStale, takeRefusal } from "./Conversation.ts"
import { refuseShed } from "./Forwarding.ts"
import { withholdsMs } from "./Leasing.ts"
import { takeNews } from "./News.ts"
import type { NodeState } from "./NodeState.ts"
import { takePiece } from "./SnapshotReceiving.ts"

export class Follower {
  private readonly node: NodeState
  private readonly testimony: Testimony
  /** The highest index up to which this log is known to equal the leader's. */
  private matched = 0 as LogIndex
  /** The highest of the leader's rounds of contact heard of. */
  private round = 0
  /** The round that this node answered last. */
  private answered = 0
  private owesReply = false
  private rejection: { readonly index: LogIndex; readonly hint: LogId } | null = null
  /** The index acknowledged last. */
  private acknowledged = 0 as LogIndex
  private reportAt = 0
  /** Requests for pre-votes of this turn: after a pause of this process a leader's word may lie behind them. */
  private preVotes: Array<Envelope> = []
  /** Election time-outs let pass because the disk reserve is reached. */
  private deferred = 0

  constructor(node: NodeState) {
    this.node = node
    this.testimony = new Testimony(node)
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
      case "ElectionDue":
        return this.electionDue()
      case "Propose":
      case "Read":
      case "Administer":
        return keepForLeader(node, message)
      case "EntriesRead":
        if (message.to === null) node.applyRead(message.entries)
        return
      case "SweepDue":
        return sweep(node)
      case "Welcomed":
        return node.belonging.welcome(message.members)
      case "Adopted":
        node.clusterId = message.clusterId
        node.adopting = false
        return
      case "Close":
        node.closing = true
        return message.done()
      case "HeartbeatDue":
        return
      default:
        return takeNews(node, message)
    }
  }

  /** Ends a turn: answers the leader once, and passes on what needs it. */
  flush(): void {
    this.testimony.flush()
    if (this.preVotes.length > 0) this.answerPreVotes()
    this.acknowledge()
    passOn(this.node)
    this.node.endTurn()
  }

  private receive(envelope: Envelope): void {
    const { node } = this
    const { from, message } = envelope
    if (node.clusterId === null) return this.receiveOutside(envelope)
    if (node.belonging.refused !== null && isForMembers(message)) return
    const higher = higherTerm(node, message)
    if (higher !== null) {
      node.raiseTerm(higher)
      this.forget()
    }
    switch (message._tag) {
      case "VoteRequest": {
        if (message.preVote) return void this.preVotes.push(envelope)
        const { term } = node
        answerVote(node, from, message)
        if (node.term !== term) this.forget()
        return
      }
      case "AppendRequest":
        return message.term < node.term ? refuseStale(node, from) : this.append(envelope, message)
      case "SnapshotPiece":
        if (message.term < node.term) return refuseStale(node, from)
        if (node.leader === null || node.leader === from) takePiece(node, from, message)
        return
      case "TimeoutNow":
        return this.timeoutNow(envelope, message)
      case "ForwardRequest":
      case "ReadIndexRequest":
      case "AdminRequest":
        return answerUnled(node, envelope, message)
      case "ForwardReply":
      case "ReadIndexReply":
      case "AdminReply":
        return takeAnswer(node, from, message)
      case "StateDigest":
        if (message.term === node.term && from === node.leader) this.testimony.receive(message)
        return
      case "Refused":
        return takeRefusal(node, message)
      case "VoteReply":
      case "AppendReply":
      case "SnapshotReply":
      case "LinkReport":
        return
    }
  }

  private answerPreVotes(): void {
    const { node, preVotes } = this
    this.preVotes = []
    if (node.belonging.refused !== null) return
    for (const { from, message } of preVotes) if (message._tag === "VoteRequest") answerVote(node, from, message)
  }

  /** What was known of a leader's log belongs to its term. */
  private forget(): void {
    this.matched = 0 as LogIndex
    this.round = 0
    this.answered = 0
    this.owesReply = false
    this.rejection = null
    this.acknowledged = 0 as LogIndex
    this.reportAt = 0
  }

  private append(envelope: Envelope, request: PeerMessageOf<"AppendRequest">): void {
    const { node } = this
    // Two leaders in one term cannot be; whoever was heard first in it stays.
    if (node.leader !== null && node.leader !== envelope.from) return
    node.setLeader(envelope.from)
    // An append of an earlier round that arrives late is no sign of life: repeated, it would keep a dead leader.
    if (request.round >= this.round) {
      this.round = request.round
      node.leaderContactAt = node.now
      node.resetElectionDeadline()
    }
    const { entries, previous } = request
    const match = matchAppend(node.log, previous, entries)
    if (match._tag === "Rejected") {
      this.rejection = { index: previous.index, hint: match.hint }
      return
    }
    // New entries are acknowledged once they are durable; until then only a new round of contact has to be answered.
    if (match.skip === entries.length || this.round > this.answered) this.owesReply = true
    if (match.truncate) node.truncateFrom(entries[match.skip]!.index)
    for (let i = match.skip; i < entries.length; i++) node.append(entries[i]!)
    if (match.skip < entries.length) node.observeAppended(match.skip === 0 ? entries : entries.slice(match.skip))
    if (match.end > this.matched) this.matched = match.end
    // What lies beyond this append was not compared with the leader's log (§5.3).
    node.commitTo(Math.min(request.committed, match.end) as LogIndex)
  }

  /** While this node belongs to no cluster it takes the first cluster id that a leader tells it, and nothing else. */
  private receiveOutside({ clusterId, from, message }: Envelope): void {
    const { node } = this
    switch (message._tag) {
      case "AppendRequest":
        if (node.adopting || clusterId === null) return
        node.adopting = true
        return node.parts.adopt(clusterId)
      case "AdminRequest": {
        const error = new NoLeader({ message: `${node.id} belongs to no cluster yet` })
        node.send(from, { _tag: "AdminReply", id: message.id, result: { _tag: "Failed", error } })
        return
      }
      case "ForwardReply":
      case "ReadIndexReply":
      case "AdminReply":
        return takeAnswer(node, from, message)
      default:
        return
    }
  }

  /** One reply for what a turn has made durable, and for what asks for an answer of its own. */
  private acknowledge(): void {
    const { node } = this
    if (node.leader === null || node.leader === node.id || !node.hardStateIsDurable) return
    const claim = { term: node.term, votedFor: null, index: 0 as LogIndex }
    if (this.rejection !== null) {
      const { hint, index } = this.rejection
      this.rejection = null
      this.owesReply = false
      this.answered = this.round
      node.send(
        node.leader,
        { _tag: "AppendReply", term: node.term, matched: false, index, hint, round: this.round },
        claim
      )
      return
    }
    const durable = Math.min(this.matched, node.durable.index) as LogIndex
    if (!this.owesReply && durable <= this.acknowledged) return
    this.owesReply = false
    this.answered = this.round
    this.acknowledged = durable
    node.send(
      node.leader,
      { _tag: "AppendReply", term: node.term, matched: true, index: durable, hint: logStart, round: this.round },
      { ...claim, index: durable }
    )
    this.reportLinks()
  }

  /** Says which members this node reaches; a leader promotes nobody whom a live voter does not. */
  private reportLinks(): void {
    const { node } = this
    if (node.leader === null || node.now < this.reportAt) return
    this.reportAt = node.now + node.parts.electionTimeout / 2
    node.send(node.leader, {
      _tag: "LinkReport",
      term: node.term,
      links: node.parts.transport.links(),
      version: node.parts.version,
      full: node.diskFull,
      ...(withholdsMs(node) > 0 ? { withholdsMs: Math.floor(withholdsMs(node)) } : {})
    })
  }

  private timeoutNow({ from }: Envelope, { term }: PeerMessageOf<"TimeoutNow">): void {
    const { node } = this
    if (term !== node.term || from !== node.leader || !node.isVoter || !node.belonging.mayCampaign || node.closing) {
      return
    }
    node.campaignByTransfer = true
    node.become("Candidate")
  }

  private electionDue(): void {
    const { node } = this
    if (node.now < node.electionDeadline) return
    node.resetElectionDeadline()
    // Whoever led is given no more requests: to a dead leader they would be lost, and their outcome unknown.
    node.setLeader(null)
    // A node whose disk does not answer would make a leader that cannot acknowledge anything.
    if (!node.belonging.mayCampaign || node.closing || node.diskIsStuckFor(node.parts.electionTimeout)) return
    // With the disk reserve reached another should lead, but a leader that can only delete is better than none.
    if (node.diskFull && ++this.deferred < 4) return
    node.become("Candidate")
  }
}
