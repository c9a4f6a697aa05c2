/** Calls about sessions (thesis §6.3): what callers give for an idempotent write, checked, and what they are told. */
import { Exit } from "effect"
import type { IdempotencyKey, WriteOptions, WriteOutcome } from "../DistKv.ts"
import { InvalidRequest, SessionExpired, type WriteError } from "../DistKvError.ts"
import type { Outcome } from "../domain/Outcome.ts"
import { isMemberSession, type SessionId } from "../domain/Position.ts"
import { sequenceOf, sessionOf } from "../domain/RecordCodec.ts"
import type { Checked } from "./Requests.ts"

/** The session and sequence of a write. */
export interface Place {
  readonly session: SessionId
  readonly sequence: number
}

/** Where a write belongs; null where its caller says nothing. */
export const placeOf = (options: WriteOptions | undefined): Checked<Place | null> => {
  const key = options?.idempotencyKey
  if (key === undefined) return null
  const place = keyPlaceOf(key)
  if (place instanceof InvalidRequest) return place
  return isMemberSession(place.session)
    ? new InvalidRequest({ message: "this session is a member's own: open one with openSession" })
    : place
}

/** Any session, a member's own too: its node has told of it in an `OutcomeUnknown`. */
export const keyPlaceOf = (key: IdempotencyKey): Checked<Place> => {
  if (typeof key !== "object" || key === null) return new InvalidRequest({ message: "an idempotency key is an object" })
  const session = countOf(key.session)
  const sequence = countOf(key.sequence)
  return session === null || sequence === null
    ? new InvalidRequest({ message: "a session and a sequence are whole numbers from 1 to 2^53 - 1" })
    : { session: session as SessionId, sequence }
}

const countOf = (given: string | number): number | null => {
  if (typeof given === "string" && !/^[1-9]\d{0,15}$/.test(given)) return null
  const count = typeof given === "string" ? Number(given) : given
  return Number.isSafeInteger(count) && count > 0 ? count : null
}

/** The failure of a command that its session did not let through; null for every other outcome. */
export const sessionFailure = (outcome: Outcome, record: Uint8Array): WriteError | null => {
  switch (outcome._tag) {
    case "SessionExpired":
      return new SessionExpired({
        message: "the session is not open, or no longer remembers this sequence; nothing was done",
        session: `${sessionOf(record)}`,
        sequence: `${sequenceOf(record)}`
      })
    case "SequenceReused":
      return new InvalidRequest({
        message: "this sequence of the session belongs to another command; nothing was done",
        reused: true
      })
    case "Sealed":
      return new InvalidRequest({
        message: "the outcome of this sequence was asked for before the write came: it is never executed",
        reused: true
      })
    default:
      return null
  }
}

/** What a seal found. */
export const writeOutcomeOf = (outcome: Outcome): Exit.Exit<WriteOutcome, WriteError> => {
  const { revision } = outcome
  switch (outcome._tag) {
    case "Put":
      return Exit.succeed({ _tag: "Applied", revision, created: outcome.created })
    case "Deleted":
      return Exit.succeed({ _tag: "Applied", revision, deleted: outcome.deleted })
    case "SessionOpened":
      return Exit.succeed({ _tag: "Applied", revision, session: `${outcome.session}` })
    case "Done":
      return Exit.succeed({ _tag: "Applied", revision })
    case "CompareFailed":
    case "TooManyEntries":
      return Exit.succeed({ _tag: "Refused", revision, reason: outcome._tag })
    case "Sealed":
      return Exit.succeed({ _tag: "NotApplied", revision })
    case "SessionExpired":
    case "SequenceReused":
      return Exit.die(new Error(`a seal was answered with ${outcome._tag}`))
  }
}
