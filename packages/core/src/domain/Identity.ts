/** Who a node is, and to which cluster it belongs. */
import { Schema } from "effect"

/** A node's name within its cluster, fixed at its first start. */
export const NodeId = Schema.String.check(Schema.isPattern(/^[A-Za-z0-9._-]{1,64}$/)).pipe(Schema.brand("NodeId"))
export type NodeId = typeof NodeId.Type

/** A random id of one data directory: 32 lower-case hexadecimal digits. A wiped directory is another node. */
export const Incarnation = Schema.String.check(Schema.isPattern(/^[0-9a-f]{32}$/)).pipe(Schema.brand("Incarnation"))
export type Incarnation = typeof Incarnation.Type

/** A random id of one cluster: 32 lower-case hexadecimal digits, drawn when it is bootstrapped. */
export const ClusterId = Schema.String.check(Schema.isPattern(/^[0-9a-f]{32}$/)).pipe(Schema.brand("ClusterId"))
export type ClusterId = typeof ClusterId.Type

/** Where a node listens for its peers, as `host:port`; a hint that may change, never an identity. */
export const Address = Schema.String.check(Schema.isPattern(/^\S{1,255}:\d{1,5}$/)).pipe(Schema.brand("Address"))
export type Address = typeof Address.Type

/** A public key as OpenSSH writes it, `type base64`, without a comment. */
export const PublicKey = Schema.String.check(Schema.isPattern(/^\S+ \S+$/)).pipe(Schema.brand("PublicKey"))
export type PublicKey = typeof PublicKey.Type

/**
 * Why the cluster wants no more of a node, for good.
 *
 * `removed`: it is no member any more. `rolledBack`: it came back without entries that it had acknowledged, so its
 * directory is an older one; whatever it promised since then is forgotten, and it must neither vote nor acknowledge.
 */
export const Refusal = Schema.Literals(["removed", "rolledBack"])
export type Refusal = typeof Refusal.Type

/** What a refused node says of itself, and what to do. */
export const refusalText: Readonly<Record<Refusal, string>> = {
  removed: "this node was removed from its cluster for good; to come back it needs an empty directory and a new id",
  rolledBack: "this node's directory is an older one: it lacks what it had acknowledged, and takes part in nothing " +
    "any more. Remove it from the cluster, and join as a new node with an empty directory"
}

/**
 * What makes a data directory this node and no other; durable before the node's first message.
 *
 * `clusterId` is null until the node founds a cluster or is admitted to one. `founding` is true from the moment
 * that a bootstrap begins until its first entry is durable, so that a crash in between is finished by the next start.
 * `raftPort` remembers a port that was drawn, so that the address survives a restart. `refused` is there once the
 * cluster has told this node that it is refused for good; it survives restarts, as the refusal does.
 */
export const Identity = Schema.Struct({
  nodeId: NodeId,
  incarnation: Incarnation,
  clusterId: Schema.NullOr(ClusterId),
  founding: Schema.Boolean,
  raftPort: Schema.NullOr(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 65535 }))),
  refused: Schema.optionalKey(Refusal)
})
export type Identity = typeof Identity.Type
