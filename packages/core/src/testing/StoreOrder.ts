/**
 * Linearizability over the whole store, in linear time, with the revision as witness of the order: the committed
 * commands are executed one after another, each answer must be what the store says at the revision that it names, and
 * revisions must respect real time: who begins after an answer at revision r sees at least r, a write more than r.
 */
import type { AppliedCommand } from "./AppliedHistory.ts"
import { textOf } from "./AppliedHistory.ts"
import type { ShownEntry } from "./EntryModel.ts"
import { type Call, type CallOutput, callText, resultText } from "./History.ts"
import { SequentialStore } from "./SequentialStore.ts"

/** Why the history cannot be; empty when it can. */
export const checkStoreOrder = (
  calls: ReadonlyArray<Call>,
  commands: ReadonlyArray<AppliedCommand>
): ReadonlyArray<string> => [...checkAnswers(calls, commands), ...checkRealTime(calls)]

const outputOf = (call: Call): CallOutput | null => call.result._tag === "Answered" ? call.result.output : null

const show = (call: Call): string => `#${call.id} on ${call.node} ${callText(call)} -> ${resultText(call)}`

const sameEntry = (a: ShownEntry | null | undefined, b: ShownEntry | null | undefined): boolean =>
  (a?.value === b?.value) && (a?.modRevision === b?.modRevision)

/** The store right after a revision, and the command that made it. */
interface Moment {
  readonly entries: ReadonlyMap<string, ShownEntry>
  readonly made: AppliedCommand | null
}

/** Executes the commands, and compares each answer with the store at its revision. */
const checkAnswers = (calls: ReadonlyArray<Call>, commands: ReadonlyArray<AppliedCommand>): Array<string> => {
  const problems: Array<string> = []
  const store = new SequentialStore()
  const moments: Array<Moment> = [{ entries: new Map(), made: null }]
  for (const applied of commands) {
    const isChange = store.execute(applied.command)
    if (isChange) moments.push({ entries: new Map(store.entries), made: applied })
    if (applied.isExecuted && applied.outcome.revision !== store.revision) {
      problems.push(`entry ${applied.index} answered revision ${applied.outcome.revision}, not ${store.revision}`)
    }
  }
  const nothing: Moment = { entries: new Map(), made: null }
  for (const call of calls) {
    const output = outputOf(call)
    if (output === null) continue
    const moment = moments[output.revision]
    const problem = moment === undefined
      ? "names a revision that never was"
      : compareAnswer(call, output, moment, moments[output.revision - 1] ?? nothing)
    if (problem !== null) problems.push(`${problem}: ${show(call)}`)
  }
  return problems
}

/** `before` is the store one revision earlier. */
const compareAnswer = ({ input }: Call, output: CallOutput, at: Moment, before: Moment): string | null => {
  const command = at.made?.command
  switch (output._tag) {
    case "Read":
      return input.op !== "get" || sameEntry(at.entries.get(input.key), output.entry) ? null : "wrong content"
    case "CompareFailed":
      if (input.op !== "set" && input.op !== "delete") return "an answer of another kind"
      if (!sameEntry(at.entries.get(input.key), output.current)) return "wrong current entry"
      return (at.entries.get(input.key)?.modRevision ?? 0) === input.ifRevision ? "the guard held" : null
    case "Listed":
      return input.op !== "list" || sameList(at.entries, input.prefix, output.entries) ? null : "wrong list"
    case "Set":
      if (input.op !== "set" || command?._tag !== "Put" || command.key !== input.key) {
        return "not what was committed there"
      }
      if (textOf(command.value) !== input.value) return "another value was committed there"
      if (output.created === before.entries.has(input.key)) return "wrong about creation"
      return output.previous === undefined || sameEntry(output.previous, before.entries.get(input.key))
        ? null
        : "wrong previous"
    case "SetMany":
      return command?._tag === "Txn" && input.op === "setMany" &&
          command.puts.map((put) => `${put.key}=${textOf(put.value)}`).join() ===
            input.entries.map(([key, value]) => `${key}=${value}`).join()
        ? null
        : "not what was committed there"
    case "Deleted":
      return compareDeleted(input, output.deleted, at, before)
  }
}

const compareDeleted = (input: Call["input"], deleted: number, at: Moment, before: Moment): string | null => {
  const command = at.made?.command
  if (input.op === "delete") {
    if (deleted === 0) return at.entries.has(input.key) ? "the key is there" : null
    return command?._tag === "Delete" && command.key === input.key ? null : "not what was committed there"
  }
  if (input.op !== "deleteRange") return "an answer of another kind"
  const matching = (keys: Iterable<string>) => [...keys].filter((key) => key.startsWith(input.prefix)).length
  if (deleted === 0) return matching(at.entries.keys()) === 0 ? null : "there are such keys"
  if (command?._tag !== "DeleteRange") return "not what was committed there"
  return matching(before.entries.keys()) === deleted ? null : "wrong count"
}

const sameList = (
  entries: ReadonlyMap<string, ShownEntry>,
  prefix: string,
  shown: Readonly<Record<string, ShownEntry>>
): boolean => {
  const expected = [...entries].filter(([key]) => key.startsWith(prefix))
  return expected.length === Object.keys(shown).length && expected.every(([key, entry]) => sameEntry(entry, shown[key]))
}

/** Stale reads are left out: they promise only their own run's order, which is another invariant. */
const checkRealTime = (calls: ReadonlyArray<Call>): Array<string> => {
  const problems: Array<string> = []
  const events: Array<{ readonly at: number; readonly isReturn: boolean; readonly call: Call }> = []
  for (const call of calls) {
    if (outputOf(call) === null || (call.input.op === "get" && call.input.stale)) continue
    events.push({ at: call.calledAt, isReturn: false, call }, { at: call.returnedAt, isReturn: true, call })
  }
  events.sort((a, b) => a.at - b.at || Number(a.isReturn) - Number(b.isReturn))
  let floor = { revision: 0, call: null as Call | null }
  const floors = new Map<number, typeof floor>()
  for (const { call, isReturn } of events) {
    const output = outputOf(call)!
    if (!isReturn) {
      floors.set(call.id, floor)
      continue
    }
    const seen = floors.get(call.id)!
    if (output.revision < seen.revision || (usedRevision(output) && output.revision === seen.revision)) {
      problems.push(`goes back behind ${seen.call === null ? "the start" : show(seen.call)}: ${show(call)}`)
    }
    if (output.revision > floor.revision) floor = { revision: output.revision, call }
  }
  return problems
}

const usedRevision = (output: CallOutput): boolean =>
  output._tag === "Set" || output._tag === "SetMany" || (output._tag === "Deleted" && output.deleted > 0)
