/**
 * Leadership transfer (thesis §3.10): new proposals are held, the target is brought up to date and then told to
 * campaign at once. When it has not taken over within an election time-out, the leader goes on as before.
 *
 * One transfer at a time. Until the target was told, an order for another one replaces it, within the time-out that has
 * begun, and an order for the leader itself calls it off; after that it is awaited. So proposals are held for one
 * election time-out at most, however many orders come.
 */
import { DeadlineExceeded, type DistKvError, MembershipRejected, NotFound, OutcomeUnknown } from "../DistKvError.ts"
import type { NodeId } from "../domain/Identity.ts"
import { findMember, voterIds } from "../domain/Membership.ts"
import type { Administer } from "../state/NodeMessage.ts"
import type { NodeState } from "./NodeState.ts"
import type { Replication } from "./Replication.ts"

type Requester = Pick<Administer, "deadline" | "done">

interface Attempt {
  readonly to: NodeId
  readonly until: number
  /** Also among the node's transfers, which sweep them at their deadlines. */
  readonly requesters: Set<Requester>
  readonly closed: Array<() => void>
  /** Whether the leader itself wishes it, whoever else has asked. */
  readonly isOwn: boolean
  /** The order has gone out since the last heartbeat, and at any time. */
  told: boolean
  everTold: boolean
}

export class Handover {
  private readonly node: NodeState
  private readonly replication: Replication
  private attempt: Attempt | null = null
  private hasTold = false
  /** Who did not take over last time: another voter is preferred. */
  private failed: NodeId | null = null

  constructor(node: NodeState, replication: Replication) {
    this.node = node
    this.replication = replication
  }

  /**
   * Whether the leader may hold no lease: a transfer is under way, or one was, in this term, of which the target was
   * told. The order may reach it late, and voters do not withhold their votes from who campaigns by order.
   */
  get endsLease(): boolean {
    return this.attempt !== null || this.hasTold
  }

  /** Whether new proposals are held. */
  get isUnderWay(): boolean {
    return this.attempt !== null
  }

  /** An order; `to` null means the voter that is furthest ahead. Returns whether what is held may go on. */
  order(request: Requester, to: NodeId | null): boolean {
    const { attempt, node } = this
    if (to === null && attempt !== null) this.await(attempt, request)
    else if (to !== null && findMember(node.membership, to) === undefined) {
      fail(request, new NotFound({ message: `${to} is no member` }))
    } else if (attempt !== null && to !== attempt.to && (attempt.everTold || attempt.closed.length > 0)) {
      fail(request, new MembershipRejected({ reason: `a transfer to ${attempt.to} is under way`, final: false }))
    } else if (to === node.id) {
      request.done({ _tag: "Transferred", leader: node.id, term: node.term })
      if (attempt === null) return false
      this.callOff(new MembershipRejected({ reason: `called off: ${node.id} is to lead on`, final: false }))
      return true
    } else this.orderFor(request, to)
    return false
  }

  /** The node closes; `closed` is called when leadership is handed over, or cannot be. */
  close(closed: () => void): void {
    const target = this.attempt?.to ?? this.best()
    if (target === null) closed()
    else this.begin(target, true).closed.push(closed)
  }

  /** Hands leadership to the best voter that `accepts`, if there is one. */
  handTo(accepts: (id: NodeId) => boolean): void {
    const target = this.best(accepts)
    if (target !== null && this.attempt === null) this.begin(target, true)
  }

  /** Tells the target to campaign, as soon as it has everything. */
  advance(): void {
    const { attempt, node } = this
    if (attempt === null || attempt.told || this.replication.match(attempt.to) < node.log.last) return
    attempt.told = node.send(attempt.to, { _tag: "TimeoutNow", term: node.term })
    if (!attempt.told) return
    attempt.everTold = true
    this.hasTold = true
  }

  /** Tells the best voter to campaign at once, whatever it lacks: this leader leads no more. */
  tellBest(): void {
    const target = this.best()
    if (target === null) return
    this.hasTold = true
    this.node.send(target, { _tag: "TimeoutNow", term: this.node.term })
  }

  /** Called with every heartbeat: says it again, or gives up. Returns whether the attempt has just ended. */
  tick(): boolean {
    const { attempt, node } = this
    if (attempt === null) return false
    const { everTold, to } = attempt
    if (!this.isVoter(to)) this.callOff(new MembershipRejected({ reason: `${to} is no voter any more`, final: false }))
    else if (node.now < attempt.until) {
      attempt.told = false
      return false
    } else {
      this.failed = to
      const message = `${to} did not take over within an election time-out; ${node.id} leads on`
      this.callOff(everTold ? new OutcomeUnknown({ message }) : new DeadlineExceeded({ message }))
    }
    return true
  }

  /**
   * Some who asked may have been given up at their deadlines: a transfer that nobody waits for, and of which the target
   * knows nothing, is called off. Returns whether it was.
   */
  sweep(): boolean {
    const { attempt, node } = this
    if (attempt === null) return false
    for (const request of attempt.requesters) {
      if (!node.transfers.includes(request)) attempt.requesters.delete(request)
    }
    if (attempt.requesters.size > 0 || attempt.isOwn || attempt.everTold) return false
    this.attempt = null
    return true
  }

  /** This node leads no more: requesters are answered when the successor is heard of. */
  end(): void {
    const { attempt } = this
    this.attempt = null
    for (const closed of attempt?.closed ?? []) closed()
  }

  private orderFor(request: Requester, to: NodeId | null): void {
    const target = to ?? this.best()
    const reason = target === null
      ? "no other voter is in contact"
      : !this.isVoter(target)
      ? `${target} is no voter`
      : !this.isLive(target)
      ? `${target} was not in contact within an election time-out`
      : null
    if (target === null || reason !== null) {
      return fail(request, new MembershipRejected({ reason: reason ?? "", final: false }))
    }
    this.await(this.begin(target, false), request)
  }

  private await(attempt: Attempt, request: Requester): void {
    attempt.requesters.add(request)
    this.node.transfers.push(request)
  }

  private begin(to: NodeId, isOwn: boolean): Attempt {
    const { attempt, node } = this
    if (attempt?.to === to) {
      if (isOwn && !attempt.isOwn) this.attempt = { ...attempt, isOwn }
      return this.attempt!
    }
    const until = attempt?.until ?? node.now + node.parts.electionTimeout
    this.callOff(new MembershipRejected({ reason: `replaced by a transfer to ${to}`, final: false }))
    this.attempt = { to, until, isOwn, requesters: new Set(), closed: [], told: false, everTold: false }
    return this.attempt
  }

  private callOff(error: DistKvError): void {
    const { attempt, node } = this
    this.attempt = null
    if (attempt === null) return
    for (const request of attempt.requesters) {
      const place = node.transfers.indexOf(request)
      if (place < 0) continue
      node.transfers.splice(place, 1)
      fail(request, error)
    }
    for (const closed of attempt.closed) closed()
  }

  private isVoter(id: NodeId): boolean {
    return findMember(this.node.membership, id)?.standing === "voter"
  }

  private isLive(id: NodeId): boolean {
    return this.replication.isLive(id, this.node.parts.electionTimeout)
  }

  private best(accepts: (id: NodeId) => boolean = () => true): NodeId | null {
    const { failed, node, replication } = this
    let best: NodeId | null = null
    for (const id of voterIds(node.membership)) {
      if (id === node.id || !this.isLive(id) || !accepts(id)) continue
      if (best === null || best === failed || (id !== failed && replication.match(id) > replication.match(best))) {
        best = id
      }
    }
    return best
  }
}

const fail = (request: Requester, error: DistKvError): void => request.done({ _tag: "Failed", error })
