/**
 * Who a peer is to this node, and what it may therefore say. Every transport asks here, so that the rule is one.
 *
 * A key is trusted or not before this is asked; here it is only about what a trusted key may do.
 */
import type { Address, ClusterId, Incarnation, NodeId, PublicKey } from "./Identity.ts"
import { findMember, type Membership } from "./Membership.ts"
import type { Envelope, PeerMessage } from "./PeerMessage.ts"
import { logStart, type Term } from "./Position.ts"

/** What a node says of itself when a connection begins, beside the key that it has proved to own. */
export interface PeerIdentity {
  readonly nodeId: NodeId
  readonly incarnation: Incarnation
  /** Null while it belongs to no cluster. */
  readonly clusterId: ClusterId | null
  readonly publicKey: PublicKey
  /** The bits of `Features.ts` that it announces. */
  readonly features?: number | undefined
}

/** Where a node says that it is to be found; null where it serves no HTTP. */
export interface Introduction {
  readonly address: Address
  readonly http: string | null
}

/**
 * Whom a node keeps connected: the members in force, and those whose removal is not committed yet, since they have to
 * learn of it. A tombstone counts from the moment that it is committed: until then the removal may be taken back.
 */
export const directoryOf = (inForce: Membership, committed: Membership): Membership => {
  const departing = committed.members.filter((member) => findMember(inForce, member.id) === undefined)
  return { ...inForce, members: [...inForce.members, ...departing], tombstones: committed.tombstones }
}

/**
 * What a peer is to this node.
 *
 * `member`: it may say everything. `guest`: a trusted key that is no member; it may ask to join and nothing else.
 * `removed`: the key or the name of a removed member; a link with it ends once it was told so, and what it may ask as a
 * guest is answered with the same. `refused`: the connection ends; `reason` is for the log and says what to change.
 */
export type PeerStanding =
  | { readonly _tag: "member" }
  | { readonly _tag: "guest" }
  | { readonly _tag: "removed" }
  | { readonly _tag: "refused"; readonly reason: string }

const member: PeerStanding = { _tag: "member" }
const guest: PeerStanding = { _tag: "guest" }
const removed: PeerStanding = { _tag: "removed" }
const refused = (reason: string): PeerStanding => ({ _tag: "refused", reason })

/**
 * Judges a peer by this node's own identity and the membership it knows.
 *
 * A node that belongs to no cluster, or knows no membership yet, takes raft traffic from every key it trusts: it has
 * to learn from somebody who the members are. So has a member that was away while another was added: a trusted key that
 * names this node's own cluster, and nobody else's name, counts as that other (thesis §4.1), and the Raft state listens
 * to nothing but its appends and requests for votes until the membership names it.
 */
export const judgePeer = (own: PeerIdentity, membership: Membership, peer: PeerIdentity): PeerStanding => {
  if (peer.publicKey === own.publicKey) return refused("it uses this node's own key")
  if (own.clusterId !== null && peer.clusterId !== null && own.clusterId !== peer.clusterId) {
    return refused(`it belongs to cluster ${peer.clusterId}, and this node to ${own.clusterId}`)
  }
  if (membership.tombstones.some((gone) => gone.publicKey === peer.publicKey || gone.id === peer.nodeId)) {
    return removed
  }
  const known = findMember(membership, peer.nodeId)
  if (known === undefined) {
    const ownsOther = membership.members.some((other) => other.publicKey === peer.publicKey)
    const isOurs = own.clusterId === null || membership.members.length === 0 || peer.clusterId === own.clusterId
    return isOurs && !ownsOther ? member : guest
  }
  if (known.publicKey !== peer.publicKey) return guest
  return known.incarnation === null || known.incarnation === peer.incarnation ? member : guest
}

/** What a removed member is told in place of a connection. */
export const removedNotice: PeerMessage = {
  _tag: "Refused",
  term: 0 as Term,
  reason: "removed",
  lost: logStart
}

/** Whether a peer of this standing may say this. A guest speaks for itself only, and over no intermediary. */
export const maySay = (standing: PeerStanding, peer: PeerIdentity, message: PeerMessage): boolean => {
  if (standing._tag === "member") return true
  if (standing._tag === "refused" || message._tag !== "AdminRequest" || message.hops !== 0) return false
  const { command } = message
  return command._tag === "Join" && command.id === peer.nodeId && command.publicKey === peer.publicKey &&
    command.incarnation === peer.incarnation
}

/**
 * The ids of requests that came by `call` start here: a transport gives each its own, so that an answer finds its way
 * back to the one who asked, whatever id and name that one chose. Requests over a member's link stay below.
 */
export const firstCallId = 2 ** 52

/** A message as it is handed over, with what is known of its sender. */
export const envelopeOf = (peer: PeerIdentity, message: PeerMessage): Envelope => ({
  from: peer.nodeId,
  incarnation: peer.incarnation,
  publicKey: peer.publicKey,
  clusterId: peer.clusterId,
  features: peer.features,
  message
})
