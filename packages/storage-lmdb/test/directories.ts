/** Data directories for tests: new, private, and gone with the test's scope. */
import type { Checkpoint, HardState, Identity, Key, LogEntry, LogIndex, Revision, Term } from "@distkv/core"
import { emptyMembership, entryOf, Incarnation, LogStore, NodeId, StateStore } from "@distkv/core"
import { Context, Effect, Layer } from "effect"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { LmdbStorage } from "../src/index.ts"

export const temporaryDirectory = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "distkv-lmdb-"))),
  (directory) => Effect.promise(() => rm(directory, { recursive: true, force: true }))
)

/** Both stores of a directory, open as long as the scope; both on LMDB unless the settings say otherwise. */
export const openDirectory = (settings: LmdbStorage.LmdbSettings) =>
  Effect.map(Layer.build(LmdbStorage.layer({ log: "lmdb", ...settings })), (context) => ({
    log: Context.get(context, LogStore),
    state: Context.get(context, StateStore)
  }))

export const someIdentity: Identity = {
  nodeId: NodeId.make("n1"),
  incarnation: Incarnation.make("0123456789abcdef0123456789abcdef"),
  clusterId: null,
  founding: false,
  raftPort: null
}

/** The entries of one term from index `from` to `to`, which change nothing. */
export const noOps = (term: number, from: number, to: number): ReadonlyArray<LogEntry> =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, i) =>
    entryOf({
      term: term as Term,
      index: (from + i) as LogIndex,
      session: 0 as LogIndex,
      sequence: 0 as LogIndex,
      unacknowledged: 0 as LogIndex,
      command: { _tag: "NoOp" }
    }))

export const otherIdentity: Identity = {
  ...someIdentity,
  nodeId: NodeId.make("n2"),
  incarnation: Incarnation.make("fedcba9876543210fedcba9876543210")
}

export const hardState = (term: number, votedFor: string | null): HardState => ({
  term: term as Term,
  votedFor: votedFor === null ? null : NodeId.make(votedFor)
})

/** A checkpoint at an entry, in which so many keys all have the entry's index as their value. */
export const aCheckpoint = (term: number, index: number, keys: number): Checkpoint => ({
  meta: {
    applied: { term: term as Term, index: index as LogIndex },
    revision: index as Revision,
    compactRevision: 0 as Revision,
    historyBytes: 0,
    historyCutBytes: 0,
    keys,
    membership: emptyMembership
  },
  rows: new Map(Array.from({ length: keys }, (_, i) => {
    const key = `key${i}` as Key
    const revision = index as Revision
    const value = Buffer.from(`${index}`)
    return [key, { key, value, createRevision: revision, modRevision: revision, version: 1, leaseId: null }]
  })),
  history: [],
  sessions: []
})
