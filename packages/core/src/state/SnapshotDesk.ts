/** Where the owner of the Raft state has fibers beside it build, read, receive and install snapshots. */
import type { NodeId } from "../domain/Identity.ts"
import type { Term } from "../domain/Position.ts"
import type { SnapshotHeader, SnapshotId } from "../domain/Snapshot.ts"
import type { StateMeta } from "../StateStore.ts"

export interface SnapshotDesk {
  /** The snapshot that can be read now; null while there is none. */
  readonly current: () => SnapshotId | null
  /** Asks for a snapshot of the last checkpoint; `SnapshotBuilt` follows, also where it failed. */
  readonly build: () => void
  /** Nobody needs the current one any more. */
  readonly drop: () => void
  /** Asks for bytes of the current one, for a follower; `SnapshotRead` follows, without bytes where it is gone. */
  readonly read: (to: NodeId, id: SnapshotId, offset: number, length: number) => void
  /** Begins to receive a snapshot, instead of whatever was received before. */
  readonly receive: (id: SnapshotId) => void
  /** Keeps the bytes that follow; `SnapshotKept` follows. */
  readonly append: (bytes: Uint8Array) => void
  /** All bytes are there; `SnapshotPrepared` or `SnapshotRefused` follows. */
  readonly prepare: () => void
  /** Makes it the state; `SnapshotInstalled` follows. */
  readonly install: () => void
  /** Throws away what was received. */
  readonly abandon: () => void
}

/** A snapshot on its way in, as the owner of the Raft state sees it. */
export interface Incoming {
  readonly id: SnapshotId
  readonly from: NodeId
  readonly term: Term
  /** Bytes handed over to be kept, and bytes that are. */
  taken: number
  kept: number
  /** Milliseconds (monotonic) of the last bytes. */
  at: number
  /** `Prepared`: it waits for a checkpoint that is under way. */
  phase: "Receiving" | "Preparing" | "Prepared" | "Installing"
}

/** What the fibers answer. */
export type SnapshotNews =
  /** A checkpoint has succeeded. */
  | { readonly _tag: "Checkpointed" }
  | { readonly _tag: "SnapshotBuilt" }
  | {
    readonly _tag: "SnapshotRead"
    readonly to: NodeId
    readonly id: SnapshotId
    readonly offset: number
    readonly data: Uint8Array
  }
  | { readonly _tag: "SnapshotKept"; readonly id: SnapshotId; readonly bytes: number }
  | { readonly _tag: "SnapshotPrepared"; readonly id: SnapshotId; readonly header: SnapshotHeader }
  /** It cannot be kept, or (`malformed`) is no snapshot. */
  | { readonly _tag: "SnapshotRefused"; readonly id: SnapshotId; readonly malformed: boolean }
  | { readonly _tag: "SnapshotInstalled"; readonly meta: StateMeta }
