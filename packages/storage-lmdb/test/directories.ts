/** Data directories for tests: new, private, and gone with the test's scope. */
import type { Identity, LogEntry, LogIndex, Term } from "@distkv/core"
import { entryOf, Incarnation, LogStore, NodeId, StateStore } from "@distkv/core"
import { Context, Effect, Layer } from "effect"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { LmdbStorage } from "../src/index.ts"

export const temporaryDirectory = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "distkv-lmdb-"))),
  (directory) => Effect.promise(() => rm(directory, { recursive: true, force: true }))
)

/** Both stores of a directory, open as long as the scope. */
export const openDirectory = (settings: LmdbStorage.LmdbSettings) =>
  Effect.map(Layer.build(LmdbStorage.layer(settings)), (context) => ({
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
