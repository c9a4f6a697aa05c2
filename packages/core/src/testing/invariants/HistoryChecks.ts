/**
 * What clients may rely on, checked over their whole history once a run has ended and all nodes agree: I15, I16, I18,
 * I20, I27 and I29. Each yields the reasons why it does not hold.
 */
import type { AppliedHistory } from "../AppliedHistory.ts"
import { type EntryInput, entryModel, type EntryOutput } from "../EntryModel.ts"
import { type Call, type CallOutput, callText, type History, isWrite, resultText, valuesOf } from "../History.ts"
import { checkLinearizable, type Operation } from "../Linearizability.ts"
import { checkStoreOrder } from "../StoreOrder.ts"

/** Milliseconds on the node's own clock that an answer may be later than its deadline: sweeps are not continuous. */
export const deadlineGraceMs = 500

const show = (call: Call): string => `#${call.id} on ${call.node} ${callText(call)} -> ${resultText(call)}`

const outputOf = (call: Call): CallOutput | null => call.result._tag === "Answered" ? call.result.output : null

/** I15: every acknowledged write is in the committed log. */
export const acknowledgedWritesAreKept = (history: History, applied: AppliedHistory): ReadonlyArray<string> =>
  history.calls.flatMap((call) =>
    outputOf(call)?._tag !== "Set" && outputOf(call)?._tag !== "SetMany"
      ? []
      : valuesOf(call.input).filter((value) => !applied.writesOf.has(value)).map((value) =>
        `${value} is lost: ${show(call)}`
      )
  )

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
      problems.push(`a read shows what was never submitted: ${show(call)}`)
    }
  }
  return problems
}

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
      if (!isWrite(call.input) && revision < floor) problems.push(`goes back behind revision ${floor}: ${show(call)}`)
      seen.set(run, Math.max(seen.get(run) ?? 0, revision))
    }
  }
  return problems
}

/** I27: what failed for certain never happens. (That calls settle in time is checked when they do.) */
export const failuresAreFinal = (history: History, applied: AppliedHistory): ReadonlyArray<string> =>
  history.calls.flatMap((call) =>
    call.result._tag === "Failed" && call.result.error.applied === "no"
      ? valuesOf(call.input).filter((value) => hasEffect(applied, value)).map((value) =>
        `${value} was applied: ${show(call)}`
      )
      : []
  )

/** A guarded write whose guard failed is in the log, but has no effect. */
const hasEffect = (applied: AppliedHistory, value: string): boolean =>
  (applied.writesOf.get(value) ?? []).some((index) => applied.commands[index - 1]?.outcome._tag !== "CompareFailed")

/** I17: what is told of a lost write for good is the truth: it was applied, or it never is. */
export const outcomesAreTrue = (history: History, applied: AppliedHistory): ReadonlyArray<string> =>
  history.outcomes.flatMap(({ call, outcome }) =>
    valuesOf(call.input)
      .filter((value) => hasEffect(applied, value) !== (outcome === "Applied"))
      .map((value) => `${value} is said to be ${outcome}: ${show(call)}`)
  )

/** I29: nobody waits for ever. */
export const nobodyIsStranded = (history: History): ReadonlyArray<string> =>
  history.pending().map((call) => `still waits: ${show(call)}`)
