/** What a run and its clients' processes say to each other, and what clients note. */
import type { EntryInput, EntryOutput } from "@distkv/core/testing"

/** One call of a client: times are monotonic microseconds, common to all processes of the machine. */
export interface Call {
  readonly client: string
  readonly node: number
  readonly input: EntryInput
  readonly called: number
  readonly returned: number
  readonly outcome:
    | { readonly _tag: "Answered"; readonly output: EntryOutput }
    /** It did not take effect, by what the node said, or since no node was reached. */
    | { readonly _tag: "Refused"; readonly code: string }
    /** Whether it took effect is not known. */
    | { readonly _tag: "Unknown"; readonly code: string }
}

/** What clients do. */
export interface Workload {
  /** Clients of each node. */
  readonly clients: number
  /** Writes a second that the clients of one node make while it serves. */
  readonly writesPerSecond: number
  /** What share of the calls on few shared keys, as opposed to writes of a key of their own; from 0 to 1. */
  readonly shared: number
  /** Milliseconds that a call may take. */
  readonly timeoutMs: number
  readonly seed: number
}

export type ToClients =
  /** Where the node listens; null while it does not run. */
  | { readonly _tag: "At"; readonly http: string | null }
  | { readonly _tag: "Load"; readonly workload: Workload }
  /** The shared keys are others from now on. */
  | { readonly _tag: "Epoch"; readonly epoch: number }
  | { readonly _tag: "Rest" }
  /** Writes so many values of so many bytes, as fast as they are taken; `Filled` follows. */
  | { readonly _tag: "Fill"; readonly keys: number; readonly bytes: number }
  | {
    readonly _tag: "Ask"
    readonly id: number
    readonly method: string
    readonly path: string
    readonly body?: string
  }

export type FromClients =
  | { readonly _tag: "Calls"; readonly calls: ReadonlyArray<Call> }
  | { readonly _tag: "Rested" }
  /** How often a write had to be made again. */
  | { readonly _tag: "Filled"; readonly again: number }
  | { readonly _tag: "Told"; readonly id: number; readonly status: number; readonly body: string }
