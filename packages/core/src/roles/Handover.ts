/**
 * Leadership transfer (thesis §3.10): new proposals are held, the target is brought up to date and then told to
 * campaign at once. When it has not taken over within an election time-out, the leader goes on as before.
 */
import { DeadlineExceeded, MembershipRejected, NotFound } from "../DistKvError.ts"
import type { NodeId } from "../domain/Identity.ts"
import { findMember, voterIds } from "../domain/Membership.ts"
import type { Administer } from "../state/NodeMessage.ts"
import type { NodeState } from "./NodeState.ts"
import type { Replication } from "./Replication.ts"

type Requester = Pick<Administer, "deadline" | "done">

interface Attempt {
  readonly to: NodeId
  readonly until: number
  readonly requesters: Array<Requester>
  readonly closed: Array<() => void>
  told: boolean
}

export class Handover {
  private readonly node: NodeState
  private readonly replication: Replication
  private attempt: Attempt | null = null
  private hasTold = false

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

  /** An operator's order; `to` null means the voter that is furthest ahead. */
  order(request: Requester, to: NodeId | null): void {
    const { node } = this
    if (to === node.id) return request.done({ _tag: "Transferred", leader: node.id, term: node.term })
    if (to !== null && findMember(node.membership, to) === undefined) {
      return request.done({ _tag: "Failed", error: new NotFound({ message: `${to} is no member` }) })
    }
    const target = to ?? this.best()
    if (target === null || findMember(node.membership, target)?.standing !== "voter") {
      const reason = target === null ? "no other voter is in contact" : `${target} is no voter`
      return request.done({ _tag: "Failed", error: new MembershipRejected({ reason, final: false }) })
    }
    this.begin(target).requesters.push(request)
  }

  /** The node closes; `closed` is called when leadership is handed over, or cannot be. */
  close(closed: () => void): void {
    const target = this.best()
    if (target === null) closed()
    else this.begin(target).closed.push(closed)
  }

  /** Hands leadership to the best voter that `accepts`, if there is one. */
  handTo(accepts: (id: NodeId) => boolean): void {
    const target = this.best(accepts)
    if (target !== null && this.attempt === null) this.begin(target)
  }

  /** Tells the target to campaign, as soon as it has everything. */
  advance(): void {
    const { attempt, node } = this
    if (attempt === null || attempt.told || this.replication.match(attempt.to) < node.log.last) return
    attempt.told = node.send(attempt.to, { _tag: "TimeoutNow", term: node.term })
    if (attempt.told) this.hasTold = true
  }

  /** Called with every heartbeat: says it again, or gives up. Returns whether the attempt has just ended. */
  tick(): boolean {
    const { attempt, node } = this
    if (attempt === null) return false
    if (node.now < attempt.until) {
      attempt.told = false
      return false
    }
    this.attempt = null
    for (const { done } of attempt.requesters) {
      const message = `${attempt.to} did not take over within an election time-out; ${node.id} leads on`
      done({ _tag: "Failed", error: new DeadlineExceeded({ message }) })
    }
    for (const closed of attempt.closed) closed()
    return true
  }

  /** This node leads no more: requesters are answered when the successor is heard of. */
  end(): void {
    const { attempt, node } = this
    this.attempt = null
    if (attempt === null) return
    node.transfers.push(...attempt.requesters)
    for (const closed of attempt.closed) closed()
  }

  private begin(to: NodeId): Attempt {
    const { node } = this
    if (this.attempt?.to === to) return this.attempt
    const replaced = this.attempt
    this.attempt = {
      to,
      until: node.now + node.parts.electionTimeout,
      requesters: [],
      closed: replaced?.closed ?? [],
      told: false
    }
    for (const { done } of replaced?.requesters ?? []) {
      done({
        _tag: "Failed",
        error: new MembershipRejected({ reason: `replaced by a transfer to ${to}`, final: false })
      })
    }
    return this.attempt
  }

  private best(accepts: (id: NodeId) => boolean = () => true): NodeId | null {
    const { node, replication } = this
    let best: NodeId | null = null
    for (const id of voterIds(node.membership)) {
      if (id === node.id || !replication.isLive(id, node.parts.electionTimeout) || !accepts(id)) continue
      if (best === null || replication.match(id) > replication.match(best)) best = id
    }
    return best
  }
}
