/**
 * A leader's changes of the membership (thesis §4.1, §4.2): one at a time, none before an entry of its own term is
 * committed. What is asked for waits for its turn within its deadline. By itself the leader makes voters of those that
 * joined once they are ready, binds the incarnation of a member that an operator added, and takes note of where members
 * say that they are.
 */
import { DeadlineExceeded, MembershipRejected, NotFound, OutcomeUnknown, Overloaded } from "../DistKvError.ts"
import { ownFeatures } from "../domain/Features.ts"
import type { Incarnation, NodeId } from "../domain/Identity.ts"
import { findMember, type Membership } from "../domain/Membership.ts"
import type { AdminCommand, AdminResult } from "../domain/PeerMessage.ts"
import type { LogIndex } from "../domain/Position.ts"
import { admit, bind, type Change, demote, promote, relocate, remove } from "../rules/Reconfiguration.ts"
import type { Administer } from "../state/NodeMessage.ts"
import type { NodeState } from "./NodeState.ts"
import { Readiness } from "./Readiness.ts"
import type { Replication } from "./Replication.ts"

/** Changes that may wait at once. */
const mostWaiting = 1024

/** What changes the membership. */
export type ChangeCommand = Exclude<AdminCommand, { readonly _tag: "Transfer" }>

type Request = Administer & { readonly command: ChangeCommand }

export class Changes {
  readonly readiness: Readiness
  private readonly node: NodeState
  private readonly replication: Replication
  private readonly propose: (membership: Membership) => LogIndex
  private queue: Array<Request> = []
  /** Promotions that wait until the learner is ready. */
  private promotions: Array<Request> = []
  /** The change that is appended and not yet committed, with whoever asked for it. */
  private underWay: { readonly index: LogIndex; request: Request | null } | null = null
  private wasChanging: boolean
  private readonly unbound = new Map<NodeId, Incarnation>()

  /** `propose` appends a config entry and returns its index. */
  constructor(node: NodeState, replication: Replication, propose: (membership: Membership) => LogIndex) {
    this.node = node
    this.replication = replication
    this.propose = propose
    this.readiness = new Readiness(node, replication)
    this.wasChanging = node.memberships.isChanging
  }

  /** Requests that wait, and the one under way. */
  get size(): number {
    return this.queue.length + this.promotions.length + (this.underWay === null ? 0 : 1)
  }

  ask(request: Administer, command: ChangeCommand): void {
    if (this.queue.length + this.promotions.length < mostWaiting) {
      this.queue.push({ ...request, command })
      return
    }
    const error = new Overloaded({ message: "too many changes of the membership wait", retryAfterMs: 1000 })
    request.done({ _tag: "Failed", error })
  }

  /** The first contact with a member whose incarnation is not known yet. */
  met(id: NodeId, incarnation: Incarnation): void {
    this.unbound.set(id, incarnation)
  }

  /** What `command` makes of the membership in force. */
  changeOf(command: ChangeCommand): Change {
    const { membership } = this.node
    const { isLive } = this.readiness
    switch (command._tag) {
      case "Join":
        return admit(membership, command)
      case "AddMember":
        return admit(membership, { ...command, incarnation: null, http: null })
      case "RemoveMember":
        return remove(membership, command.id, { isLive, force: command.force })
      case "PromoteMember":
        return promote(membership, command.id, { isLive, force: command.force })
      case "DemoteMember":
        return demote(membership, command.id, { isLive, force: command.force })
      case "UpdateAddress": {
        const own = this.node.parts.transport.introductions().get(command.id)?.address
        if (own === undefined || own === command.address) return relocate(membership, command.id, command)
        const reason =
          `${command.id} is connected and says that it is at ${own}; start it with the address it shall have`
        return { _tag: "Refused", reason, final: false }
      }
    }
  }

  /** Whether this node is about to lose its vote, by an entry that is not committed yet. */
  get isLeaving(): boolean {
    return this.node.memberships.isChanging && !this.node.isVoter
  }

  /**
   * Does what may be done now. `mayBegin` says that an entry of this leader's own term is committed, and that nothing
   * else keeps it from changing the membership. Returns true when a membership was committed in this turn.
   */
  advance(mayBegin: boolean): boolean {
    const { isChanging } = this.node.memberships
    const isCommitted = this.wasChanging && !isChanging
    if (isCommitted) {
      this.finish()
      this.replication.dismiss()
    }
    if (mayBegin && !isChanging) {
      while (this.queue.length > 0 && this.underWay === null) this.next()
      if (this.underWay === null) this.bindNext()
    }
    this.wasChanging = this.node.memberships.isChanging
    return isCommitted
  }

  /** Called with every heartbeat: drops requests that are out of time, and promotes who is ready. */
  tick(mayBegin: boolean): void {
    this.expire()
    const wanted = this.promotions.map(({ command }) => command.id)
    const joining = this.node.membership.members.filter((member) => member.standing === "joining")
    this.readiness.watch(new Set([...wanted, ...joining.map((member) => member.id)]))
    const ready = this.promotions.filter(({ command }) => this.readiness.obstacle(command.id) === null)
    if (ready.length > 0) {
      this.promotions = this.promotions.filter((request) => !ready.includes(request))
      this.queue.push(...ready)
    }
    if (!mayBegin || this.node.memberships.isChanging) return
    const liveness = { isLive: this.readiness.isLive, force: false }
    for (const { id } of joining) {
      if (this.readiness.obstacle(id) !== null) continue
      if (this.append(promote(this.node.membership, id, liveness), null)) return
    }
    if (!this.raiseFeatures()) this.relocateNext()
  }

  /** The leader leads no more: what was not appended may be asked of its successor. */
  end(): void {
    for (const request of [...this.queue, ...this.promotions]) this.node.waitForLeader(request)
    this.queue = []
    this.promotions = []
    const error = new OutcomeUnknown({ message: "leadership changed while the membership was; look at the members" })
    this.underWay?.request?.done({ _tag: "Failed", error })
    this.underWay = null
  }

  private next(): void {
    const request = this.queue.shift()!
    const { command } = request
    const change = this.changeOf(command)
    if (change._tag === "Change" && command._tag === "PromoteMember" && !command.force) {
      if (this.readiness.obstacle(command.id) !== null) return void this.promotions.push(request)
    }
    switch (change._tag) {
      case "Refused": {
        const { final, reason } = change
        return request.done({ _tag: "Failed", error: new MembershipRejected({ reason, final }) })
      }
      case "Unknown":
        return request.done({ _tag: "Failed", error: new NotFound({ message: `${command.id} is no member` }) })
      case "Already":
        return request.done(this.resultOf(command))
      case "Change":
        this.append(change, request)
    }
  }

  private bindNext(): void {
    for (const [id, incarnation] of this.unbound) {
      this.unbound.delete(id)
      if (findMember(this.node.membership, id)?.incarnation !== null) continue
      if (this.append(bind(this.node.membership, id, incarnation), null)) return
    }
  }

  /** What every member has announced may be used in the log from now on. */
  private raiseFeatures(): boolean {
    const { id: own, membership, parts } = this.node
    let common = ownFeatures
    for (const { id } of membership.members) if (id !== own) common &= parts.transport.features(id) ?? 0
    const features = (membership.features ?? 0) | common
    if (features === (membership.features ?? 0)) return false
    return this.append({ _tag: "Change", membership: { ...membership, features } }, null)
  }

  /** Where a member is, it knows best. */
  private relocateNext(): void {
    const { id: self, membership, parts } = this.node
    const introductions = parts.transport.introductions()
    for (const { id } of membership.members) {
      const own = id === self ? parts : introductions.get(id)
      if (own === undefined) continue
      if (this.append(relocate(membership, id, { address: own.address, http: own.http }), null)) return
    }
  }

  /** Appends the change, if it is one. */
  private append(change: Change, request: Request | null): boolean {
    if (change._tag !== "Change") return false
    this.underWay = { index: this.propose(change.membership), request }
    this.wasChanging = true
    this.replication.follow()
    return true
  }

  private expire(): void {
    const { now } = this.node
    const isOver = ({ deadline }: Administer) => deadline <= now
    for (const request of this.queue.filter(isOver)) {
      const error = new DeadlineExceeded({ message: "other changes took until the deadline" })
      request.done({ _tag: "Failed", error })
    }
    for (const request of this.promotions.filter(isOver)) {
      const reason = this.readiness.obstacle(request.command.id) ?? "it was not its turn within the deadline"
      request.done({ _tag: "Failed", error: new MembershipRejected({ reason, final: false }) })
    }
    this.queue = this.queue.filter((request) => !isOver(request))
    this.promotions = this.promotions.filter((request) => !isOver(request))
    // What is appended may still be committed, but whoever asked for it waits no longer than until the deadline.
    const request = this.underWay?.request ?? null
    if (request === null || !isOver(request)) return
    this.underWay!.request = null
    const error = new OutcomeUnknown({
      message: "the change was not committed within the deadline; look at the members"
    })
    request.done({ _tag: "Failed", error })
  }

  private finish(): void {
    const request = this.underWay?.request ?? null
    this.underWay = null
    if (request !== null) request.done(this.resultOf(request.command))
  }

  /** What is so now, after the change or because it was before. */
  private resultOf(command: ChangeCommand): AdminResult {
    const { clusterId, membership } = this.node
    if (command._tag === "RemoveMember") return { _tag: "Removed", id: command.id }
    const member = findMember(membership, command.id)
    if (member === undefined || clusterId === null) {
      return { _tag: "Failed", error: new NotFound({ message: `${command.id} is no member` }) }
    }
    return command._tag === "Join" || command._tag === "AddMember"
      ? { _tag: "Admitted", member, clusterId, members: membership.members }
      : { _tag: "Changed", member }
  }
}
