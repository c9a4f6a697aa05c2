/** What the benchmark and the processes that carry its nodes say to each other. */
import type { Level, LoadResult } from "./Contender.ts"

/** What a process carries: three nodes in memory, or one node on SSH and LMDB. */
export type Assignment =
  | { readonly kind: "memory" }
  | { readonly kind: "node"; readonly directory: string; readonly nodeId: string; readonly join: string | null }

export type Question =
  | { readonly ask: "status" }
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
  | { readonly answer: "load"; readonly result: LoadResult }
  | { readonly answer: "failed"; readonly message: string }
