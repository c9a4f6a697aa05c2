/** Who belongs to the cluster. A config entry of the log holds a whole `Membership`. */
import { Schema } from "effect"
import { type Feature, feature } from "./Features.ts"
import { Address, Incarnation, NodeId, PublicKey } from "./Identity.ts"

/**
 * How a member takes part.
 *
 * `voter` counts in quorums. `learner` only receives the log. `joining` is a learner that the leader promotes by
 * itself once it has caught up and every live voter reaches it; being part of the entry, the wish survives the leader.
 */
export const Standing = Schema.Literals(["voter", "learner", "joining"])
export type Standing = typeof Standing.Type

/** One member of the cluster. `incarnation` is null until the first contact binds it; `http` is null where unknown. */
export const Member = Schema.Struct({
  id: NodeId,
  incarnation: Schema.NullOr(Incarnation),
  publicKey: PublicKey,
  address: Address,
  http: Schema.NullOr(Schema.String),
  standing: Standing
})
export type Member = typeof Member.Type

/** What is remembered of a removed member, so that its id and key never come back. */
export const Tombstone = Schema.Struct({ id: NodeId, publicKey: PublicKey })
export type Tombstone = typeof Tombstone.Type

/**
 * The whole membership, in force from the moment its entry is appended (thesis §4.1).
 *
 * `members` is sorted by id, each id and each key once. `outgoing` is room for the outgoing voters of a joint
 * configuration; it is null, since voters change one at a time. `features` are the bits of `Features.ts` that all
 * members have announced; absent, as the first release wrote it, means none.
 */
export const Membership = Schema.Struct({
  members: Schema.Array(Member),
  tombstones: Schema.Array(Tombstone),
  outgoing: Schema.NullOr(Schema.Array(NodeId)),
  features: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 2 ** 30 - 1 })))
})
export type Membership = typeof Membership.Type

/** No members: what a node believes before it founds or joins a cluster. */
export const emptyMembership: Membership = { members: [], tombstones: [], outgoing: null }

/** The member with this id, if there is one. */
export const findMember = (membership: Membership, id: NodeId): Member | undefined =>
  membership.members.find((member) => member.id === id)

/** Whether all members know a feature, so that it may be used in the log. */
export const hasFeature = (membership: Membership, name: Feature): boolean =>
  ((membership.features ?? 0) & feature[name]) !== 0

/** The ids of the voters, in order of id. */
export const voterIds = (membership: Membership): ReadonlyArray<NodeId> =>
  membership.members.filter((member) => member.standing === "voter").map((member) => member.id)
