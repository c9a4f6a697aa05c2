/**
 * A leader's changes of the membership (thesis §4.1, §4.2.1): one at a time, none before an entry of its own term is
 * committed. Admits learners, promotes those that wish it once they have caught up and every live voter reaches them,
 * and binds the incarnation of a member that was added by an operator.
 */
import { DeadlineExceeded, MembershipRejected, OutcomeUnknown } from "../DistKvError.ts"
import { ownFeatures } from "../domain/Features.ts"
import type { Incarnation, NodeId } from "../domain/Identity.ts"
import { findMember, type Membership, voterIds } from "../domain/Membership.ts"
import type { AdminCommand, Link, PeerMessageOf } from "../domain/PeerMessage.ts"
import type { LogIndex } from "../domain/Position.ts"
import { admit, bind, type Change, promote } from "../rules/Reconfiguration.ts"
import type { Administer } from "../state/NodeMessage.ts"
import type { NodeState } from "./NodeState.ts"
import type { Replication } from "./Replication.ts"

/** A learner is caught up when it lags by less than this many entries. */
const caughtUpEntries = 1000

/** A learner's rounds of catching up (thesis §4.2.1): how long the last one took. */
interface CatchUp {
  target: LogIndex
  startedAt: number
  lastRoundMs: number
}

type Admission = Extract<AdminCommand, { readonly _tag: "Join" | "AddMember" }>

export class Changes {
  private readonly node: NodeState
  private readonly replication: Replication
  private readonly propose: (membership: Membership) => LogIndex
  private queue: Array<Administer & { readonly command: Admission }> = []
  /** The change that is appended and not yet committed, with whoever asked for it. */
  private underWay: { readonly index: LogIndex; readonly id: NodeId; request: Administer | null } | null = null
  private readonly catchUps = new Map<NodeId, CatchUp>()
  private readonly unbound = new Map<NodeId, Incarnation>()
  readonly reports = new Map<NodeId, PeerMessageOf<"LinkReport">>()

  /** `propose` appends a config entry and returns its index. */
  constructor(node: NodeState, replication: Replication, propose: (membership: Membership) => LogIndex) {
    this.node = node
    this.replication = replication
    this.propose = propose
  }

  ask(request: Administer, command: Admission): void {
    this.queue.push({ ...request, command })
  }

  /** The first contact with a member whose incarnation is not known yet. */
  met(id: NodeId, incarnation: Incarnation): void {
    this.unbound.set(id, incarnation)
  }

  /** Does what may be done now. `settled` says that an entry of this leader's own term is committed. */
  advance(settled: boolean): void {
    this.finish()
    if (!settled || this.node.memberships.isChanging) return
    while (this.queue.length > 0 && this.underWay === null) this.next()
    if (this.underWay === null) this.bindNext()
  }

  /** Called with every heartbeat: drops requests that are out of time, and promotes who has caught up. */
  tick(settled: boolean): void {
    const { now } = this.node
    this.queue = this.queue.filter((request) => {
      if (request.deadline > now) return true
      request.done({
        _tag: "Failed",
        error: new DeadlineExceeded({ message: "other changes took until the deadline" })
      })
      return false
    })
    this.expireUnderWay()
    if (settled && this.underWay === null && !this.node.memberships.isChanging) this.raiseFeatures()
    for (const member of this.node.membership.members) {
      if (member.standing !== "joining") {
        this.catchUps.delete(member.id)
        continue
      }
      if (!this.hasCaughtUp(member.id) || !settled || this.node.memberships.isChanging) continue
      if (this.missingAt(member.id).length > 0) continue
      this.append(member.id, promote(this.node.membership, member.id, (id) => this.isLive(id)), null)
    }
  }

  /** The leader leads no more: what was not appended may be asked of its successor. */
  end(): void {
    for (const request of this.queue) this.node.waitForLeader(request)
    this.queue = []
    const error = new OutcomeUnknown({ message: "leadership changed while the membership was; look at the members" })
    this.underWay?.request?.done({ _tag: "Failed", error })
    this.underWay = null
  }

  /** The live voters (this node included) that do not reach `id`, or do not accept its key. */
  missingAt(id: NodeId): ReadonlyArray<NodeId> {
    return voterIds(this.node.membership).filter((voter) =>
      voter !== id && this.isLive(voter) && !reaches(this.linksOf(voter), id)
    )
  }

  /** The members whose keys `id` lacks, and those that it does not reach for no reason that stands elsewhere. */
  missingOf(id: NodeId): ReadonlyArray<NodeId> {
    const links = this.linksOf(id)
    if (links === undefined) return []
    const refuses = (one: ReadonlyArray<Link> | undefined, other: NodeId) =>
      one?.some((link) => link.id === other && !link.accepts) ?? false
    // One that is down is not reached either, and one that lacks this key itself is named as that.
    return this.node.membership.members
      .map((member) => member.id)
      .filter((other) =>
        other !== id &&
        (refuses(links, other) ||
          (!reaches(links, other) && this.isLive(other) && !refuses(this.linksOf(other), id)))
      )
  }

  private linksOf(id: NodeId): ReadonlyArray<Link> | undefined {
    return id === this.node.id ? this.node.parts.transport.links() : this.reports.get(id)?.links
  }

  private isLive(id: NodeId): boolean {
    return this.replication.isLive(id, 2 * this.node.parts.electionTimeout)
  }

  private next(): void {
    const request = this.queue.shift()!
    const { command } = request
    const applicant = command._tag === "Join" ? command : { ...command, incarnation: null, http: null }
    const change = admit(this.node.membership, applicant)
    if (change._tag === "Refused") return this.refuse(request, change.reason, change.final)
    if (change._tag === "Already") return this.admitted(request, command.id)
    this.append(command.id, change, request)
  }

  /** What every member has announced may be used in the log from now on. */
  private raiseFeatures(): void {
    const { id: own, membership, parts } = this.node
    let common = ownFeatures
    for (const { id } of membership.members) if (id !== own) common &= parts.transport.features(id) ?? 0
    const features = (membership.features ?? 0) | common
    if (features === (membership.features ?? 0)) return
    this.append(own, { _tag: "Change", membership: { ...membership, features } }, null)
  }

  private bindNext(): void {
    for (const [id, incarnation] of this.unbound) {
      this.unbound.delete(id)
      if (findMember(this.node.membership, id)?.incarnation === null) {
        return this.append(id, bind(this.node.membership, id, incarnation), null)
      }
    }
  }

  private append(id: NodeId, change: Change, request: Administer | null): void {
    if (change._tag !== "Change") return
    this.underWay = { index: this.propose(change.membership), id, request }
    this.replication.follow()
  }

  /** What is appended may still be committed, but whoever asked for it waits no longer than until the deadline. */
  private expireUnderWay(): void {
    const request = this.underWay?.request ?? null
    if (request === null || request.deadline > this.node.now) return
    this.underWay!.request = null
    const error = new OutcomeUnknown({
      message: "the change was not committed within the deadline; look at the members"
    })
    request.done({ _tag: "Failed", error })
  }

  private finish(): void {
    if (this.underWay === null || this.node.commit < this.underWay.index) return
    const { id, request } = this.underWay
    this.underWay = null
    if (request !== null) this.admitted(request, id)
  }

  private admitted(request: Administer, id: NodeId): void {
    const member = findMember(this.node.membership, id)
    const { clusterId } = this.node
    if (member === undefined || clusterId === null) return this.refuse(request, `${id} is no member`, false)
    request.done({ _tag: "Admitted", member, clusterId })
  }

  private refuse(request: Administer, reason: string, final: boolean): void {
    request.done({ _tag: "Failed", error: new MembershipRejected({ reason, final }) })
  }

  private hasCaughtUp(id: NodeId): boolean {
    const { log, now, parts } = this.node
    const match = this.replication.match(id)
    const round = this.catchUps.get(id)
    if (round === undefined) {
      this.catchUps.set(id, { target: log.last, startedAt: now, lastRoundMs: Number.POSITIVE_INFINITY })
      return false
    }
    if (match >= round.target) {
      round.lastRoundMs = now - round.startedAt
      round.target = log.last
      round.startedAt = now
    }
    return round.lastRoundMs < parts.electionTimeout && log.last - match < caughtUpEntries && this.isLive(id)
  }
}

const reaches = (links: ReadonlyArray<Link> | undefined, id: NodeId): boolean =>
  links?.some((link) => link.id === id && link.accepts && link.connected) ?? false
