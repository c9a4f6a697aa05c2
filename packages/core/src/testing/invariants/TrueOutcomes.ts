/** I17, over the whole history: what is told of lost writes for good. */
import type { AppliedHistory } from "../AppliedHistory.ts"
import { evidenceOf, type History, valuesOf } from "../History.ts"

/** I17: what is told of a lost write for good is the truth: it was applied, or it never is. */
export const outcomesAreTrue = (history: History, applied: AppliedHistory): ReadonlyArray<string> =>
  history.outcomes.flatMap(({ call, outcome }) =>
    valuesOf(call.input)
      .filter((value) => applied.hasEffect(value) !== (outcome === "Applied"))
      .map((value) => `${value} is said to be ${outcome}: ${evidenceOf(call)}`)
  )
