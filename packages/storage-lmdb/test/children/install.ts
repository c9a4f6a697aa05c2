/**
 * Installs state after state as snapshots, and builds snapshots of what is there meanwhile, saying how far it is, until
 * it is killed. Says `tick` all the time, so that it can be killed at any moment.
 */
import { LogStore, MemoryStateStore, StateStore } from "@distkv/core"
import { Effect } from "effect"
import { writeSync } from "node:fs"
import { LmdbStorage } from "../../src/index.ts"
import { someIdentity } from "../directories.ts"
import { installedState } from "../installs.ts"

const [directory = "", first = "0"] = process.argv.slice(2)
const pieceBytes = 64 * 1024

const say = (line: string) => Effect.sync(() => writeSync(1, `${line}\n`))

/** The bytes of the snapshot of state n. */
const snapshotOf = (n: number) =>
  Effect.scoped(Effect.gen(function*() {
    const store = MemoryStateStore.make(new MemoryStateStore.MemoryState())
    yield* store.checkpoint(installedState(n))
    const snapshot = yield* store.snapshot(null)
    return snapshot === null ? yield* Effect.die("no snapshot") : yield* snapshot.read(0, snapshot.id.bytes)
  }))

const installing = Effect.gen(function*() {
  const state = yield* StateStore
  for (let n = Number(first) + 1;; n++) {
    const bytes = yield* snapshotOf(n)
    yield* say(`receiving ${n}`)
    yield* Effect.scoped(Effect.gen(function*() {
      const incoming = yield* state.receive
      for (let at = 0; at < bytes.length; at += pieceBytes) yield* incoming.append(bytes.subarray(at, at + pieceBytes))
      yield* say(`preparing ${n}`)
      yield* incoming.prepare
      yield* say(`installing ${n}`)
      yield* incoming.install
      yield* say(`installed ${n}`)
    }))
  }
})

const building = Effect.gen(function*() {
  const state = yield* StateStore
  while (true) {
    const built = yield* Effect.scoped(state.snapshot(null))
    if (built !== null) yield* say(`built ${built.id.last.index}`)
    yield* Effect.sleep("1 millis")
  }
})

const ticking = Effect.forever(Effect.andThen(say("tick"), Effect.sleep("1 millis")))

const identifying = Effect.gen(function*() {
  const log = yield* LogStore
  if ((yield* log.recover).identity === null) yield* log.saveIdentity(someIdentity)
})

await Effect.runPromise(
  Effect.andThen(identifying, Effect.all([installing, building, ticking], { concurrency: 3 })).pipe(
    Effect.provide(LmdbStorage.layer({ directory }))
  )
)
