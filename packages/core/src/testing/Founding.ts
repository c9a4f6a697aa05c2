/** What the nodes of a simulated cluster have in common when they begin as one that was founded before. */
import { encodeCommand } from "../domain/CommandCodec.ts"
import { ownFeatures } from "../domain/Features.ts"
import type { Address, ClusterId, Identity, Incarnation, NodeId } from "../domain/Identity.ts"
import type { LogEntry } from "../domain/LogEntry.ts"
import type { Member, Membership } from "../domain/Membership.ts"
import type { LogIndex, Term } from "../domain/Position.ts"
import { stamp } from "../domain/RecordCodec.ts"
import { publicKeyOf } from "./SimEndpoint.ts"

const clusterId = "5".repeat(32) as ClusterId

/** Where a simulated node listens. */
export const addressOf = (id: string): Address => `${id}:7000` as Address

/** The identity that it has. */
export const identityOf = (id: string): Identity => ({
  nodeId: id as NodeId,
  incarnation: incarnationOf(id),
  clusterId,
  founding: false,
  raftPort: 7000
})

const incarnationOf = (id: string): Incarnation =>
  Buffer.from(id).toString("hex").padStart(32, "0").slice(-32) as Incarnation

/** A membership of these voters, as `founded` nodes have it. */
export const membershipOf = (voters: ReadonlyArray<string>, features = ownFeatures): Membership => ({
  members: voters.map((id): Member => ({
    id: id as NodeId,
    incarnation: incarnationOf(id),
    publicKey: publicKeyOf(id),
    address: addressOf(id),
    http: null,
    standing: "voter"
  })),
  tombstones: [],
  outgoing: null,
  features
})

/** The config entry of these voters, as entry 1 of term 1. */
export const foundingEntry = (voters: ReadonlyArray<string>, features = ownFeatures): LogEntry =>
  stamp(encodeCommand({ _tag: "Configure", membership: membershipOf(voters, features) }), 1 as Term, 1 as LogIndex)
