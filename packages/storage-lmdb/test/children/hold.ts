/** Opens a directory, says so, and holds it open until it is killed. */
import { Effect, Layer } from "effect"
import { LmdbStorage } from "../../src/index.ts"

const held = Layer.build(LmdbStorage.layer({ directory: process.argv[2]! })).pipe(
  Effect.andThen(Effect.sync(() => process.stdout.write("open\n"))),
  Effect.andThen(Effect.never),
  Effect.scoped
)
// A pending timer keeps the process alive; nothing else would.
setInterval(() => {}, 60_000)
await Effect.runPromise(held)
