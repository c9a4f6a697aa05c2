/** Everything that may be said to the fiber that plays a node's roles: the closed union of its inbox. */
import type { ClusterId, NodeId } from "../domain/Identity.ts"
import type { LogEntry } from "../domain/LogEntry.ts"
import type { Member } from "../domain/Membership.ts"
import type { AdminCommand, AdminResult, Envelope } from "../domain/PeerMessage.ts"
import type { LogId } from "../domain/Position.ts"
import type { HardState } from "../LogStore.ts"
import type { PendingRead } from "./PendingReads.ts"
import type { PendingWrite } from "./PendingWrites.ts"
import type { SnapshotNews } from "./SnapshotDesk.ts"

/** The committer made everything up to submission `number` durable; `last` is the last entry of that step. */
export interface Persisted {
  readonly _tag: "Persisted"
  readonly number: number
  readonly hardState: HardState | null
  readonly last: LogId | null
}

/** Entries that left the memory window, read back for a follower or for the state machine (`to` null). */
export interface EntriesRead {
  readonly _tag: "EntriesRead"
  readonly to: NodeId | null
  readonly entries: ReadonlyArray<LogEntry>
}

/** A change of the cluster, asked for here or forwarded from a member. */
export interface Administer {
  readonly _tag: "Administer"
  readonly command: AdminCommand
  /** Milliseconds, monotonic. */
  readonly deadline: number
  readonly hops: number
  readonly done: (result: AdminResult) => void
}

export type NodeMessage =
  /** A message of another node. */
  | { readonly _tag: "Peer"; readonly envelope: Envelope }
  /** A peer's forwarded write, without its record, for which there was no room. */
  | { readonly _tag: "Shed"; readonly envelope: Envelope }
  | Persisted
  | EntriesRead
  | SnapshotNews
  /** The follower's or candidate's time-out is over, unless something has moved its deadline. */
  | { readonly _tag: "ElectionDue" }
  | { readonly _tag: "HeartbeatDue" }
  /** A client's write. */
  | { readonly _tag: "Propose"; readonly write: PendingWrite }
  /** A client's read that needs the leader's word. */
  | { readonly _tag: "Read"; readonly read: PendingRead }
  | Administer
  /** Some deadline may have passed. */
  | { readonly _tag: "SweepDue" }
  /** More committed entries wait to be applied than one turn may take. */
  | { readonly _tag: "ApplyMore" }
  /** A member that this node asked to be admitted says who the members are. */
  | { readonly _tag: "Welcomed"; readonly members: ReadonlyArray<Member> }
  /** The cluster id that a leader told is durable now. */
  | { readonly _tag: "Adopted"; readonly clusterId: ClusterId }
  /** The disk reserve was reached, or is free again. */
  | { readonly _tag: "SpaceChanged"; readonly full: boolean; readonly bytes: number | null }
  /** The node closes: it hands leadership over and takes no more work. */
  | { readonly _tag: "Close"; readonly done: () => void }
