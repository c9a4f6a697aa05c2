/**
 * Which changes of the membership are legal (thesis §4.1, §4.2; errata of 2015).
 *
 * Invariant: memberships follow one another by at most one voter, at most one of them is uncommitted, and none is
 * appended before the leader has committed an entry of its own term; so any two that could both elect or commit share
 * a voter. An id, an incarnation and a key name the same member for ever.
 */
import type { Address, Incarnation, NodeId, PublicKey } from "../domain/Identity.ts"
import type { Member, Membership } from "../domain/Membership.ts"
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
  /** Nothing to do: the applicant is this member. */
  | { readonly _tag: "Already"; readonly member: Member }
  /** Refused, for good where `final`. */
  | { readonly _tag: "Refused"; readonly reason: string; readonly final: boolean }

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

/** Makes a joining member a voter, provided that the live voters then form a quorum. */
export const promote = (membership: Membership, id: NodeId, isLive: (id: NodeId) => boolean): Change => {
  const next = replace(membership, id, (member) => ({ ...member, standing: "voter" }))
  if (next._tag !== "Change") return next
  const voters = voterIds(next.membership)
  return voters.filter(isLive).length >= majority(voters.length)
    ? next
    : { _tag: "Refused", reason: `with ${id} as a voter the live voters would be no quorum`, final: false }
}

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

const replace = (membership: Membership, id: NodeId, f: (member: Member) => Member): Change =>
  findMember(membership, id) === undefined
    ? { _tag: "Refused", reason: `${id} is no member`, final: true }
    : change(membership, membership.members.map((member) => member.id === id ? f(member) : member))

const change = (membership: Membership, members: ReadonlyArray<Member>): Change => ({
  _tag: "Change",
  membership: { ...membership, members: members.slice().sort((a, b) => a.id < b.id ? -1 : 1) }
})
