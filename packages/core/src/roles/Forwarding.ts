/**
 * Forwarded writes, at both ends: how a node that does not lead passes on its callers' writes, and how a leader takes
 * those of others.
 *
 * A write that goes out is numbered in the sender's own session (thesis §6.3). Where its answer stays away, because the
 * leader changed or a link was cut, it is sent again within its deadline, to whoever leads then; the session sees to
 * it that it takes effect once. Where there is no session (yet, or in a cluster with older programs) it is sent again
 * only when the leader says that it did not take it.
 */
import { InvalidRequest, OutcomeUnknown, Overloaded, type WriteError } from "../DistKvError.ts"
import { decodeCommand, encodeCommand, isProposable, putSession } from "../domain/CommandCodec.ts"
import type { NodeId } from "../domain/Identity.ts"
import { commandKind } from "../domain/LogEntry.ts"
import { hasFeature } from "../domain/Membership.ts"
import type { Envelope, PeerMessageOf } from "../domain/PeerMessage.ts"
import { isMemberSession, type SessionId } from "../domain/Position.ts"
import { sessionOf, unstamped } from "../domain/RecordCodec.ts"
import type { PendingWrite } from "../state/PendingWrites.ts"
import { pendingWrite } from "../state/PendingWrites.ts"
import { mayListen } from "./Conversation.ts"
import type { NodeState } from "./NodeState.ts"

/** A request crosses at most this many links on its way to the leader. */
export const maxHops = 2

/** Forwards in order until the link takes no more; the rest waits for another turn. */
export const forwardParked = (node: NodeState, leader: NodeId): void => {
  const waits = !findSession(node) && openSession(node)
  let blocked = false
  for (const write of node.writes.takeParked()) {
    // One that is out of time is left to the next sweep, which can still say that nothing was written.
    if (write.phase !== "Parked" || write.deadline <= node.now) continue
    const stays = blocked || (waits && wantsNumber(write))
    if (!stays) blocked = !forward(node, leader, write)
    if (stays || blocked) node.writes.park(write)
  }
}

/** Whether a write is this node's to number: of a caller here, in no client's session, and not numbered yet. */
const wantsNumber = (write: PendingWrite): boolean =>
  write.origin === null && write.sequence === 0 && !isOpening(write) && sessionOf(write.record) === 0

/** The request for the own session, unlike one that a client asks for. */
const isOpening = (write: PendingWrite): boolean => write.record[5] === commandKind.OpenSession && write.retryable

/** Returns false when the link did not take the write. */
const forward = (node: NodeState, leader: NodeId, write: PendingWrite): boolean => {
  if (write.hops >= maxHops) {
    node.writes.turnBack(write)
    return true
  }
  if (node.session.id !== 0 && wantsNumber(write)) number(node, write)
  if (!write.retryable) write.retryable = sessionOf(write.record) !== 0
  const id = node.nextRequestId()
  const sent = node.send(leader, {
    _tag: "ForwardRequest",
    run: node.run,
    id,
    leaderTerm: node.term,
    hops: write.hops + 1,
    remainingMs: Math.max(1, Math.ceil(write.deadline - node.now)),
    record: write.record
  })
  if (!sent) return false
  node.counters.forwarded++
  if (write.isInDoubt) node.counters.retried++
  node.writes.forward(write, id, node.now, node.parts.electionTimeout)
  return true
}

const number = ({ session }: NodeState, write: PendingWrite): void => {
  // The bytes of an earlier attempt may still lie with the transport.
  if (write.attempts > 0) write.record = unstamped(write.record)
  write.sequence = session.assign()
  putSession(write.record, session.id, write.sequence, session.lowest)
}

/** Takes the own session from the replicated state, which is where an opened one is found. */
const findSession = (node: NodeState): boolean => {
  const { machine, now, session } = node
  const found = machine.sessions.ofMember(node.id)
  session.id = found !== undefined && found.owner?.run === node.run ? found.id : 0 as SessionId
  session.release(now)
  return session.id !== 0
}

/** Asks for the own session. Returns whether writes shall wait for it, which they do for an election time-out only. */
const openSession = (node: NodeState): boolean => {
  const { now, parts, session } = node
  if (!hasFeature(node.membership, "sessions")) return false
  if (!session.isOpening && now >= session.askAgainAt) {
    session.isOpening = true
    session.waitUntil = now + parts.electionTimeout
    session.askAgainAt = now + 4 * parts.electionTimeout
    const write = pendingWrite({
      record: encodeCommand({ _tag: "OpenSession", owner: { member: node.id, run: node.run } }),
      deadline: now + 4 * parts.electionTimeout,
      origin: null,
      hops: 0,
      settle: () => {
        session.isOpening = false
        session.waitUntil = Number.NEGATIVE_INFINITY
        // What waited goes in the next turn.
        parts.offer({ _tag: "SweepDue" })
      }
    })
    // Repeated, it opens nothing new: it names this start of the process.
    write.retryable = true
    node.writes.admit(write)
    node.writes.park(write)
  }
  return session.isOpening && now < session.waitUntil
}

/** Takes the leader's answer to a forwarded write. */
export const takeForwardReply = (
  node: NodeState,
  from: NodeId,
  { id, result }: PeerMessageOf<"ForwardReply">
): void => {
  const write = node.writes.takeForwarded(id)
  if (write === undefined || write.phase === "Settled") return
  switch (result._tag) {
    case "Applied":
      return node.writes.answer(write, result.index, result.outcome, node.machine.applied)
    case "NotLeader":
      distrust(node, from)
      return node.writes.park(write)
    case "Refused": {
      const error = asWriteError(result.error)
      // An earlier copy may have been taken: only its session can tell.
      if (write.isInDoubt && write.retryable) {
        return node.writes.forward(write, id, node.now, node.parts.electionTimeout)
      }
      return node.writes.refuse(write, error)
    }
    case "Unknown":
      if (write.retryable) return node.writes.retry(write)
      return node.writes.loseTrack(write, "the leader cannot say what became of the write")
  }
}

/** Who says that it does not lead is asked no more until it is heard of as leader again. */
export const distrust = (node: NodeState, from: NodeId): void => {
  if (node.leader === from) node.setLeader(null)
}

const asWriteError = (
  error: Extract<PeerMessageOf<"ForwardReply">["result"], { _tag: "Refused" }>["error"]
): WriteError => {
  switch (error._tag) {
    case "InvalidRequest":
    case "Overloaded":
    case "StorageFull":
    case "Shutdown":
    case "DeadlineExceeded":
    case "NoLeader":
      return error
    default:
      // Whatever else a peer calls a refusal, it does not prove that the write took no effect.
      return new OutcomeUnknown({ message: error.message })
  }
}

/** Answers a forwarded write that came to a node which does not lead. */
export const refuseForward = (node: NodeState, from: NodeId, request: PeerMessageOf<"ForwardRequest">): void => {
  if (!node.forwardFilter.accept(from, request.run, request.id)) return
  // Of leaderships before this start nothing is remembered: an earlier copy of the request may have been logged.
  const result = request.leaderTerm <= node.bootTerm ? { _tag: "Unknown" as const } : { _tag: "NotLeader" as const }
  node.send(from, { _tag: "ForwardReply", id: request.id, result })
}

/** Answers a forwarded write that found no room in the inbox: no copy of it will be taken later either. */
export const refuseShed = (node: NodeState, envelope: Envelope): void => {
  const { from, message } = envelope
  if (message._tag !== "ForwardRequest" || !mayListen(node, envelope)) return
  // As of any other: an earlier copy may have been logged before this start.
  if (message.leaderTerm <= node.bootTerm) return refuseForward(node, from, message)
  if (!node.forwardFilter.accept(from, message.run, message.id)) return
  const error = new Overloaded({ message: `${node.id} has too much unread of ${from}`, retryAfterMs: 100 })
  node.send(from, { _tag: "ForwardReply", id: message.id, result: { _tag: "Refused", error } })
}

/** A forwarded write as a pending one, whose settlement goes back to the node that forwarded it. */
export const forwardedWrite = (
  node: NodeState,
  from: NodeId,
  request: PeerMessageOf<"ForwardRequest">
): PendingWrite => {
  const { id } = request
  return pendingWrite({
    record: request.record,
    deadline: node.now + request.remainingMs,
    origin: { from, id },
    hops: request.hops,
    settle: (settlement) => {
      const result = settlement._tag === "Failed"
        ? settlement.error._tag === "OutcomeUnknown"
          ? { _tag: "Unknown" as const }
          : { _tag: "Refused" as const, error: settlement.error }
        : settlement
      node.send(from, { _tag: "ForwardReply", id, result })
    }
  })
}

/**
 * Why a forwarded write must not enter the log, or null where it may: it is well-formed, and nobody uses the session of
 * another member. (That can be told only of the first link; members forward for others as they were asked.)
 */
export const flawOfForwarded = (
  node: NodeState,
  from: NodeId,
  { hops, record }: PeerMessageOf<"ForwardRequest">
): InvalidRequest | null => {
  if (!isProposable(record, node.parts.limits.valueBytes)) {
    return new InvalidRequest({ message: "the forwarded record is no well-formed command" })
  }
  const session = sessionOf(record)
  const kind = record[5]
  if (session === 0 && kind !== commandKind.OpenSession) return null
  if (!hasFeature(node.membership, "sessions")) {
    return new InvalidRequest({ message: "not every member of the cluster knows sessions yet" })
  }
  if (hops > 1 || kind === commandKind.Seal) return null
  const isForeign = kind === commandKind.OpenSession && session === 0
    ? opensForAnother(record, from)
    : isMemberSession(session) && (node.machine.sessions.find(session)?.owner?.member ?? from) !== from
  return isForeign ? new InvalidRequest({ message: "the session belongs to another member" }) : null
}

const opensForAnother = (record: Uint8Array, from: NodeId): boolean => {
  const command = decodeCommand(record)
  return command._tag === "OpenSession" && command.owner !== null && command.owner.member !== from
}
