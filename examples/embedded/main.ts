import { DistKv, DistKvLayer } from "@distkv/core"
import { LmdbStorage } from "@distkv/storage-lmdb"
import { SshTransport } from "@distkv/transport-ssh"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Layer } from "effect"

/** The node inside this process; its keys and all its data are in `directory`. Others would say `{ join: [...] }`. */
export const store = (directory: string) =>
  DistKvLayer({ start: "bootstrap" }).pipe(
    Layer.provide([SshTransport.layer({ dataDir: directory }), LmdbStorage.layer({ directory })])
  )

/** Counts in a number that all nodes share: read, compare and set, and once more where another node was faster. */
export const visit = Effect.gen(function*() {
  const kv = yield* DistKv
  const last = yield* kv.get("visits").pipe(Effect.catchTag("KeyNotFound", () => Effect.succeed(undefined)))
  const count = last === undefined ? 1 : Number(new TextDecoder().decode(last.value)) + 1
  yield* kv.set("visits", String(count), { ifRevision: last?.modRevision ?? 0 })
  return count
}).pipe(Effect.retry({ while: (error) => error._tag === "CompareFailed" }))

if (import.meta.main) {
  const program = Effect.flatMap(visit, (count) => Console.log(`visit ${count}`))
  NodeRuntime.runMain(Effect.provide(program, store("./visits")))
}
