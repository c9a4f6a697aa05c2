/** I20, over the whole history: stale reads keep an order of their own. */
import { evidenceOf, type History, isWrite, outputOf } from "../History.ts"

/**
 * I20: within one run of a node stale reads never go back, and show what a write on that node has returned. (They are
 * compared with the store at their revision by I18.)
 */
export const staleReadsKeepOrder = (history: History): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const events = history.calls
    .filter((call) => outputOf(call) !== null && (isWrite(call.input) || (call.input.op === "get" && call.input.stale)))
    .flatMap((call) => [{ at: call.calledAt, isReturn: false, call }, { at: call.returnedAt, isReturn: true, call }])
    .sort((a, b) => a.at - b.at || Number(a.isReturn) - Number(b.isReturn))
  const seen = new Map<string, number>()
  const floors = new Map<number, number>()
  for (const { call, isReturn } of events) {
    const run = `${call.node} ${call.run}`
    const revision = outputOf(call)!.revision
    if (!isReturn) floors.set(call.id, seen.get(run) ?? 0)
    else {
      const floor = floors.get(call.id) ?? 0
      if (!isWrite(call.input) && revision < floor) {
        problems.push(`goes back behind revision ${floor}: ${evidenceOf(call)}`)
      }
      seen.set(run, Math.max(seen.get(run) ?? 0, revision))
    }
  }
  return problems
}
