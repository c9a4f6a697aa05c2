/**
 * Executing a command of a session at most once (thesis §6.3): what its session remembers of it, and what is noted of
 * it for later copies.
 *
 * A result is kept without values. The entry that a failed guard met, or that a put replaced, is looked up again by its
 * revision: in the store, else in the history. Where it is gone from both, the answer is `SessionExpired`: the command
 * is not executed again, but its first answer cannot be repeated.
 *
 * Invariant: `recall` answers null for a session and sequence only until `note` was called for it.
 */
import type { Command } from "../domain/Command.ts"
import type { Entry } from "../domain/Entry.ts"
import { numberOf, type Outcome } from "../domain/Outcome.ts"
import type { LogIndex, Revision, SessionId } from "../domain/Position.ts"
import { digestOf, sequenceOf, unacknowledgedOf } from "../domain/RecordCodec.ts"
import type { KeyValueView } from "./KeyValue.ts"
import type { Session, Sessions } from "./Sessions.ts"
import { status } from "./SessionWindow.ts"

/** The command at hand: the entry's record, taken apart. */
export interface Attempt {
  readonly session: SessionId
  readonly index: LogIndex
  readonly record: Uint8Array
  readonly command: Command
  /** The store's revision before it, and the one up to which its history is cut. */
  readonly revision: Revision
  readonly compactRevision: Revision
}

/**
 * The answer to a command that must not be executed, because an earlier copy was, or never may be; null where it is to
 * be executed and then noted. A seal is never executed: it fixes what has happened.
 */
export const recall = (sessions: Sessions, view: KeyValueView, attempt: Attempt): Outcome | null => {
  const { command, index, record, revision } = attempt
  const session = sessions.find(attempt.session)
  if (session === undefined) return { _tag: "SessionExpired", revision }
  const sequence = sequenceOf(record)
  sessions.use(session, index)
  session.window.raise(Math.min(unacknowledgedOf(record), sequence))
  if (sequence < session.window.floor) return { _tag: "SessionExpired", revision }
  const place = session.window.find(sequence)
  if (command._tag === "Seal") {
    return place >= 0
      ? resultAt(session, place, view, attempt)
      : seal(sessions, session, attempt)
  }
  if (place < 0) return null
  const isSealed = session.window.statusAt(place) === status.sealed
  if (!isSealed && session.window.digestAt(place) !== digestIn(session, record)) {
    return { _tag: "SequenceReused", revision }
  }
  return resultAt(session, place, view, attempt)
}

/** Notes the result of a command that `recall` has let pass. */
export const note = (sessions: Sessions, { command, record, session }: Attempt, outcome: Outcome): void => {
  const found = sessions.find(session)
  if (found === undefined) return
  const digest = digestIn(found, record)
  sessions.add(found, sequenceOf(record), statusOf(outcome), digest, outcome.revision, rowNumberOf(outcome, command))
}

/** A member numbers its own writes and never gives a number twice, so it needs no digest. */
const digestIn = (session: Session, record: Uint8Array): number => session.owner === null ? digestOf(record) : 0

const seal = (sessions: Sessions, session: Session, { record, revision }: Attempt): Outcome => {
  const sequence = sequenceOf(record)
  const { floor, most } = session.window
  // Nobody may move a member's window by asking about what it has never sent.
  if (session.owner !== null && sequence >= floor + most) return { _tag: "SessionExpired", revision }
  sessions.add(session, sequence, status.sealed, 0, revision, 0)
  return { _tag: "Sealed", revision }
}

const statusOf = (outcome: Outcome): number => {
  switch (outcome._tag) {
    case "Done":
      return status.done
    case "Put":
      return outcome.created ? status.putCreated : status.putReplaced
    case "Deleted":
      return status.deleted
    case "CompareFailed":
      return status.compareFailed
    case "TooManyEntries":
      return status.tooManyEntries
    case "SessionOpened":
      return status.sessionOpened
    case "SessionExpired":
    case "SequenceReused":
    case "Sealed":
      // These are never the result of an execution.
      return status.sealed
  }
}

/** What a row needs beside status and revision to repeat the answer. */
const rowNumberOf = (outcome: Outcome, command: Command): number => {
  switch (outcome._tag) {
    case "Put":
      return command._tag === "Put" && command.previous ? outcome.previous?.modRevision ?? 0 : 0
    case "CompareFailed":
      return outcome.current?.modRevision ?? 0
    case "Deleted":
    case "TooManyEntries":
    case "SessionOpened":
      return numberOf(outcome)
    default:
      return 0
  }
}

/** The first answer again. A seal, which does not name the key, gets it without entries. */
const resultAt = (session: Session, place: number, view: KeyValueView, attempt: Attempt): Outcome => {
  const { window } = session
  const revision = window.revisionAt(place) as Revision
  const number = window.numberAt(place)
  const kind = window.statusAt(place)
  switch (kind) {
    case status.done:
      return { _tag: "Done", revision }
    case status.putCreated:
    case status.putReplaced: {
      const previous = entryAt(view, attempt, number)
      if (previous === undefined) return { _tag: "SessionExpired", revision }
      return { _tag: "Put", revision, created: kind === status.putCreated, previous }
    }
    case status.deleted:
      return { _tag: "Deleted", revision, deleted: number }
    case status.compareFailed: {
      const current = entryAt(view, attempt, number)
      return current === undefined ? { _tag: "SessionExpired", revision } : { _tag: "CompareFailed", revision, current }
    }
    case status.tooManyEntries:
      return { _tag: "TooManyEntries", revision, limit: number }
    case status.sessionOpened:
      return { _tag: "SessionOpened", revision, session: number as SessionId }
    default:
      return { _tag: "Sealed", revision }
  }
}

/**
 * The entry of the command's key as it was last changed at `modRevision`, null for none; undefined where it is gone.
 *
 * What is cut from the history may still be there on one node and not on another, so it counts as gone on all.
 */
const entryAt = (
  view: KeyValueView,
  { command, compactRevision }: Attempt,
  modRevision: number
): Entry | null | undefined => {
  if (modRevision === 0 || (command._tag !== "Put" && command._tag !== "Delete")) return null
  const { key } = command
  const present = view.get(key)
  if (present?.modRevision === modRevision) return present
  if (modRevision <= compactRevision) return undefined
  const event = view.eventAt(modRevision as Revision)
  return event?.revision === modRevision && event.key === key ? event.entry ?? undefined : undefined
}
