/** What applying a command answers: the same on every node, since it depends on the log alone. */
import { Schema } from "effect"
import { Entry } from "./Entry.ts"
import { Revision, SessionId } from "./Position.ts"

const count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/**
 * The answer to an applied command. `revision` is the store's revision right after it.
 *
 * `CompareFailed` and `TooManyEntries` are refusals: nothing was changed and no revision used. So are the last three,
 * of commands with a session: it is not open, or the sequence is below what it remembers (`SessionExpired`; an earlier
 * copy of the command may have been executed); the sequence belongs to another command (`SequenceReused`); it was
 * sealed before any copy was executed (`Sealed`). What a session has executed before answers as it did then.
 */
export const Outcome = Schema.TaggedUnion({
  Done: { revision: Revision },
  Put: { revision: Revision, created: Schema.Boolean, previous: Schema.NullOr(Entry) },
  Deleted: { revision: Revision, deleted: count },
  CompareFailed: { revision: Revision, current: Schema.NullOr(Entry) },
  TooManyEntries: { revision: Revision, limit: count },
  SessionOpened: { revision: Revision, session: SessionId },
  SessionExpired: { revision: Revision },
  SequenceReused: { revision: Revision },
  Sealed: { revision: Revision }
})
export type Outcome = typeof Outcome.Type

/** The number that such an outcome tells: of entries deleted, of entries that are the most, of the session opened. */
export const numberOf = (
  outcome: Extract<Outcome, { readonly _tag: "Deleted" | "TooManyEntries" | "SessionOpened" }>
): number => {
  switch (outcome._tag) {
    case "Deleted":
      return outcome.deleted
    case "TooManyEntries":
      return outcome.limit
    case "SessionOpened":
      return outcome.session
  }
}
