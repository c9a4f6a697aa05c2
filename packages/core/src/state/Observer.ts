/** What a node shows of itself to whoever watches it in a test: nothing is computed unless somebody does. */
import { Context } from "effect"
import type { Limits } from "../DistKvSettings.ts"
import type { NodeId } from "../domain/Identity.ts"
import type { LogEntry } from "../domain/LogEntry.ts"
import type { Membership } from "../domain/Membership.ts"
import type { Outcome } from "../domain/Outcome.ts"
import type { LogId, LogIndex, Revision, Term } from "../domain/Position.ts"
import type { Role } from "../domain/Role.ts"

/** What a leader knows of a follower's log, and where the appends on their way to it end. */
export interface FollowerView {
  readonly match: LogIndex
  readonly next: LogIndex
  readonly underWay: ReadonlyArray<{ readonly last: LogIndex }>
}

/** A node's own state as its owner sees it; valid only during the call that it is passed to. */
export interface NodeView {
  readonly id: NodeId
  readonly role: Role
  readonly term: Term
  readonly votedFor: NodeId | null
  readonly leader: NodeId | null
  readonly first: LogIndex
  readonly last: LogIndex
  readonly termAt: (index: LogIndex) => Term | undefined
  readonly entryAt: (index: LogIndex) => LogEntry | undefined
  readonly commit: LogIndex
  readonly applied: LogIndex
  readonly revision: Revision
  /** The digest of the state after `applied`; undefined before its chain begins. */
  readonly digest: number | undefined
  /** The membership in force. */
  readonly membership: Membership
  /** The index of its entry; 0 before the first. */
  readonly membershipIndex: LogIndex
  /** What the node believes to be durable. */
  readonly durable: { readonly term: Term; readonly votedFor: NodeId | null; readonly index: LogIndex }
  /** Of the followers, on a leader only. */
  readonly progress: ReadonlyMap<NodeId, FollowerView> | null
  readonly limits: Limits
  readonly pending: { readonly writes: number; readonly reads: number; readonly bytes: number }
  /** What the node holds for callers and peers, each number 0 when nobody wants anything; may be called at any time. */
  readonly held: () => Readonly<Record<string, number>>
}

/** Callbacks, called synchronously by the owner of the node's state; they must not throw. */
export interface NodeObserver {
  /** After every batch. */
  readonly stepped: (view: NodeView) => void
  readonly applied: (view: NodeView, entry: LogEntry, outcome: Outcome) => void
  /** Entries joined the in-memory log, replacing everything from the first one's index. */
  readonly appended: (view: NodeView, entries: ReadonlyArray<LogEntry>) => void
  /** A snapshot took the place of the state and, unless `keepsLog`, of the log, which begins anew after it. */
  readonly installed: (view: NodeView, last: LogId, keepsLog: boolean) => void
}

export const Observer = Context.Reference<NodeObserver | null>("@distkv/core/Observer", { defaultValue: () => null })
