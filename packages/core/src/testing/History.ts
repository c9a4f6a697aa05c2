/** What simulated clients asked, when, and what they were answered. */
import type { DistKvError } from "../DistKvError.ts"
import type { NodeId } from "../domain/Identity.ts"
import type { EntryOutput, ShownEntry } from "./EntryModel.ts"

export type CallInput =
  | { readonly op: "get"; readonly key: string; readonly stale: boolean; readonly lease?: boolean }
  | {
    readonly op: "set"
    readonly key: string
    readonly value: string
    readonly ifRevision: number | null
    readonly previous: boolean
  }
  | { readonly op: "delete"; readonly key: string; readonly ifRevision: number | null }
  | { readonly op: "list"; readonly prefix: string }
  | { readonly op: "deleteRange"; readonly prefix: string }
  | { readonly op: "setMany"; readonly entries: ReadonlyArray<readonly [key: string, value: string]> }

/** What a call answered; `revision` is the store's revision that it shows or made. */
export type CallOutput =
  | Exclude<EntryOutput, { readonly _tag: "Deleted" }>
  | { readonly _tag: "Deleted"; readonly revision: number; readonly deleted: number }
  | { readonly _tag: "Listed"; readonly revision: number; readonly entries: Readonly<Record<string, ShownEntry>> }
  | { readonly _tag: "SetMany"; readonly revision: number }

export type CallResult =
  | { readonly _tag: "Pending" }
  | { readonly _tag: "Answered"; readonly output: CallOutput }
  | { readonly _tag: "Failed"; readonly error: DistKvError }
  /** Its node lost power; nobody heard the answer. */
  | { readonly _tag: "Lost" }

export interface Call {
  readonly id: number
  readonly node: NodeId
  /** Which run of the node: a restart begins another. */
  readonly run: number
  readonly input: CallInput
  /** World milliseconds. */
  readonly calledAt: number
  /** Milliseconds on the node's monotonic clock, pauses left out, and how many the call was given. */
  readonly calledAtLocal: number
  readonly timeoutMs: number
  /** Infinity while there is no answer, and for ever where there was none. */
  returnedAt: number
  result: CallResult
}

export const isWrite = (input: CallInput): boolean => input.op !== "get" && input.op !== "list"

/** The values that a call writes. */
export const valuesOf = (input: CallInput): ReadonlyArray<string> =>
  input.op === "set" ? [input.value] : input.op === "setMany" ? input.entries.map(([, value]) => value) : []

/** How a call reads in the timeline. */
export const callText = ({ input }: Call): string => {
  switch (input.op) {
    case "set":
      return `set ${input.key}=${input.value}${input.ifRevision === null ? "" : ` if ${input.ifRevision}`}`
    case "delete":
      return `delete ${input.key}${input.ifRevision === null ? "" : ` if ${input.ifRevision}`}`
    case "get":
      return `${input.stale ? "stale " : input.lease === true ? "lease " : ""}get ${input.key}`
    case "list":
    case "deleteRange":
      return `${input.op} ${input.prefix}*`
    case "setMany":
      return `setMany ${input.entries.map(([key, value]) => `${key}=${value}`).join(" ")}`
  }
}

const entryText = (entry: ShownEntry | null): string => entry === null ? "none" : `${entry.value}@${entry.modRevision}`

export const resultText = ({ result }: Call): string => {
  switch (result._tag) {
    case "Pending":
    case "Lost":
      return result._tag.toLowerCase()
    case "Failed":
      return `${result.error._tag}: ${result.error.message}`
    case "Answered": {
      const { output } = result
      switch (output._tag) {
        case "Read":
          return `${entryText(output.entry)} at ${output.revision}`
        case "CompareFailed":
          return `guard fails, ${entryText(output.current)} at ${output.revision}`
        case "Deleted":
          return `deleted ${output.deleted} at ${output.revision}`
        case "Listed":
          return `${Object.keys(output.entries).length} keys at ${output.revision}`
        default:
          return `ok at ${output.revision}`
      }
    }
  }
}

/** A call and what became of it, for a message. */
export const evidenceOf = (call: Call): string => `#${call.id} on ${call.node} ${callText(call)} -> ${resultText(call)}`

/** What it was answered; null where it was not. */
export const outputOf = (call: Call): CallOutput | null => call.result._tag === "Answered" ? call.result.output : null

export class History {
  readonly calls: Array<Call> = []
  /** What clients were told for good of writes whose answer was lost. */
  readonly outcomes: Array<{ readonly call: Call; readonly outcome: "Applied" | "Refused" | "NotApplied" }> = []
  /** How many calls nobody has answered yet. */
  get pendingCount(): number {
    return this.open.size
  }
  private readonly open = new Set<Call>()
  private answers = 0

  begin(call: Omit<Call, "id" | "returnedAt" | "result">): Call {
    const begun: Call = { ...call, id: this.calls.length + 1, returnedAt: Infinity, result: { _tag: "Pending" } }
    this.calls.push(begun)
    this.open.add(begun)
    return begun
  }

  end(call: Call, at: number, result: CallResult): void {
    if (call.result._tag !== "Pending") return
    call.result = result
    this.open.delete(call)
    if (result._tag === "Answered") this.answers++
    if (result._tag !== "Lost") call.returnedAt = at
  }

  /** The run of a node ended without warning: nobody hears what its calls answer. */
  lose(node: NodeId, run: number): void {
    for (const call of this.pending()) if (call.node === node && call.run === run) this.end(call, 0, { _tag: "Lost" })
  }

  pending(): ReadonlyArray<Call> {
    return [...this.open]
  }

  answered(): number {
    return this.answers
  }
}
