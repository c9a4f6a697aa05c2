/** States that are installed one after another: number n says n in every row, so that a mixture shows. */
import type { Checkpoint, Entry, Key, Revision } from "@distkv/core"
import { aCheckpoint } from "./directories.ts"

/** So many rows take several commits to prepare. */
export const installedKeys = 1200

/** What every value of state n is; long enough to have rows of its own. */
export const installedValue = (n: number): string => `${n};`.repeat(2048).slice(0, 2048)

/** State n, which stands at entry n of term 1. */
export const installedState = (n: number): Checkpoint => {
  const { meta } = aCheckpoint(1, n, installedKeys)
  const revision = n as Revision
  const value = Buffer.from(installedValue(n))
  const rows = new Map<Key, Entry>()
  for (let i = 0; i < installedKeys; i++) {
    const key = `key${i}` as Key
    rows.set(key, { key, value, createRevision: revision, modRevision: revision, version: 1, leaseId: null })
  }
  return { meta, rows, history: [], sessions: [] }
}
