/**
 * Lets each forwarded write in at most once, although a transport may repeat and delay what it carries.
 *
 * Invariant: for a sender's run and id, `accept` answers true at most once in the life of this object. An id so old
 * that its place has been taken by a newer one is never accepted; its sender learns nothing and answers
 * `OutcomeUnknown`.
 */
import type { NodeId } from "../domain/Identity.ts"

/** Ids that lie further apart than this share a place. */
const places = 8192
/** Runs (starts of the process) remembered for each sender. */
const runsKept = 16

export class ForwardFilter {
  private readonly senders = new Map<NodeId, Map<number, Float64Array>>()

  accept(from: NodeId, run: number, id: number): boolean {
    const seen = this.runOf(from, run)
    const place = id % places
    if (seen[place]! >= id + 1) return false
    seen[place] = id + 1
    return true
  }

  /** Forgets senders that are members no more, and never will be again. */
  keep(isMember: (id: NodeId) => boolean): void {
    for (const id of this.senders.keys()) if (!isMember(id)) this.senders.delete(id)
  }

  private runOf(from: NodeId, run: number): Float64Array {
    let runs = this.senders.get(from)
    if (runs === undefined) this.senders.set(from, runs = new Map())
    let seen = runs.get(run)
    if (seen === undefined) {
      runs.set(run, seen = new Float64Array(places))
      if (runs.size > runsKept) runs.delete(runs.keys().next().value!)
    }
    return seen
  }
}
