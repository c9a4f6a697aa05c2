/** What the benchmark and the processes that it loads from inside say to each other. */
import type { Level } from "../Contender.ts"
import type { Called } from "../load/Callers.ts"

/** What a process carries: three nodes in memory, one node on SSH and on disk, or a client of etcd. */
export type Assignment =
  | { readonly kind: "memory" }
  | { readonly kind: "node"; readonly directory: string; readonly nodeId: string; readonly join: string | null }
  | { readonly kind: "etcd3"; readonly hosts: ReadonlyArray<string> }

export type Question =
  | { readonly ask: "status" }
  | { readonly ask: "fill"; readonly keys: number; readonly valueBytes: number; readonly from: number }
  | { readonly ask: "load"; readonly level: Level; readonly ms: number }

/** A cluster as one of its nodes sees it. */
export interface NodeReport {
  readonly address: string
  readonly leads: boolean
  readonly leader: string | null
  readonly voters: number
  readonly ready: boolean
}

export type Answer =
  | { readonly answer: "status"; readonly report: NodeReport }
  | { readonly answer: "filled" }
  | { readonly answer: "load"; readonly result: Called }
  | { readonly answer: "failed"; readonly message: string }
