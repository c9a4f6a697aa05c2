/** How a node deals with its peers whatever role it plays: whom it listens to, and how it votes. */
import type { NodeId } from "../domain/Identity.ts"
import { findMember } from "../domain/Membership.ts"
import type { Envelope, PeerMessage, PeerMessageOf } from "../domain/PeerMessage.ts"
import type { Term } from "../domain/Position.ts"
import { answerBallot } from "../rules/Election.ts"
import { withholdsVote } from "./Leasing.ts"
import type { NodeState } from "./NodeState.ts"

/**
 * Whether a message may change this node's state.
 *
 * A request to join is heard from whoever sends it for itself: the rules of admission say why it is refused. A member's
 * other messages must come with its key and incarnation, and from its cluster. From a sender of this cluster that is no
 * member as far as is known here, a lagging node hears what it needs to learn that the sender is one by now (thesis
 * §4.1: servers listen to leaders and candidates that their own membership does not have). A node that belongs to no
 * cluster listens to every sender that its transport trusts.
 */
export const mayListen = (node: NodeState, envelope: Envelope): boolean => {
  const { clusterId, from, incarnation, message, publicKey } = envelope
  if (node.clusterId !== null && clusterId !== null && clusterId !== node.clusterId) return false
  if (message._tag === "AdminRequest" && isOwnJoin(message, envelope)) return true
  if (from === node.id) return false
  const { current, lastCommitted } = node.memberships
  // Until its removal is committed a member is one, and its acknowledgement says that it has learned of it.
  if (lastCommitted.tombstones.some((gone) => gone.id === from || gone.publicKey === publicKey)) return false
  const member = findMember(current, from) ?? findMember(lastCommitted, from)
  if (member !== undefined) {
    return member.publicKey === publicKey && (member.incarnation === null || member.incarnation === incarnation)
  }
  if (current.members.some((other) => other.publicKey === publicKey)) return false
  if (node.clusterId === null) return clusterId !== null
  return clusterId === node.clusterId &&
    (message._tag === "AppendRequest" || message._tag === "VoteRequest" || message._tag === "SnapshotPiece")
}

/**
 * Takes what a member says of this node's being refused for good. One that was rolled back holds the leader's word
 * against its own log: it is refused only if that lacks the entry, of the very term in which it was acknowledged.
 */
export const takeRefusal = (node: NodeState, refusal: PeerMessageOf<"Refused">): void => {
  if (refusal.reason === "removed") return node.belonging.refuse("removed")
  const { log } = node
  const { index, term } = refusal.lost
  const isLost = index > log.last || (index >= log.first && log.termAt(index) !== term)
  if (refusal.term === node.term && isLost) node.belonging.refuse("rolledBack")
}

/** Whether a message asks for what a refused node must not do any more. */
export const isForMembers = ({ _tag }: PeerMessage): boolean =>
  _tag === "VoteRequest" || _tag === "AppendRequest" || _tag === "TimeoutNow" || _tag === "SnapshotPiece"

const isOwnJoin = ({ command }: PeerMessageOf<"AdminRequest">, { from, incarnation, publicKey }: Envelope): boolean =>
  command._tag === "Join" && command.id === from && command.publicKey === publicKey &&
  command.incarnation === incarnation

/** The term that a message tells of and its receiver enters at once, or null; votes asked for are weighed first. */
export const higherTerm = (node: NodeState, message: PeerMessage): Term | null => {
  switch (message._tag) {
    case "AppendRequest":
    case "AppendReply":
    case "TimeoutNow":
    case "LinkReport":
    case "StateDigest":
    case "SnapshotPiece":
    case "SnapshotReply":
      return message.term > node.term ? message.term : null
    case "VoteReply":
      // A granted pre-vote names the term that was asked about, which nobody has entered.
      return message.term > node.term && !(message.preVote && message.granted) ? message.term : null
    default:
      return null
  }
}

/**
 * Answers a request for a vote or pre-vote (§5.2, thesis §4.2.3, §9.6). Returns false when the request makes this node
 * a follower of a higher term, which then answers it.
 */
export const answerVote = (node: NodeState, from: NodeId, request: PeerMessageOf<"VoteRequest">): boolean => {
  const answer = answerBallot(
    {
      term: node.term,
      votedFor: node.votedFor,
      lastLog: node.log.lastId,
      hasFreshLeader: node.role === "Leader" || node.hasFreshLeader || withholdsVote(node)
    },
    { ...request, candidate: from }
  )
  if (answer === "ignore") return true
  if (!request.preVote && request.term > node.term) {
    node.raiseTerm(request.term)
    if (node.role !== "Follower") {
      node.become("Follower", true)
      return false
    }
  }
  const granted = answer === "grant"
  if (granted && request.preVote) {
    node.send(from, { _tag: "VoteReply", term: request.term, preVote: true, granted: true })
    return true
  }
  if (granted) {
    node.vote(from)
    node.resetElectionDeadline()
  }
  const { preVote } = request
  const { term } = node
  node.whenDurable(() => {
    // It may have been refused while its disk hung: the refusal is durable as soon as the vote is.
    if (granted && node.belonging.refused !== null) return
    node.send(
      from,
      { _tag: "VoteReply", term, preVote, granted },
      { term, votedFor: granted ? from : null, index: zero }
    )
  })
  return true
}

const zero = 0 as PeerMessageOf<"VoteRequest">["lastLog"]["index"]

/** Tells a leader of an older term that it is deposed. */
export const refuseStale = (node: NodeState, from: NodeId): void => {
  const { term } = node
  node.whenDurable(() =>
    node.send(
      from,
      { _tag: "AppendReply", term, matched: false, index: zero, hint: node.log.lastId, round: 0 },
      { term, votedFor: null, index: zero }
    )
  )
}
