import type { Key, LogIndex, LogStore } from "@distkv/core"
import { logStoreLaws, stateStoreLaws } from "@distkv/core/testing"
import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import { flipRow, indexKey } from "../damage.ts"
import { noOps, openDirectory, someIdentity, temporaryDirectory } from "../directories.ts"

describe("the log on LMDB", () => {
  for (const { check, name } of logStoreLaws) {
    it.live(name, () =>
      Effect.gen(function*() {
        const directory = yield* temporaryDirectory
        yield* check({
          open: Effect.map(openDirectory({ directory }), ({ log }) => log),
          damage: (index: LogIndex) => flipRow(join(directory, "log.mdb"), "log", indexKey(index))
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
