/** I15, over the whole history: no acknowledged write is lost. */
import type { AppliedHistory } from "../AppliedHistory.ts"
import { evidenceOf, type History, outputOf, valuesOf } from "../History.ts"

/** I15: every acknowledged write is in the committed log. */
export const acknowledgedWritesAreKept = (history: History, applied: AppliedHistory): ReadonlyArray<string> =>
  history.calls.flatMap((call) =>
    outputOf(call)?._tag !== "Set" && outputOf(call)?._tag !== "SetMany"
      ? []
      : valuesOf(call.input).filter((value) => !applied.writesOf.has(value)).map((value) =>
        `${value} is lost: ${evidenceOf(call)}`
      )
  )
