/** What a history of real clients must satisfy: nothing acknowledged is lost or doubled, and it is in order. */
import { checkLinearizable, entryModel, type EntryOutput, type ShownEntry } from "@distkv/core/testing"
import type { Cluster } from "./Cluster.ts"
import type { Call } from "./Protocol.ts"
import { nowMicros, until, Violation } from "./Waiting.ts"

/** An entry of the store when all is over. */
export interface FinalEntry extends ShownEntry {
  readonly key: string
  readonly version: number
}

export interface FinalState {
  readonly revision: number
  readonly entries: ReadonlyArray<FinalEntry>
  /** When it was asked for. */
  readonly at: number
  /** Revisions that were used by writes of which the calls say nothing; none unless told. */
  readonly besides?: number | undefined
}

interface ListJson {
  readonly revision: string
  readonly more: boolean
  readonly entries: ReadonlyArray<{ key: string; value: string; modRevision: string; version: number }>
}

/** The store from a key on as one node has it. Nobody may write meanwhile: pages are cuts of their own. */
const readAll = async (
  cluster: Cluster,
  index: number,
  consistency: "linearizable" | "stale",
  first: string
): Promise<FinalState | undefined> => {
  const node = cluster.nodes[index]
  if (node === undefined) return undefined
  const at = nowMicros()
  const entries: Array<FinalEntry> = []
  let after = ""
  while (true) {
    const from = (first === "" ? "" : `&from=${encodeURIComponent(first)}`) +
      (after === "" ? "" : `&after=${encodeURIComponent(after)}`)
    const { body, status } = await node.ask("GET", `/v1/kv?limit=5000&consistency=${consistency}${from}`)
    if (status !== 200) return undefined
    const page = JSON.parse(body) as ListJson
    for (const { key, modRevision, value, version } of page.entries) {
      const text = Buffer.from(value, "base64").toString("utf8")
      entries.push({ key, value: text, modRevision: Number(modRevision), version })
    }
    const last = page.entries.at(-1)
    if (!page.more || last === undefined) return { revision: Number(page.revision), entries, at }
    after = last.key
  }
}

/** Reads the store from a key on through one node, and waits until every other one shows the same on its own. */
export const finalState = async (cluster: Cluster, first = ""): Promise<FinalState> => {
  const final = await until("the whole store can be read", 60_000, () => readAll(cluster, 0, "linearizable", first))
  const text = JSON.stringify(final.entries)
  for (const node of cluster.nodes) {
    await until(`${node.id} has what the others have`, 60_000, async () => {
      const own = await readAll(cluster, node.index, "stale", first)
      if (own === undefined || own.revision < final.revision) return undefined
      if (JSON.stringify(own.entries) === text && own.revision === final.revision) return true
      throw new Violation(`${node.id} shows another content at revision ${own.revision} than the rest`)
    })
  }
  return final
}

const shownBy = (output: EntryOutput): ReadonlyArray<ShownEntry | null | undefined> => {
  switch (output._tag) {
    case "Read":
      return [output.entry]
    case "Set":
      return [output.previous]
    case "CompareFailed":
      return [output.current]
    case "Deleted":
      return []
  }
}

const text = ({ called, client, input, outcome, returned }: Call): string =>
  `${client} ${called}–${returned} ${JSON.stringify(input)} -> ${JSON.stringify(outcome)}`

const usedRevision = (output: EntryOutput): boolean =>
  output._tag === "Set" || (output._tag === "Deleted" && output.deleted)

/** Each write at one revision, each revision one write, and no value that nobody wrote or that was refused. */
const checkOnce = (calls: ReadonlyArray<Call>, final: FinalState): Array<string> => {
  const problems: Array<string> = []
  const writes = new Map<string, Call>()
  const madeAt = new Map<number, Call>()
  const revisionOf = new Map<string, number>()
  let unknown = 0
  for (const call of calls) {
    if (call.input.op === "get") continue
    if (call.input.op === "set") writes.set(call.input.value, call)
    if (call.outcome._tag === "Unknown") unknown++
    if (call.outcome._tag !== "Answered" || !usedRevision(call.outcome.output)) continue
    const { revision } = call.outcome.output
    const other = madeAt.get(revision)
    if (other !== undefined) problems.push(`one revision for two writes: ${text(other)} and ${text(call)}`)
    madeAt.set(revision, call)
    if (call.input.op === "set") revisionOf.set(call.input.value, revision)
  }
  const see = ({ modRevision, value }: ShownEntry, where: () => string): void => {
    const write = writes.get(value)
    if (write === undefined) return void problems.push(`a value that nobody wrote: ${value} in ${where()}`)
    if (write.outcome._tag === "Refused") problems.push(`refused, and yet there: ${text(write)} in ${where()}`)
    const known = revisionOf.get(value)
    if (known !== undefined && known !== modRevision) {
      problems.push(`one write at two revisions, ${known} and ${modRevision}: ${text(write)} in ${where()}`)
    }
    revisionOf.set(value, modRevision)
  }
  for (const call of calls) {
    if (call.outcome._tag !== "Answered") continue
    for (const entry of shownBy(call.outcome.output)) {
      if (entry !== null && entry !== undefined) {
        see(entry, () => text(call))
      }
    }
  }
  for (const entry of final.entries) {
    see(entry, () => "the final state")
    // Nobody but its one write touches such a key.
    if (entry.key.startsWith("own/") && entry.version !== 1) {
      problems.push(`${entry.key} was written ${entry.version} times`)
    }
  }
  const unclaimed = final.revision - madeAt.size - (final.besides ?? 0)
  if (unclaimed < 0 || unclaimed > unknown) {
    problems.push(
      `revision ${final.revision} after ${madeAt.size} acknowledged writes and ${unknown} of unknown outcome: ` +
        `${unclaimed} revisions are nobody's`
    )
  }
  return problems
}

/** Every acknowledged write of a key of its own is there. (The shared keys are the search's.) */
const checkNothingLost = (calls: ReadonlyArray<Call>, final: FinalState): Array<string> => {
  const there = new Map(final.entries.map((entry) => [entry.key, entry]))
  return calls.flatMap((call) => {
    const { input, outcome } = call
    if (input.op !== "set" || !input.key.startsWith("own/") || outcome._tag !== "Answered") return []
    const entry = there.get(input.key)
    return entry?.value === input.value && entry.modRevision === outcome.output.revision ? [] : [`lost: ${text(call)}`]
  })
}

/** Over the whole store revisions respect real time: who begins after an answer at r sees at least r, a write more. */
const checkRealTime = (calls: ReadonlyArray<Call>): Array<string> => {
  const answered = calls.flatMap((call) =>
    call.outcome._tag === "Answered" ? [{ call, output: call.outcome.output, floor: 0 }] : []
  )
  const events = answered.flatMap((one) => [
    { at: one.call.called, isReturn: false, one },
    { at: one.call.returned, isReturn: true, one }
  ]).sort((a, b) => a.at - b.at || Number(a.isReturn) - Number(b.isReturn))
  let floor = 0
  const problems: Array<string> = []
  for (const { isReturn, one } of events) {
    const { revision } = one.output
    if (!isReturn) one.floor = floor
    else {
      if (revision < one.floor || (usedRevision(one.output) && revision === one.floor)) {
        problems.push(`goes back behind revision ${one.floor}: ${text(one.call)}`)
      }
      floor = Math.max(floor, revision)
    }
  }
  return problems
}

/** Per key, by search; the final state is one more read of each key. */
const checkKeys = (calls: ReadonlyArray<Call>, final: FinalState): Array<string> => {
  const shared = calls.filter(({ input, outcome }) => !input.key.startsWith("own/") && outcome._tag !== "Refused")
  const operations = shared.map(({ called, input, outcome, returned }) =>
    outcome._tag === "Answered"
      ? { called, returned, input, output: outcome.output }
      : { called, returned: Infinity, input, output: undefined }
  )
  const there = new Map(final.entries.map((entry) => [entry.key, entry]))
  for (const key of new Set(shared.map(({ input }) => input.key))) {
    const entry = there.get(key) ?? null
    const output: EntryOutput = { _tag: "Read", revision: final.revision, entry }
    operations.push({ called: final.at, returned: nowMicros(), input: { op: "get", key }, output })
  }
  const verdict = checkLinearizable(entryModel, operations)
  switch (verdict._tag) {
    case "Linearizable":
      return []
    case "Unknown":
      return [`the search for an order was given up after ${verdict.steps} steps`]
    case "Illegal":
      return [
        `no order explains the history of ${verdict.stuck[0]?.input.key}; nothing fits after ` +
        JSON.stringify(verdict.longest.slice(-5)) + ": " + JSON.stringify(verdict.stuck.slice(0, 5))
      ]
  }
}

/** Every call is settled in its time: what a client waited for longer than it and the node agreed on. */
const checkSettled = (calls: ReadonlyArray<Call>, limitMs: number): Array<string> =>
  calls.filter(({ called, returned }) => (returned - called) / 1000 > limitMs)
    .map((call) => `settled late: ${text(call)}`)

/** Why the history cannot be; empty when it can. */
export const audit = (
  calls: ReadonlyArray<Call>,
  final: FinalState,
  settledWithinMs: number
): ReadonlyArray<string> => [
  ...checkOnce(calls, final),
  ...checkNothingLost(calls, final),
  ...checkRealTime(calls),
  ...checkKeys(calls, final),
  ...checkSettled(calls, settledWithinMs)
]
