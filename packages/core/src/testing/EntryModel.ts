/**
 * One key of the store as a sequential object: get, set, delete and compare-and-set, each with its revision.
 *
 * A write without an answer leaves a revision that nobody knows yet (null): the first answer that shows it fixes it.
 */
import type { Model, Operation } from "./Linearizability.ts"

export type EntryInput =
  | { readonly op: "get"; readonly key: string }
  | { readonly op: "set"; readonly key: string; readonly value: string; readonly ifRevision: number | null }
  | { readonly op: "delete"; readonly key: string; readonly ifRevision: number | null }

/** A present entry as answers show it. */
export interface ShownEntry {
  readonly value: string
  readonly modRevision: number
}

export type EntryOutput =
  /** Of `get`; null is KeyNotFound. */
  | { readonly _tag: "Read"; readonly entry: ShownEntry | null }
  /** Of `set`. `previous` is undefined where it was not asked for. */
  | {
    readonly _tag: "Set"
    readonly revision: number
    readonly created: boolean
    readonly previous: ShownEntry | null | undefined
  }
  | { readonly _tag: "Deleted"; readonly deleted: boolean }
  /** The guard did not hold. */
  | { readonly _tag: "CompareFailed"; readonly current: ShownEntry | null }

/** Null where the key is absent; `modRevision` is null while nobody knows it. */
export type EntryState = { readonly value: string; readonly modRevision: number | null } | null

/** The state as it is known after it was shown like this; undefined when it cannot have been. */
const shown = (state: EntryState, entry: ShownEntry | null): EntryState | undefined => {
  if (state === null || entry === null) return state === null && entry === null ? null : undefined
  if (state.value !== entry.value) return undefined
  if (state.modRevision !== null && state.modRevision !== entry.modRevision) return undefined
  return { value: entry.value, modRevision: entry.modRevision }
}

const guardHolds = (state: EntryState, ifRevision: number | null): boolean =>
  ifRevision === null ||
  (ifRevision === 0
    ? state === null
    : state !== null && (state.modRevision === null || state.modRevision === ifRevision))

/** Whether a guard may have failed on this state. */
const guardMayFail = (state: EntryState, ifRevision: number | null): boolean =>
  ifRevision !== null && (state === null ? ifRevision !== 0 : state.modRevision !== ifRevision)

const stepSet = (
  state: EntryState,
  input: Extract<EntryInput, { op: "set" }>,
  output: EntryOutput | undefined
): EntryState | undefined => {
  if (output === undefined) {
    return guardHolds(state, input.ifRevision) ? { value: input.value, modRevision: null } : undefined
  }
  if (output._tag === "CompareFailed") {
    return guardMayFail(state, input.ifRevision) ? shown(state, output.current) : undefined
  }
  if (output._tag !== "Set" || !guardHolds(state, input.ifRevision)) return undefined
  if (output.created !== (state === null)) return undefined
  if (output.previous !== undefined && shown(state, output.previous) === undefined) return undefined
  return { value: input.value, modRevision: output.revision }
}

const stepDelete = (
  state: EntryState,
  input: Extract<EntryInput, { op: "delete" }>,
  output: EntryOutput | undefined
): EntryState | undefined => {
  if (output === undefined) return guardHolds(state, input.ifRevision) ? null : undefined
  if (output._tag === "CompareFailed") {
    return guardMayFail(state, input.ifRevision) ? shown(state, output.current) : undefined
  }
  if (output._tag !== "Deleted") return undefined
  if (!output.deleted) return state === null ? null : undefined
  return state !== null && guardHolds(state, input.ifRevision) ? null : undefined
}

export const entryModel: Model<EntryState, EntryInput, EntryOutput> = {
  initial: null,
  step: (state, input, output) => {
    switch (input.op) {
      case "get":
        if (output === undefined) return state
        return output._tag === "Read" ? shown(state, output.entry) : undefined
      case "set":
        return stepSet(state, input, output)
      case "delete":
        return stepDelete(state, input, output)
    }
  },
  stateKey: (state) => state === null ? "-" : `${state.modRevision ?? "?"}=${state.value}`,
  partition: (history) => {
    const parts = new Map<string, Array<Operation<EntryInput, EntryOutput>>>()
    for (const operation of history) {
      const part = parts.get(operation.input.key)
      if (part === undefined) parts.set(operation.input.key, [operation])
      else part.push(operation)
    }
    return [...parts.values()]
  }
}
