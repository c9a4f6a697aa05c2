/** Opens directories one after another, reads all of them, and says as JSON what there is or why not. */
import { LogStore, StateStore } from "@distkv/core"
import type { LogIndex } from "@distkv/core"
import { Effect } from "effect"
import { LmdbStorage } from "../../src/index.ts"

const read = Effect.gen(function*() {
  const log = yield* LogStore
  const state = yield* StateStore
  const recovered = yield* log.recover
  const entries = yield* log.read(1 as LogIndex, recovered.last, Number.MAX_SAFE_INTEGER)
  const rows = yield* Effect.try({
    try: () => [...state.scanUnsafe({ from: null, to: null, prefix: null, reverse: false, keysOnly: false })],
    catch: (cause) => cause
  })
  return { last: recovered.last, entries: entries.length, rows: rows.map(({ value }) => Buffer.from(value).toString()) }
})

const inspect = (directory: string) =>
  Effect.provide(read, LmdbStorage.layer({ directory })).pipe(
    Effect.catch((error) =>
      Effect.succeed(
        error instanceof Error && "_tag" in error
          ? { error: error._tag, message: error.message }
          : { error: "unknown", message: String(error) }
      )
    )
  )

process.stdout.write(JSON.stringify(await Effect.runPromise(Effect.forEach(process.argv.slice(2), inspect))))
