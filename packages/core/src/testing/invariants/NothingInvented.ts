/** I16, over the whole history: nothing is invented or done twice. */
import type { AppliedHistory } from "../AppliedHistory.ts"
import { evidenceOf, type History, outputOf, valuesOf } from "../History.ts"

/** I16: every value read was submitted, and what was submitted once took effect at most once. */
export const nothingIsInvented = (history: History, applied: AppliedHistory): ReadonlyArray<string> => {
  const submitted = new Set(history.calls.flatMap((call) => valuesOf(call.input)))
  const problems: Array<string> = []
  for (const [value, indexes] of applied.writesOf) {
    if (!submitted.has(value)) problems.push(`${value} at ${indexes.join()} was never submitted`)
    else if (indexes.length > 1) problems.push(`${value} was submitted once and is at ${indexes.join(", ")}`)
  }
  for (const call of history.calls) {
    const output = outputOf(call)
    if (output?._tag === "Read" && output.entry !== null && !submitted.has(output.entry.value)) {
      problems.push(`a read shows what was never submitted: ${evidenceOf(call)}`)
    }
  }
  return problems
}
