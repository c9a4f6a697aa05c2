/**
 * The port to the other nodes. Laws, checked by `testing/laws/TransportLaws.ts` on every implementation:
 *
 * - a message may be lost, repeated, delayed, and reordered across connections; it is never invented or changed;
 * - the sender named on an arriving envelope is the authenticated one;
 * - what is buffered for a peer is bounded; what does not fit is dropped and counted, never waited for;
 * - `send` and `flush` are synchronous and never throw; messages of one turn may travel together.
 */
import { Context, type Effect, type Scope } from "effect"
import type { InvalidRequest, NoLeader, StartError } from "./DistKvError.ts"
import type { Address, ClusterId, Identity, NodeId, PublicKey } from "./domain/Identity.ts"
import type { Membership } from "./domain/Membership.ts"
import type { Introduction } from "./domain/PeerDirectory.ts"
import type { AdminCommand, AdminResult, Envelope, Link, PeerMessage } from "./domain/PeerMessage.ts"
import type { LogIndex, Term } from "./domain/Position.ts"

/**
 * What a message promises about its sender's disk. A real transport ignores it; the simulated network refuses a
 * message whose claim is ahead of what the sender has made durable.
 */
export interface DurableClaim {
  readonly term: Term
  readonly votedFor: NodeId | null
  /** Every entry up to here is durable; 0 claims nothing. */
  readonly index: LogIndex
}

/** Counters of one peer's link since the start of the process. */
export interface PeerTraffic {
  readonly id: NodeId
  readonly connected: boolean
  readonly sentBytes: number
  readonly receivedBytes: number
  readonly droppedMessages: number
}

/** The transport once it listens. */
export interface OpenTransport {
  /** Where peers reach this node; differs from the wish when a port was drawn. */
  readonly address: Address
  /** Queues a message; false when it was dropped at once, and then it will never arrive. */
  readonly send: (to: NodeId, message: PeerMessage, claim?: DurableClaim) => boolean
  /** Ends a turn: what was queued since the last call goes to the wire, one write per peer and lane. */
  readonly flush: () => void
  /**
   * Tells whom to keep connected, with which key and where; called whenever a config entry is appended, taken back or
   * committed. `committed` is the last committed membership: where the keys of members are trusted, it is these.
   * A peer that `membership` has among its tombstones is told so (`removedNotice`) in place of a connection.
   */
  readonly setMembership: (membership: Membership, committed?: Membership) => void
  /** Says from now on that this node is to be found there; called once, before anything else. */
  readonly introduce: (own: Introduction) => void
  /** Where the members that are connected say that they are. */
  readonly introductions: () => ReadonlyMap<NodeId, Introduction>
  /** Says from now on that this node belongs to `clusterId`; called once, when it is admitted. */
  readonly setClusterId: (clusterId: ClusterId) => void
  /** This node's view of its links to the members, in order of id. */
  readonly links: () => ReadonlyArray<Link>
  readonly traffic: () => ReadonlyArray<PeerTraffic>
  /** The features (bits of `Features.ts`) that a peer announced when it last connected to this process; else null. */
  readonly features: (id: NodeId) => number | null
  /**
   * Asks the node at a bare address, whose id is not known yet but whose key must be trusted, and waits for its answer.
   * Fails with `NoLeader` when it cannot be reached in time (the message says why, and which key to authorise where).
   */
  readonly call: (
    address: Address,
    command: AdminCommand,
    remainingMs: number
  ) => Effect.Effect<AdminResult, NoLeader | InvalidRequest>
}

export class Transport extends Context.Service<Transport, {
  /** This node's own public key. */
  readonly publicKey: PublicKey
  /**
   * Starts to listen and to keep connections, until the scope closes.
   *
   * `receive` is called synchronously for every arriving message and must not throw. A message for `call` arrives at
   * the other side as an `AdminRequest` whose reply the transport routes back by its id.
   */
  readonly open: (
    identity: Identity,
    receive: (envelope: Envelope) => void
  ) => Effect.Effect<OpenTransport, StartError, Scope.Scope>
}>()("@distkv/core/Transport") {}
