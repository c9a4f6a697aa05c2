/** I27: calls are settled in time, and a failure that was told for certain is final. */
import type { AppliedHistory } from "../AppliedHistory.ts"
import { evidenceOf, type History, valuesOf } from "../History.ts"

/** Milliseconds on the node's own clock that an answer may be later than its deadline: sweeps are not continuous. */
export const deadlineGraceMs = 500

/** I27: what failed for certain never happens. (That calls settle in time is checked when they do.) */
export const failuresAreFinal = (history: History, applied: AppliedHistory): ReadonlyArray<string> =>
  history.calls.flatMap((call) =>
    call.result._tag === "Failed" && call.result.error.applied === "no"
      ? valuesOf(call.input).filter((value) => applied.hasEffect(value)).map((value) =>
        `${value} was applied: ${evidenceOf(call)}`
      )
      : []
  )
