/** How a node that does not lead serves its callers: it passes on what needs the leader, and takes the answers. */
import { MembershipRejected, NoLeader, OutcomeUnknown, Overloaded } from "../DistKvError.ts"
import { feature, missingFeatures } from "../domain/Features.ts"
import { type NodeId, refusalText } from "../domain/Identity.ts"
import type { AdminCommand, AdminResult, Envelope, PeerMessageOf } from "../domain/PeerMessage.ts"
import type { Administer, NodeMessage } from "../state/NodeMessage.ts"
import { distrust, forwardParked, maxHops, refuseForward, takeForwardReply } from "./Forwarding.ts"
import type { NodeState } from "./NodeState.ts"

/**
 * Sends parked writes and waiting reads to the leader, if there is one. One that was removed has none that listens:
 * where it knocks it is only told so once more, and that brings its next turn.
 */
export const passOn = (node: NodeState): void => {
  const { leader } = node
  if (leader === null || leader === node.id || node.belonging.refused === "removed") return
  if (node.reads.wantsQuestion) askReadIndex(node, leader)
  if (node.writes.parkedCount > 0) {
    forwardParked(node, leader)
  }
  if (node.waitingAdmin.length > 0) {
    for (const request of node.waitingAdmin.splice(0)) passOnAdmin(node, leader, request)
  }
}

const askReadIndex = (node: NodeState, leader: NodeId): void => {
  const id = node.nextRequestId()
  const remainingMs = Math.ceil(node.parts.electionTimeout)
  const sent = node.send(leader, { _tag: "ReadIndexRequest", id, term: node.term, remainingMs })
  if (sent) node.reads.ask(id, node.now)
}

const passOnAdmin = (node: NodeState, leader: NodeId, request: Administer): void => {
  if (request.hops >= maxHops) return request.done({ _tag: "NotLeader" })
  if (!isOfFirstRelease(request.command) && !knowsAdministration(node.parts.transport.features(leader))) {
    const reason = `the leader ${leader} runs an older version that cannot do this; upgrade it first`
    return request.done({ _tag: "Failed", error: new MembershipRejected({ reason, final: false }) })
  }
  const id = node.nextRequestId()
  const sent = node.send(leader, {
    _tag: "AdminRequest",
    id,
    hops: request.hops + 1,
    remainingMs: Math.max(1, Math.ceil(request.deadline - node.now)),
    command: request.command
  })
  if (sent) node.passedOn.set(id, request)
  else node.waitForLeader(request)
}

const isOfFirstRelease = ({ _tag }: AdminCommand): boolean =>
  _tag === "Join" || _tag === "AddMember" || _tag === "Transfer"

const knowsAdministration = (features: number | null | undefined): boolean =>
  ((features ?? 0) & feature.administration) !== 0

/** Keeps what a caller asks until there is a leader to pass it on to, or this node leads. */
export const keepForLeader = (
  node: NodeState,
  message: Extract<NodeMessage, { readonly _tag: "Propose" | "Read" | "Administer" }>
): void => {
  switch (message._tag) {
    case "Propose":
      node.writes.admit(message.write)
      return node.writes.park(message.write)
    case "Read":
      node.reads.admit(message.read)
      return node.reads.wait(message.read)
    case "Administer":
      return node.waitForLeader(message)
  }
}

/** Answers what a peer asks of the leader, which this node is not; changes of the cluster wait for one. */
export const answerUnled = (
  node: NodeState,
  envelope: Envelope,
  message: PeerMessageOf<"ForwardRequest"> | PeerMessageOf<"ReadIndexRequest"> | PeerMessageOf<"AdminRequest">
): void => {
  const { from } = envelope
  switch (message._tag) {
    case "ForwardRequest":
      return refuseForward(node, from, message)
    case "ReadIndexRequest":
      node.send(from, { _tag: "ReadIndexReply", id: message.id, index: null })
      return
    case "AdminRequest":
      return node.waitForLeader(peerRequest(node, envelope, message))
  }
}

/** Takes a leader's answer to something this node passed on; every role does. */
export const takeAnswer = (
  node: NodeState,
  from: NodeId,
  message: PeerMessageOf<"ForwardReply"> | PeerMessageOf<"ReadIndexReply"> | PeerMessageOf<"AdminReply">
): void => {
  switch (message._tag) {
    case "ForwardReply":
      return takeForwardReply(node, from, message)
    case "ReadIndexReply":
      if (message.index === null) distrust(node, from)
      return node.reads.answered(message.id, message.index)
    case "AdminReply": {
      const request = node.passedOn.get(message.id)
      if (request === undefined) return
      node.passedOn.delete(message.id)
      if (message.result._tag !== "NotLeader") return request.done(message.result)
      distrust(node, from)
      node.waitForLeader(request)
    }
  }
}

/**
 * A peer's administrative request, whose result goes back to it; null where that is done already: a node that asks to
 * join with a program that is too old for the cluster is told so by whomever it asks.
 */
export const peerRequest = (
  node: NodeState,
  { features, from }: Envelope,
  request: PeerMessageOf<"AdminRequest">
): Administer | null => {
  const done = (given: AdminResult) => {
    let result = given
    // An older version does not expect the members in an answer.
    if (given._tag === "Admitted" && !knowsAdministration(features)) {
      result = { _tag: "Admitted", member: given.member, clusterId: given.clusterId }
    }
    node.send(from, { _tag: "AdminReply", id: request.id, result })
    node.parts.transport.flush()
  }
  const { command } = request
  const needed = node.membership.features ?? 0
  if (command._tag === "Join" && command.id === from && features !== undefined && (needed & ~features) !== 0) {
    const reason = `the program of ${from} is too old for this cluster: it lacks ` +
      `${missingFeatures(needed, features).join(", ")}. Start it with version ${node.parts.version}`
    done({ _tag: "Failed", error: new MembershipRejected({ reason, final: true }) })
    return null
  }
  return admitted(node, {
    _tag: "Administer",
    command,
    deadline: node.now + request.remainingMs,
    hops: request.hops,
    done
  })
}

/** Counts a change of the cluster until it is answered; null where there are too many, and then it is answered. */
export const admitted = ({ parts: { admission } }: NodeState, request: Administer): Administer | null => {
  if (!admission.takesChange) {
    const error = new Overloaded({ message: "too many changes of the cluster are under way", retryAfterMs: 1000 })
    request.done({ _tag: "Failed", error })
    return null
  }
  admission.changes++
  let isAnswered = false
  const done = (result: AdminResult) => {
    if (!isAnswered) admission.changes--
    isAnswered = true
    request.done(result)
  }
  return { ...request, done }
}

/** A removed node hears no answer any more; that it was removed itself, it knows. */
const settleRefused = (node: NodeState): void => {
  if (node.belonging.refused !== "removed") return
  const isOwnRemoval = ({ command }: Administer) => command._tag === "RemoveMember" && command.id === node.id
  for (const [id, request] of node.passedOn) {
    if (!isOwnRemoval(request)) continue
    node.passedOn.delete(id)
    request.done({ _tag: "Removed", id: node.id })
  }
  for (const request of node.waitingAdmin.splice(0)) {
    const error = new NoLeader({ message: refusalText.removed })
    request.done(isOwnRemoval(request) ? { _tag: "Removed", id: node.id } : { _tag: "Failed", error })
  }
}

/** Settles whatever has reached its deadline, and gives up a question that was not answered in time. */
export const sweep = (node: NodeState): void => {
  const leaderless = node.leader === null
  node.writes.expire(node.now, leaderless)
  node.writes.retryLate(node.now)
  node.reads.expire(node.now, leaderless)
  node.reads.abandon(node.now - node.parts.electionTimeout / 2)
  settleRefused(node)
  const waiting = node.waitingAdmin
  for (let i = waiting.length - 1; i >= 0; i--) {
    if (waiting[i]!.deadline > node.now) continue
    waiting[i]!.done({
      _tag: "Failed",
      error: new NoLeader({ message: "no leader was found within the deadline; nothing was changed" })
    })
    waiting.splice(i, 1)
  }
  for (let i = node.transfers.length - 1; i >= 0; i--) {
    if (node.transfers[i]!.deadline > node.now) continue
    const [transfer] = node.transfers.splice(i, 1)
    transfer!.done({
      _tag: "Failed",
      error: new OutcomeUnknown({ message: "leadership was handed over, but no successor was heard of in time" })
    })
  }
  for (const [id, request] of node.passedOn) {
    if (request.deadline > node.now) continue
    node.passedOn.delete(id)
    request.done({
      _tag: "Failed",
      error: new OutcomeUnknown({ message: "the leader did not answer within the deadline; look at the members" })
    })
  }
}
