/**
 * The three calls that a server makes thousands of times a second, without an Effect and a fiber each: what `DistKv`'s
 * calls of these names do, told to a function.
 *
 * They belong to the service itself: one that wraps or replaces a node's has none, so that nothing goes past it.
 */
import type { Exit } from "effect"
import type { DeleteOptions, DeleteResult, DistKv, ReadEntry, ReadOptions, SetOptions, SetResult } from "./DistKv.ts"
import type { KeyNotFound, ReadError, WriteError } from "./DistKvError.ts"
import type { ClusterId, NodeId } from "./domain/Identity.ts"
import type { Revision, Term } from "./domain/Position.ts"

/** Called once, at once or later, in the middle of the node's turn: it must not throw. */
export type Done<A, E> = (exit: Exit.Exit<A, E>) => void

/** What a node knows of itself at this moment. */
export interface Standing {
  readonly nodeId: NodeId
  readonly clusterId: ClusterId | null
  readonly term: Term
  readonly leader: NodeId | null
  readonly revision: Revision
}

export interface DirectCalls {
  /** The entry's value is lent: to be read, not changed. */
  readonly get: (key: string, options: ReadOptions | undefined, done: Done<ReadEntry, KeyNotFound | ReadError>) => void
  readonly set: (
    key: string,
    value: Uint8Array | string,
    options: SetOptions | undefined,
    done: Done<SetResult, WriteError>
  ) => void
  readonly delete: (key: string, options: DeleteOptions | undefined, done: Done<DeleteResult, WriteError>) => void
  /** A part of `DistKv.status`; also when the node is closed. */
  readonly standing: () => Standing
}

const known = new WeakMap<DistKv["Service"], DirectCalls>()

/** The direct calls of a node's own service; undefined for any other. */
export const directCalls = (service: DistKv["Service"]): DirectCalls | undefined => known.get(service)

/** Lets a service be served directly. */
export const withDirectCalls = (service: DistKv["Service"], calls: DirectCalls): DistKv["Service"] => {
  known.set(service, calls)
  return service
}
