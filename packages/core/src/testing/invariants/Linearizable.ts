/** I18, over the whole history: what clients saw has an order that explains it. */
import type { AppliedHistory } from "../AppliedHistory.ts"
import { type EntryInput, entryModel, type EntryOutput } from "../EntryModel.ts"
import { type CallOutput, type History } from "../History.ts"
import { checkLinearizable, type Operation } from "../Linearizability.ts"
import { checkStoreOrder } from "../StoreOrder.ts"

/** I18: linearizable, per key by search and over the whole store by the order of revisions. */
export const isLinearizable = (history: History, applied: AppliedHistory): ReadonlyArray<string> => {
  const whole = checkStoreOrder(history.calls, applied.commands)
  if (whole.length > 0) return whole
  const verdict = checkLinearizable(entryModel, singleKeyOperations(history, applied), { maxSteps: 2_000_000 })
  switch (verdict._tag) {
    case "Linearizable":
      return []
    case "Unknown":
      return [`the search was given up after ${verdict.steps} steps`]
    case "Illegal":
      return [
        `no order explains ${JSON.stringify(verdict.stuck.slice(0, 5))} after ${verdict.longest.length} operations`
      ]
  }
}

/**
 * The operations on keys that only single-key calls touch. Of writes without an answer the log tells which happened and
 * at which revision; leaving that open would make the search endless.
 */
const singleKeyOperations = (
  history: History,
  applied: AppliedHistory
): ReadonlyArray<Operation<EntryInput, EntryOutput>> => {
  const operations: Array<Operation<EntryInput, EntryOutput>> = []
  const openDeletes: Array<{ readonly called: number; readonly input: DeleteInput }> = []
  for (const { calledAt: called, input, result, returnedAt: returned } of history.calls) {
    if (input.op !== "get" && input.op !== "set" && input.op !== "delete") continue
    if (isShared(input.key) || (input.op === "get" && input.stale)) continue
    if (result._tag === "Answered") {
      const output = singleKeyOutput(result.output)
      if (output !== null) operations.push({ called, returned, input, output })
      continue
    }
    if (result._tag === "Failed" && result.error.applied !== "unknown") continue
    if (input.op === "set") operations.push(...unansweredSet(called, input, applied))
    if (input.op === "delete") openDeletes.push({ called, input })
  }
  return [...operations, ...unansweredDeletes(openDeletes, operations, applied)]
}

type SetInput = Extract<EntryInput, { op: "set" }>
type DeleteInput = Extract<EntryInput, { op: "delete" }>

const isShared = (key: string) => key.startsWith("m/")

/** A value is written once, so the log knows the write by it. */
const unansweredSet = (
  called: number,
  input: SetInput,
  applied: AppliedHistory
): ReadonlyArray<Operation<EntryInput, EntryOutput>> => {
  const [index] = applied.writesOf.get(input.value) ?? []
  const outcome = index === undefined ? undefined : applied.commands[index - 1]?.outcome
  if (outcome?._tag !== "Put") return []
  const { created, revision } = outcome
  return [{ called, returned: Infinity, input, output: { _tag: "Set", revision, created, previous: undefined } }]
}

/**
 * Deletes have no value to know them by: each that is in the log and was not answered belongs to the first that fits.
 */
const unansweredDeletes = (
  open: ReadonlyArray<{ readonly called: number; readonly input: DeleteInput }>,
  answered: ReadonlyArray<Operation<EntryInput, EntryOutput>>,
  applied: AppliedHistory
): ReadonlyArray<Operation<EntryInput, EntryOutput>> => {
  const known = new Set(
    answered.map(({ output }) => output?._tag === "Deleted" && output.deleted ? output.revision : 0)
  )
  return applied.commands.flatMap(({ command, outcome }) => {
    if (command._tag !== "Delete" || outcome._tag !== "Deleted" || outcome.deleted === 0) return []
    if (isShared(command.key) || known.has(outcome.revision)) return []
    const first = open.find(({ input }) => input.key === command.key && input.ifRevision === command.ifRevision)
    // A deletion that nobody asked for stays out; what follows then finds the key present and fits nowhere.
    if (first === undefined) return []
    return [{
      ...first,
      returned: Infinity,
      output: { _tag: "Deleted" as const, revision: outcome.revision, deleted: true }
    }]
  })
}

const singleKeyOutput = (output: CallOutput): EntryOutput | null => {
  switch (output._tag) {
    case "Read":
    case "Set":
    case "CompareFailed":
      return output
    case "Deleted":
      return { _tag: "Deleted", revision: output.revision, deleted: output.deleted > 0 }
    default:
      return null
  }
}
