/**
 * Who may be elected (paper §5.2, §5.4.1; thesis §4.2.3, §9.6).
 *
 * Invariant: a node votes at most once per term, and only for a candidate whose log holds every entry that may be
 * committed; so there is at most one leader per term, and it has all committed entries.
 */
import type { NodeId } from "../domain/Identity.ts"
import type { LogId, Term } from "../domain/Position.ts"

/** Whether a log ending at `candidate` is at least as up-to-date as one ending at `own`: terms first, then length. */
export const isUpToDate = (candidate: LogId, own: LogId): boolean =>
  candidate.term > own.term || (candidate.term === own.term && candidate.index >= own.index)

/** What a voter knows when it is asked. */
export interface Voter {
  readonly term: Term
  readonly votedFor: NodeId | null
  readonly lastLog: LogId
  /** It leads, heard from a leader less than an election time-out ago, or withholds its vote for another's lease. */
  readonly hasFreshLeader: boolean
}

/** What it is asked. */
export interface Ballot {
  readonly candidate: NodeId
  readonly term: Term
  readonly preVote: boolean
  /** The candidate was told to campaign by the leader in place (thesis §3.10), so stickiness does not apply. */
  readonly transfer: boolean
  readonly lastLog: LogId
}

/**
 * How to answer.
 *
 * - `ignore`: a fresh leader is in place (vote stickiness, thesis §4.2.3); the term stays as it is.
 * - `refuse`: answered with the voter's own term; a real request of a higher term first raises it.
 * - `grant`: a real vote is recorded and durable before it is said; a pre-vote leaves no trace.
 */
export type Answer = "grant" | "refuse" | "ignore"

export const answerBallot = (voter: Voter, ballot: Ballot): Answer => {
  if (ballot.term < voter.term) return "refuse"
  if (voter.hasFreshLeader && !ballot.transfer) return ballot.preVote ? "refuse" : "ignore"
  if (!isUpToDate(ballot.lastLog, voter.lastLog)) return "refuse"
  // A pre-vote asks about a term that the candidate has not entered yet; it must be one that could still be won.
  if (ballot.preVote) return ballot.term > voter.term ? "grant" : "refuse"
  if (ballot.term > voter.term) return "grant"
  return voter.votedFor === null || voter.votedFor === ballot.candidate ? "grant" : "refuse"
}
