import {
  emptyMembership,
  type Key,
  type LogIndex,
  logStart,
  type LogStore,
  type Revision,
  type StateMeta,
  type StateStore
} from "@distkv/core"
import { logStoreLaws, stateStoreLaws } from "@distkv/core/testing"
import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import { flipInSegments, flipRow, indexKey } from "../damage.ts"
import { noOps, openDirectory, someIdentity, temporaryDirectory } from "../directories.ts"

const emptyState: StateMeta = {
  applied: logStart,
  revision: 0 as Revision,
  compactRevision: 0 as Revision,
  historyBytes: 0,
  historyCutBytes: 0,
  keys: 0,
  membership: emptyMembership
}

const logs = [
  {
    kind: "lmdb",
    damage: (directory: string, index: LogIndex) => flipRow(join(directory, "log.mdb"), "log", indexKey(index))
  },
  {
    kind: "segments",
    damage: (directory: string, index: LogIndex) => flipInSegments(join(directory, "log"), index)
  }
] as const

describe.each(logs)("the log in $kind", ({ damage, kind }) => {
  for (const { check, name } of logStoreLaws) {
    it.live(name, () =>
      Effect.gen(function*() {
        const directory = yield* temporaryDirectory
        let stands: StateStore["Service"] | null = null
        yield* check({
          open: Effect.map(openDirectory({ directory, log: kind }), ({ log, state }) => {
            stands = state
            return log
          }),
          cover: (applied) =>
            stands?.checkpoint({ meta: { ...emptyState, applied }, rows: new Map(), history: [], sessions: [] }) ??
              Effect.void,
          damage: (index: LogIndex) => damage(directory, index)
        })
      }))
  }
})

/** A checkpoint is never ahead of the log, so there is one as long as any of the laws needs it. */
const coveringLog = Effect.fnUntraced(function*({ log }: { readonly log: LogStore["Service"] }) {
  if ((yield* log.recover).identity !== null) return
  yield* log.saveIdentity(someIdentity)
  yield* log.write({ hardState: null, entries: noOps(1, 1, 600) })
})

describe("the state on LMDB", () => {
  for (const { check, name } of stateStoreLaws) {
    // scenario: S14
    // fails-with: takes-damaged-snapshots
    it.live(name, () =>
      Effect.gen(function*() {
        const directory = yield* temporaryDirectory
        yield* check({
          open: Effect.tap(openDirectory({ directory }), coveringLog).pipe(Effect.map(({ state }) => state)),
          damage: (key: Key) => flipRow(join(directory, "state.mdb"), "kv", Buffer.from(key))
        })
      }))
  }
})
