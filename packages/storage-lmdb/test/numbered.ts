/** Checkpoints that tell their number in every row, so that a torn one shows. */
import type { Checkpoint, Key, LogIndex } from "@distkv/core"
import { aCheckpoint } from "./directories.ts"

/** How many keys each checkpoint changes. */
export const numberedKeys = 40

/** Checkpoint n: all keys and the revision say n, and it has an event of revision n. It stands where the log begins. */
export const numberedCheckpoint = (n: number): Checkpoint => {
  const { meta, rows } = aCheckpoint(0, n, numberedKeys)
  const key = "key0" as Key
  const entry = new Map(rows).get(key) ?? null
  return {
    meta: { ...meta, applied: { term: meta.applied.term, index: 0 as LogIndex } },
    rows,
    history: [{ revision: meta.revision, position: 0, key, entry, previous: null, historyBytes: n }],
    sessions: []
  }
}
