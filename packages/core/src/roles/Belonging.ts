/**
 * What a node is to its cluster: voter, learner, refused or none of these; and what its transport is told of it.
 *
 * Invariant: a node that was refused stays so, over restarts too, and the transport holds nobody for removed before the
 * removal is committed.
 */
import type { NodeId, Refusal } from "../domain/Identity.ts"
import { findMember, type Member, type Membership, voterIds } from "../domain/Membership.ts"
import { directoryOf } from "../domain/PeerDirectory.ts"
import type { LogIndex } from "../domain/Position.ts"
import type { MembershipLog } from "../state/MembershipLog.ts"
import type { OpenTransport } from "../Transport.ts"

export interface BelongingParts {
  readonly id: NodeId
  readonly memberships: MembershipLog
  readonly transport: OpenTransport
  /** What the cluster has told an earlier run of this node; null unless it refused it. */
  readonly refused: Refusal | null
  /** Asks that a refusal be made durable. */
  readonly saveRefusal: (reason: Refusal) => void
}

export class Belonging {
  readonly memberships: MembershipLog
  /** Why the cluster wants no more of this node, for good: it campaigns, votes and acknowledges no more. */
  refused: Refusal | null
  private readonly parts: BelongingParts
  /** Who was said to be a member when this node was admitted. */
  private welcomedBy: ReadonlyArray<Member> = []
  /** A membership was committed in this turn, of which the transport has not been told yet. */
  private owesDirectory = false

  constructor(parts: BelongingParts) {
    this.parts = parts
    this.memberships = parts.memberships
    this.refused = parts.refused
    if (this.isRemoved) this.refuse("removed")
    if (this.inForce.members.length > 0) this.tellTransport()
  }

  get inForce(): Membership {
    return this.memberships.current
  }

  get isVoter(): boolean {
    return findMember(this.inForce, this.parts.id)?.standing === "voter"
  }

  get isSoleVoter(): boolean {
    return this.isVoter && voterIds(this.inForce).length === 1
  }

  /**
   * Whether this node may stand for election. One that its log has left without a vote may still have to, as long as
   * that is not known to be committed: it may be the only one that holds the entry by which it leaves (thesis §4.2.2).
   */
  get mayCampaign(): boolean {
    if (this.refused !== null) return false
    return this.isVoter ||
      this.memberships.possible.some((one) => findMember(one, this.parts.id)?.standing === "voter")
  }

  /**
   * This node was admitted to a cluster of these members. Until its own log says so too, their keys are as good as
   * those of members: else it could not be sent the log by a leader whose key it has in no file.
   */
  welcome(members: ReadonlyArray<Member>): void {
    this.welcomedBy = members
    this.tellTransport()
  }

  /** A config entry joined the log: it is in force from here on (thesis §4.1). */
  append(index: LogIndex, membership: Membership): void {
    this.memberships.append(index, membership)
    this.tellTransport()
  }

  /** The entry at `index` and all after it are gone, and with them the memberships among them. */
  truncateFrom(index: LogIndex): void {
    if (this.memberships.truncateFrom(index)) this.tellTransport()
  }

  /** A snapshot that ends at `index` holds this committed membership, which may have this node among the removed. */
  reset(index: LogIndex, membership: Membership): void {
    this.memberships.reset(index, membership)
    this.owesDirectory = true
    if (this.isRemoved) this.refuse("removed")
  }

  /** Everything up to `index` is committed. Returns whether a membership was among it. */
  commitTo(index: LogIndex): boolean {
    if (!this.memberships.isChanging || !this.memberships.commitTo(index)) return false
    // The transport hears of it at the end of the turn: who is removed has to be told before its connection ends.
    this.owesDirectory = true
    if (this.isRemoved) this.refuse("removed")
    return true
  }

  /** Whether somebody is a member by the last membership that is committed. */
  readonly isCommittedMember = (id: NodeId): boolean => findMember(this.memberships.lastCommitted, id) !== undefined

  /** The cluster refuses this node for good. */
  refuse(reason: Refusal): void {
    if (this.refused !== null) return
    this.refused = reason
    this.owesDirectory = true
    this.parts.saveRefusal(reason)
  }

  /** Ends a turn, once everything that it had to say has left. */
  endTurn(): void {
    if (this.owesDirectory) this.tellTransport()
  }

  /** Whether the last committed membership has this node among those removed. */
  private get isRemoved(): boolean {
    return this.memberships.lastCommitted.tombstones.some((gone) => gone.id === this.parts.id)
  }

  private tellTransport(): void {
    this.owesDirectory = false
    const directory = directoryOf(this.inForce, this.memberships.lastCommitted)
    const members = directory.members.length > 0 ? directory.members : this.welcomedBy
    // Nobody talks to a removed node, so it calls nobody.
    const isRemoved = this.refused === "removed"
    this.parts.transport.setMembership({ ...directory, members: isRemoved ? [] : members }, this.trusted())
  }

  /** Whose keys may be trusted: the committed members', as far as this node knows or was told who they are. */
  private trusted(): Membership {
    const committed = this.memberships.lastCommitted
    if (findMember(committed, this.parts.id) !== undefined) return committed
    // It was admitted by an entry that it does not know to be committed yet, or was just started.
    const told = this.welcomedBy.length > 0 ? this.welcomedBy : this.inForce.members
    const others = told.filter((member) => findMember(committed, member.id) === undefined)
    return { ...committed, members: [...committed.members, ...others] }
  }
}
