/**
 * A map of texts with `get`, `put` and `append`, absent keys being empty: the object of well-known recorded histories.
 */
import type { Model, Operation } from "./Linearizability.ts"

export type AppendInput =
  | { readonly op: "get"; readonly key: string }
  | { readonly op: "put" | "append"; readonly key: string; readonly value: string }

/** What `get` returned; writes answer nothing. */
export type AppendOutput = string | null

export const appendModel: Model<string, AppendInput, AppendOutput> = {
  initial: "",
  step: (state, input, output) => {
    switch (input.op) {
      case "get":
        return output === undefined || output === state ? state : undefined
      case "put":
        return input.value
      case "append":
        return state + input.value
    }
  },
  stateKey: (state) => state,
  partition: (history) => {
    const parts = new Map<string, Array<Operation<AppendInput, AppendOutput>>>()
    for (const operation of history) {
      const part = parts.get(operation.input.key)
      if (part === undefined) parts.set(operation.input.key, [operation])
      else part.push(operation)
    }
    return [...parts.values()]
  }
}
