/** What applying a command answers: the same on every node, since it depends on the log alone. */
import { Schema } from "effect"
import { Entry } from "./Entry.ts"
import { Revision } from "./Position.ts"

const count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/**
 * The answer to an applied command. `revision` is the store's revision right after it.
 *
 * `CompareFailed` and `TooManyEntries` are refusals: nothing was changed and no revision used.
 */
export const Outcome = Schema.TaggedUnion({
  Done: { revision: Revision },
  Put: { revision: Revision, created: Schema.Boolean, previous: Schema.NullOr(Entry) },
  Deleted: { revision: Revision, deleted: count },
  CompareFailed: { revision: Revision, current: Schema.NullOr(Entry) },
  TooManyEntries: { revision: Revision, limit: count }
})
export type Outcome = typeof Outcome.Type
