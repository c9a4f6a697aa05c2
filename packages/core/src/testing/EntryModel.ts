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
  /** Of `get`; a null entry is KeyNotFound. `revision` is the store's, here and everywhere. */
  | { readonly _tag: "Read"; readonly revision: number; readonly entry: ShownEntry | null }
  /** Of `set`. `previous` is undefined where it was not asked for. */
  | {
    readonly _tag: "Set"
    readonly revision: number
    readonly created: boolean
    readonly previous: ShownEntry | null | undefined
  }
  | { readonly _tag: "Deleted"; readonly revision: number; readonly deleted: boolean }
  /** The guard did not hold. */
  | { readonly _tag: "CompareFailed"; readonly revision: number; readonly current: ShownEntry | null }

/**
 * `entry` is null where the key is absent, its `modRevision` null while nobody knows it. No answer later in the order
 * names a revision below `floor`: revisions belong to the whole store and only rise.
 */
export interface EntryState {
  readonly entry: { readonly value: string; readonly modRevision: number | null } | null
  readonly floor: number
}

/** The state as it is known after it was shown like this; undefined when it cannot have been. */
const shown = ({ entry, floor }: EntryState, seen: ShownEntry | null, revision: number): EntryState | undefined => {
  if (revision < floor || (entry === null) !== (seen === null)) return undefined
  if (entry === null || seen === null) return { entry: null, floor: revision }
  if (entry.value !== seen.value) return undefined
  if (entry.modRevision !== null && entry.modRevision !== seen.modRevision) return undefined
  return { entry: { value: seen.value, modRevision: seen.modRevision }, floor: revision }
}

const guardHolds = ({ entry }: EntryState, ifRevision: number | null): boolean =>
  ifRevision === null ||
  (ifRevision === 0
    ? entry === null
    : entry !== null && (entry.modRevision === null || entry.modRevision === ifRevision))

/** Whether a guard may have failed on this state. */
const guardMayFail = ({ entry }: EntryState, ifRevision: number | null): boolean =>
  ifRevision !== null && (entry === null ? ifRevision !== 0 : entry.modRevision !== ifRevision)

const stepSet = (
  state: EntryState,
  input: Extract<EntryInput, { op: "set" }>,
  output: EntryOutput | undefined
): EntryState | undefined => {
  if (output === undefined) {
    if (!guardHolds(state, input.ifRevision)) return undefined
    return { entry: { value: input.value, modRevision: null }, floor: state.floor }
  }
  if (output._tag === "CompareFailed") {
    return guardMayFail(state, input.ifRevision) ? shown(state, output.current, output.revision) : undefined
  }
  if (output._tag !== "Set" || !guardHolds(state, input.ifRevision) || output.revision <= state.floor) return undefined
  if (output.created !== (state.entry === null)) return undefined
  if (output.previous !== undefined && shown(state, output.previous, output.revision) === undefined) return undefined
  return { entry: { value: input.value, modRevision: output.revision }, floor: output.revision }
}

const stepDelete = (
  state: EntryState,
  input: Extract<EntryInput, { op: "delete" }>,
  output: EntryOutput | undefined
): EntryState | undefined => {
  const isPresent = state.entry !== null
  // Without an answer it need not be placed at all, so only where it would change something.
  if (output === undefined) {
    return isPresent && guardHolds(state, input.ifRevision) ? { entry: null, floor: state.floor } : undefined
  }
  if (output._tag === "CompareFailed") {
    return guardMayFail(state, input.ifRevision) ? shown(state, output.current, output.revision) : undefined
  }
  if (output._tag !== "Deleted" || output.deleted !== isPresent) return undefined
  if (output.revision < state.floor || (isPresent && output.revision === state.floor)) return undefined
  return guardHolds(state, input.ifRevision) || !isPresent ? { entry: null, floor: output.revision } : undefined
}

export const entryModel: Model<EntryState, EntryInput, EntryOutput> = {
  initial: { entry: null, floor: 0 },
  step: (state, input, output) => {
    switch (input.op) {
      case "get":
        if (output === undefined) return state
        return output._tag === "Read" ? shown(state, output.entry, output.revision) : undefined
      case "set":
        return stepSet(state, input, output)
      case "delete":
        return stepDelete(state, input, output)
    }
  },
  stateKey: ({ entry, floor }) => `${floor} ${entry === null ? "-" : `${entry.modRevision ?? "?"}=${entry.value}`}`,
  rank: (output) => output.revision,
  isLook: (_, output) =>
    output._tag === "Read" || output._tag === "CompareFailed" || (output._tag === "Deleted" && !output.deleted),
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
