/**
 * Which changes of the membership are legal (thesis §4.1, §4.2; errata of 2015).
 *
 * Invariant: memberships follow one another by at most one voter, at most one of them is uncommitted, and none is
 * appended before the leader has committed an entry of its own term; so any two that could both elect or commit share
 * a voter. An id, an incarnation and a key name the same member for ever, also after its removal. No change leaves
 * fewer live voters than a quorum, unless it is forced, and none leaves no voter at all.
 */
import type { Address, Incarnation, NodeId, PublicKey } from "../domain/Identity.ts"
import type { Member, Membership, Standing } from "../domain/Membership.ts"
import { findMember, voterIds } from "../domain/Membership.ts"
import { majority } from "./Quorum.ts"

/** Who asks to be admitted. `incarnation` is null where an operator speaks for a node that has not been met. */
export interface Applicant {
  readonly id: NodeId
  readonly incarnation: Incarnation | null
  readonly publicKey: PublicKey
  readonly address: Address
  readonly http: string | null
  readonly learner: boolean
}

export type Change =
  /** The membership to append. */
  | { readonly _tag: "Change"; readonly membership: Membership }
  /** Nothing to do: the member is so already; null where it was removed, as was asked. */
  | { readonly _tag: "Already"; readonly member: Member | null }
  /** Refused, for good where `final`. */
  | { readonly _tag: "Refused"; readonly reason: string; readonly final: boolean }
  /** There is no member of this id, and never was. */
  | { readonly _tag: "Unknown" }

/** Whether a change counts the voters that are alive, and who is. */
export interface Liveness {
  readonly isLive: (id: NodeId) => boolean
  /** Changes the membership also where that leaves no live quorum. */
  readonly force: boolean
}

/**
 * How much members and tombstones may weigh together, in bytes, for somebody to be admitted: the whole membership
 * travels in one entry. It suffices for more than 5,000 members that ever were, with keys of the usual kind.
 */
const maxWeight = 1024 * 1024
/** What one of them weighs beside its id and key. */
const overheadBytes = 128

const refused = (reason: string): Change => ({ _tag: "Refused", reason, final: true })

/** Admits the applicant as a learner, to be promoted later unless it asked to stay one. */
export const admit = (membership: Membership, applicant: Applicant): Change => {
  const { id } = applicant
  if (membership.tombstones.some((gone) => gone.id === id)) {
    return refused(`${id} was removed from this cluster; a node never comes back under its old id`)
  }
  if (membership.tombstones.some((gone) => gone.publicKey === applicant.publicKey)) {
    return refused("this key belonged to a removed member; a new node needs a new key")
  }
  const owner = membership.members.find((member) => member.publicKey === applicant.publicKey)
  if (owner !== undefined && owner.id !== id) return refused(`this key belongs to the member ${owner.id}`)
  const known = findMember(membership, id)
  if (known === undefined) {
    const { members, tombstones } = membership
    const weight = [...members, ...tombstones].reduce((sum, one) => sum + weightOf(one), weightOf(applicant))
    if (weight > maxWeight) return refused("the members and the removed ones are too many to be kept in mind")
    return change(membership, [...membership.members, { ...withoutWish(applicant), standing: standingOf(applicant) }])
  }
  if (known.publicKey !== applicant.publicKey) return refused(`${id} is a member with another key`)
  if (known.incarnation !== null && applicant.incarnation !== null && known.incarnation !== applicant.incarnation) {
    return refused(`${id} is a member with another data directory; a wiped directory is a new node and needs a new id`)
  }
  return known.incarnation === null && applicant.incarnation !== null
    ? bind(membership, id, applicant.incarnation)
    : { _tag: "Already", member: known }
}

/** Binds the incarnation of a member that was added by an operator, at its first contact. */
export const bind = (membership: Membership, id: NodeId, incarnation: Incarnation): Change =>
  replace(membership, id, (member) => ({ ...member, incarnation }))

/** Makes a learner a voter. The caller has made sure that it has caught up and is reached by everybody. */
export const promote = (membership: Membership, id: NodeId, liveness: Liveness): Change =>
  stand(membership, id, "voter", liveness)

/** Makes a voter a learner; one that joins stays a learner. */
export const demote = (membership: Membership, id: NodeId, liveness: Liveness): Change =>
  stand(membership, id, "learner", liveness)

/** Removes a member for good: its id and key are remembered, and refused from then on. */
export const remove = (membership: Membership, id: NodeId, liveness: Liveness): Change => {
  if (membership.tombstones.some((gone) => gone.id === id)) return { _tag: "Already", member: null }
  const member = findMember(membership, id)
  if (member === undefined) return { _tag: "Unknown" }
  const { publicKey } = member
  const next = {
    ...membership,
    members: membership.members.filter((other) => other.id !== id),
    tombstones: [...membership.tombstones, { id, publicKey }].sort((a, b) => a.id < b.id ? -1 : 1)
  }
  return member.standing === "voter"
    ? alive(next, `without ${id}`, liveness)
    : { _tag: "Change", membership: next }
}

/** Takes note of where a member says that it is, or where an operator says so for it. */
export const relocate = (
  membership: Membership,
  id: NodeId,
  place: Partial<Pick<Member, "address" | "http">>
): Change => replace(membership, id, (member) => ({ ...member, ...place }))

/** The founder's membership: itself, alone. */
export const founding = (founder: Omit<Member, "standing">): Membership => ({
  members: [{ ...founder, standing: "voter" }],
  tombstones: [],
  outgoing: null
})

const standingOf = (applicant: Applicant) => applicant.learner ? "learner" as const : "joining" as const

const withoutWish = ({ id, incarnation, publicKey, address, http }: Applicant) => ({
  id,
  incarnation,
  publicKey,
  address,
  http
})

const weightOf = ({ id, publicKey }: { readonly id: string; readonly publicKey: string }): number =>
  id.length + publicKey.length + overheadBytes

/** Gives a member another standing; where the voters change by that, the live ones must be a quorum of the new. */
const stand = (membership: Membership, id: NodeId, standing: Standing, liveness: Liveness): Change => {
  const next = replace(membership, id, (member) => ({ ...member, standing }))
  const before = findMember(membership, id)?.standing
  if (next._tag !== "Change" || (before !== "voter" && standing !== "voter")) return next
  return alive(next.membership, standing === "voter" ? `with ${id} as a voter` : `without ${id}`, liveness)
}

/** The change to this membership, if it has a live quorum or is forced; a cluster without voters is none. */
const alive = (membership: Membership, what: string, { force, isLive }: Liveness): Change => {
  const voters = voterIds(membership)
  if (voters.length === 0) return refused(`${what} there would be no voter left`)
  if (force || voters.filter(isLive).length >= majority(voters.length)) return { _tag: "Change", membership }
  return { _tag: "Refused", reason: `${what} the live voters would be no quorum`, final: false }
}

const replace = (membership: Membership, id: NodeId, f: (member: Member) => Member): Change => {
  const before = findMember(membership, id)
  if (before === undefined) return { _tag: "Unknown" }
  const after = f(before)
  return isSame(before, after)
    ? { _tag: "Already", member: before }
    : change(membership, membership.members.map((member) => member.id === id ? after : member))
}

const isSame = (a: Member, b: Member): boolean =>
  a.standing === b.standing && a.incarnation === b.incarnation && a.address === b.address && a.http === b.http

const change = (membership: Membership, members: ReadonlyArray<Member>): Change => ({
  _tag: "Change",
  membership: { ...membership, members: members.slice().sort((a, b) => a.id < b.id ? -1 : 1) }
})
