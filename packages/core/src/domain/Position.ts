/**
 * Places in the log and in the store: terms, log indexes and revisions.
 *
 * All three are integers from 0 to 2^53 - 1, kept as branded JavaScript numbers
 * and written as u64 on the wire and on disk. 0 means "before the first".
 */
import { Schema } from "effect"

const position = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))

/** A term: Raft's logical clock, with at most one leader each (paper §5.1). */
export const Term = position.pipe(Schema.brand("Term"))
export type Term = typeof Term.Type

/** The place of an entry in the replicated log; the first entry has index 1. */
export const LogIndex = position.pipe(Schema.brand("LogIndex"))
export type LogIndex = typeof LogIndex.Type

/** The cluster-wide version of the store: +1 for each command that changed something. */
export const Revision = position.pipe(Schema.brand("Revision"))
export type Revision = typeof Revision.Type

/**
 * A session, issued by the store: twice the index of the entry that opened it, and one more for a member's own. So
 * no client can pass a member's session off as one of its own. 0 means no session.
 */
export const SessionId = position.pipe(Schema.brand("SessionId"))
export type SessionId = typeof SessionId.Type

/** Whether a session is a member's own. */
export const isMemberSession = (session: SessionId): boolean => session % 2 === 1

/** Identifies an entry for all time: no two different entries ever share term and index (log matching, §5.3). */
export const LogId = Schema.Struct({ term: Term, index: LogIndex })
export interface LogId {
  readonly term: Term
  readonly index: LogIndex
}

/** The position before the first entry of every log. */
export const logStart: LogId = { term: 0 as Term, index: 0 as LogIndex }

/** The index `by` places after `index`. */
export const after = (index: LogIndex, by = 1): LogIndex => (index + by) as LogIndex

/** The index `by` places before `index`; the caller knows that it exists. */
export const before = (index: LogIndex, by = 1): LogIndex => (index - by) as LogIndex
