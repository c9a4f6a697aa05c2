/**
 * What a leader may call committed (paper §5.3, §5.4.2).
 *
 * Invariant: an index is committed by counting only when a quorum of voters holds it durably **and** its entry is of
 * the leader's own term; an older entry on a majority can still be overwritten (figure 8) and commits only through a
 * newer one. The commit index never falls.
 */
import type { NodeId } from "../domain/Identity.ts"
import type { Membership } from "../domain/Membership.ts"
import { voterIds } from "../domain/Membership.ts"
import type { LogIndex, Term } from "../domain/Position.ts"
import { quorumIndex } from "./Quorum.ts"

/** A leader's view: what each voter, itself included, holds durably. */
export interface Replication {
  readonly membership: Membership
  readonly match: (id: NodeId) => LogIndex
  readonly termAt: (index: LogIndex) => Term | undefined
}

/** The commit index of the leader of `term` whose commit index is `committed`. */
export const commitIndex = (replication: Replication, term: Term, committed: LogIndex): LogIndex => {
  const { membership, match } = replication
  let index = quorumIndex(voterIds(membership), match)
  if (membership.outgoing !== null) index = Math.min(index, quorumIndex(membership.outgoing, match)) as LogIndex
  return index > committed && replication.termAt(index) === term ? index : committed
}
