/**
 * Majorities of voters (paper §5.2, thesis §4.1).
 *
 * Invariant: two quorums of one membership, and of two memberships that differ by one voter, always share a voter.
 * Only voters count; a learner, a removed member and the node itself when it is no voter never do. A membership with
 * outgoing voters (a joint configuration, thesis §4.3) needs a majority of each set.
 */
import type { NodeId } from "../domain/Identity.ts"
import type { Membership } from "../domain/Membership.ts"
import { voterIds } from "../domain/Membership.ts"
import type { LogIndex } from "../domain/Position.ts"

/** How many of `voters` voters make a majority. */
export const majority = (voters: number): number => Math.floor(voters / 2) + 1

/** Whether those voters for which `holds` is true are a quorum. An empty membership has no quorum. */
export const isQuorum = (membership: Membership, holds: (id: NodeId) => boolean): boolean =>
  majorityHolds(voterIds(membership), holds) &&
  (membership.outgoing === null || majorityHolds(membership.outgoing, holds))

const majorityHolds = (voters: ReadonlyArray<NodeId>, holds: (id: NodeId) => boolean): boolean => {
  let count = 0
  for (const id of voters) if (holds(id)) count++
  return voters.length > 0 && count >= majority(voters.length)
}

/** The highest index that a majority of `voters` has reached, 0 where there are no voters. */
export const quorumIndex = (voters: ReadonlyArray<NodeId>, reached: (id: NodeId) => LogIndex): LogIndex => {
  if (voters.length === 0) return 0 as LogIndex
  const indexes = voters.map(reached).sort((a, b) => b - a)
  return indexes[majority(voters.length) - 1]!
}

/** How many of the voters that are alive may still fail before the quorum is lost; negative when it is lost. */
export const failureTolerance = (membership: Membership, alive: (id: NodeId) => boolean): number => {
  const voters = voterIds(membership)
  return voters.filter(alive).length - majority(voters.length)
}
