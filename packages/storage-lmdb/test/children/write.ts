/** Writes step after step of the workload, beside them checkpoints, and says which are durable, until it is killed. */
import type { Checkpoint, Key } from "@distkv/core"
import { LogStore, StateStore } from "@distkv/core"
import { Effect } from "effect"
import { writeSync } from "node:fs"
import { LmdbStorage } from "../../src/index.ts"
import { someIdentity } from "../directories.ts"
import { numberedCheckpoint } from "../numbered.ts"
import { after, emptyModel, nextStep } from "../workload.ts"

const [directory = "", steps = "0", checkpoints = "0", kind] = process.argv.slice(2)

/** What has been written to a pipe is read from it, whatever becomes of the writer. */
const acknowledge = (what: string, n: number) => Effect.sync(() => writeSync(1, `${what} ${n}\n`))

const writing = Effect.gen(function*() {
  const log = yield* LogStore
  let model = emptyModel
  while (model.step < Number(steps)) model = after(model, nextStep(model))
  while (true) {
    const step = nextStep(model)
    yield* log.write(step)
    model = after(model, step)
    yield* acknowledge("step", model.step)
  }
})

const checkpointing = Effect.gen(function*() {
  const state = yield* StateStore
  for (let n = Number(checkpoints) + 1;; n++) {
    const checkpoint: Checkpoint = numberedCheckpoint(n)
    yield* state.checkpoint(checkpoint)
    yield* acknowledge("checkpoint", n)
    const seen = state.getUnsafe("key0" as Key)
    if (Buffer.from(seen?.value ?? []).toString() !== `${n}`) {
      return yield* Effect.die(`checkpoint ${n} is not to be seen`)
    }
  }
})

const identifying = Effect.gen(function*() {
  const log = yield* LogStore
  if ((yield* log.recover).identity === null) yield* log.saveIdentity(someIdentity)
})

await Effect.runPromise(
  Effect.andThen(identifying, Effect.all([writing, checkpointing], { concurrency: 2 })).pipe(
    Effect.provide(LmdbStorage.layer({ directory, log: kind === "lmdb" ? "lmdb" : "segments", segmentBytes: 65_536 }))
  )
)
