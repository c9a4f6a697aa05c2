/**
 * Campaigns (§5.2, thesis §9.6): asks for pre-votes first, which change nothing anywhere, and enters a new term only
 * when a quorum would vote for it. An order of the leader in place (thesis §3.10) skips the pre-vote.
 *
 * Invariant: the own vote counts, and is asked for elsewhere, only when it is durable.
 */
import type { NodeId } from "../domain/Identity.ts"
import { voterIds } from "../domain/Membership.ts"
import type { Envelope, PeerMessageOf } from "../domain/PeerMessage.ts"
import type { LogId, Term } from "../domain/Position.ts"
import { isQuorum } from "../rules/Quorum.ts"
import type { NodeMessage } from "../state/NodeMessage.ts"
import { answerUnled, keepForLeader, sweep, takeAnswer } from "./ClientDesk.ts"
import { answerVote, higherTerm, mayListen, refuseStale, takeRefusal } from "./Conversation.ts"
import { refuseShed } from "./Forwarding.ts"
import { takeNews } from "./News.ts"
import type { NodeState } from "./NodeState.ts"

export class Candidate {
  private readonly node: NodeState
  private phase: "PreVote" | "Vote" = "PreVote"
  private readonly transfer: boolean
  private granted = new Set<NodeId>()
  private refused = new Set<NodeId>()

  constructor(node: NodeState) {
    this.node = node
    this.transfer = node.campaignByTransfer
    node.campaignByTransfer = false
    node.setLeader(null)
    node.resetElectionDeadline()
    if (this.transfer) this.campaign()
    else this.preCampaign()
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
        node.persisted(message)
        return this.countOwnVote()
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
      case "Close":
        node.closing = true
        message.done()
        return node.become("Follower")
      case "Welcomed":
      case "Adopted":
      case "HeartbeatDue":
        return
      default:
        return takeNews(node, message)
    }
  }

  flush(): void {
    this.node.endTurn()
  }

  private receive(envelope: Envelope): void {
    const { node } = this
    const { from, message } = envelope
    const term = higherTerm(node, message)
    if (term !== null) {
      node.raiseTerm(term)
      return node.become("Follower", true)
    }
    switch (message._tag) {
      case "VoteRequest":
        answerVote(node, from, message)
        return
      case "VoteReply":
        return this.count(from, message)
      case "AppendRequest":
        // A leader of this term has won it already.
        return message.term < node.term ? refuseStale(node, from) : node.become("Follower", true)
      case "ForwardRequest":
      case "ReadIndexRequest":
      case "AdminRequest":
        return answerUnled(node, envelope, message)
      case "ForwardReply":
      case "ReadIndexReply":
      case "AdminReply":
        return takeAnswer(node, from, message)
      case "Refused":
        takeRefusal(node, message)
        return node.belonging.refused === null ? undefined : node.become("Follower")
      case "AppendReply":
      case "TimeoutNow":
      case "SnapshotPiece":
      case "SnapshotReply":
      case "LinkReport":
      case "StateDigest":
        return
    }
  }

  /** Nobody won: a new time-out is drawn, so that the candidates drift apart. */
  private electionDue(): void {
    const { node } = this
    if (node.now < node.electionDeadline) return
    // With a stuck disk terms would rise in memory only, and depose whoever leads once the disk moves again.
    const mayGoOn = node.belonging.mayCampaign && !node.closing && !node.diskIsStuckFor(node.parts.electionTimeout)
    node.become(mayGoOn ? "Candidate" : "Follower")
  }

  private preCampaign(): void {
    const { node } = this
    this.granted.add(node.id)
    this.ask((node.term + 1) as Term, true, node.log.lastId)
    this.advance()
  }

  private campaign(): void {
    const { node } = this
    node.counters.elections++
    this.phase = "Vote"
    this.granted = new Set()
    this.refused = new Set()
    node.raiseTerm((node.term + 1) as Term)
    node.vote(node.id)
    const { term } = node
    const { lastId } = node.log
    // Until the vote is durable this node may follow the winner, and have another log than the one it would speak of.
    const ask = () => {
      if (node.role === "Candidate") this.ask(term, false, lastId)
    }
    node.whenDurable(ask)
  }

  private ask(term: Term, preVote: boolean, lastLog: LogId): void {
    const { node } = this
    const claim = preVote ? undefined : { term, votedFor: node.id, index: lastLog.index }
    for (const id of voterIds(node.membership)) {
      if (id === node.id) continue
      node.send(id, { _tag: "VoteRequest", term, preVote, transfer: this.transfer, lastLog }, claim)
    }
  }

  private countOwnVote(): void {
    const { durable, id, term } = this.node
    if (this.phase !== "Vote" || durable.term !== term || durable.votedFor !== id) return
    this.granted.add(id)
    this.advance()
  }

  private count(from: NodeId, reply: PeerMessageOf<"VoteReply">): void {
    const { node } = this
    const asked = this.phase === "PreVote" ? node.term + 1 : node.term
    if (reply.preVote !== (this.phase === "PreVote")) return
    if (reply.granted) {
      if (reply.term !== asked) return
      this.granted.add(from)
    } else {
      if (reply.preVote) node.counters.preVotesRejected++
      else if (reply.term !== node.term) return
      this.refused.add(from)
    }
    this.advance()
  }

  private advance(): void {
    const { node } = this
    if (isQuorum(node.membership, (id) => this.granted.has(id))) {
      if (this.phase === "PreVote") this.campaign()
      else if (node.durable.term === node.term && node.durable.votedFor === node.id) node.become("Leader")
    } else if (isQuorum(node.membership, (id) => this.refused.has(id))) {
      // Lost for certain: waits for a leader, or for the next time-out, as a follower.
      node.become("Follower")
    }
  }
}
