/** What leases (`rules/Lease.ts`) ask of a node: to withhold its vote, and to serve by a lease only inside it. */
import type { NodeState } from "./NodeState.ts"

/** For how long after contact with a leader, and after its start, a node grants no vote: milliseconds of its clock. */
export const withholdsMs = ({ parts }: NodeState): number => parts.clockDrift === null ? 0 : parts.electionTimeout

/**
 * Whether another's lease may rest on this node's granting no vote now (thesis §6.4.1). What it has come to know of its
 * leader or of a higher term meanwhile is no excuse: only time is.
 */
export const withholdsVote = (node: NodeState): boolean =>
  node.now - Math.max(node.leaderContactAt, node.startedAt) < withholdsMs(node)

/** Whether a read may be served from this node's state at `now` (milliseconds, monotonic) without asking anybody. */
export const holdsLease = ({ commit, leaseUntil, machine }: NodeState, now: number): boolean =>
  now < leaseUntil && machine.applied === commit
