/**
 * Reads without a round of contact, inside a lease (thesis §6.4.1).
 *
 * A voter that hears of a leader grants no vote for an election time-out on its own clock, and none for as long after
 * its own start: it may have forgotten whom it heard of. (The exception, a campaign that the leader in place ordered,
 * ends the lease before the order is given.) The leader knows when each voter was in contact at the earliest, and how
 * much faster than its own another's clock may run.
 *
 * Invariant: until the returned time, on the leader's clock, every quorum that could elect another leader has a voter
 * that still withholds its vote, so nothing can have been committed that this leader does not know of.
 */
import type { NodeId } from "../domain/Identity.ts"
import { type Membership, voterIds } from "../domain/Membership.ts"
import { isQuorum } from "./Quorum.ts"

/** What a leader knows of a voter. */
export interface Withholding {
  /** When the newest round of contact that it has answered was begun: milliseconds on the leader's clock. */
  readonly heardAt: number
  /** For how many milliseconds of its own clock it withholds its vote after contact; 0 where it does not. */
  readonly withholdsMs: number
}

/** When a promise ends at the earliest, where no clock runs more than `drift` (0.01: one hundredth) faster. */
export const promisedUntil = ({ heardAt, withholdsMs }: Withholding, drift: number): number =>
  withholdsMs > 0 ? heardAt + withholdsMs / (1 + drift) : Number.NEGATIVE_INFINITY

/**
 * Until when a quorum withholds its votes: the latest time that a quorum's promises reach. `until` says for how long
 * one voter does; the leader itself votes for nobody while it leads.
 */
export const leaseUntil = (membership: Membership, until: (id: NodeId) => number): number => {
  let latest = Number.NEGATIVE_INFINITY
  for (const id of voterIds(membership)) {
    const end = until(id)
    if (end > latest && isQuorum(membership, (other) => until(other) >= end)) latest = end
  }
  return latest
}
