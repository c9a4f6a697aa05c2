/** Real processes whose leaders are killed under clients that send every write until they know what became of it. */
import type { IdempotencyKey } from "@distkv/core"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Ref } from "effect"
import type { ClientError, DistKvClient } from "../../src/client.ts"
import { clientOf, startCluster } from "./TestCluster.ts"
import { temporaryDirectory, within } from "./TestNode.ts"

const ids = ["n1", "n2", "n3"]
const clients = 4
const between = 25
const timeout = Duration.seconds(2)

type Client = typeof DistKvClient.Service

const pause = Effect.sleep(Duration.millis(20))

/** Sends a write under its key until it is known what became of it: nodes come and go meanwhile. */
const insist = <A>(
  client: Effect.Effect<Client>,
  write: (client: Client) => Effect.Effect<A, ClientError>
): Effect.Effect<A, ClientError> =>
  Effect.flatMap(Effect.result(Effect.flatMap(client, write)), (result) => {
    if (result._tag === "Success") return Effect.succeed(result.success)
    const { _tag } = result.failure
    return _tag === "CompareFailed" || _tag === "InvalidRequest" || _tag === "SessionExpired"
      ? Effect.fail(result.failure)
      : Effect.andThen(pause, insist(client, write))
  })

/** Adds a word to the text at `list` by compare-and-set. Whether an attempt took effect is always known. */
const append = Effect.fnUntraced(function*(client: Effect.Effect<Client>, word: string, nextKey: () => IdempotencyKey) {
  while (true) {
    const found = yield* insist(client, (kv) =>
      kv.get("list", { timeout }).pipe(
        Effect.map((entry) => ({ text: Buffer.from(entry.value).toString(), revision: Number(entry.modRevision) })),
        Effect.catchTag("KeyNotFound", () => Effect.succeed({ text: "", revision: 0 }))
      ))
    const idempotencyKey = nextKey()
    const options = { timeout, ifRevision: found.revision, idempotencyKey }
    const tried = yield* Effect.result(insist(client, (kv) => kv.set("list", `${found.text} ${word}`, options)))
    if (tried._tag === "Success") return
    if (tried.failure._tag !== "CompareFailed") return yield* tried.failure
  }
})

describe("clients with sessions", () => {
  // scenario: CS02 H11
  // fails-with: executes-copies
  it.live("do nothing twice and lose nothing while leaders are killed", () =>
    Effect.gen(function*() {
      const cluster = yield* startCluster(yield* temporaryDirectory, ids)
      const client = Effect.suspend(() => clientOf(cluster.nodes.values()))
      const stop = yield* Deferred.make<void>()
      const done = yield* Ref.make(0)
      const run = Effect.fnUntraced(function*(name: string) {
        const { session } = yield* insist(client, (kv) => kv.openSession({ timeout }))
        let sequence = 0
        let count = 0
        const nextKey = () => ({ session, sequence: ++sequence })
        while (!Deferred.isDoneUnsafe(stop)) {
          const options = { timeout, idempotencyKey: nextKey() }
          const { revision } = yield* insist(client, (kv) => kv.set(name, `${count + 1}`, options))
          assert.deepStrictEqual(
            (yield* insist(client, (kv) => kv.set(name, `${count + 1}`, options))).revision,
            revision
          )
          yield* append(client, `${name}:${count + 1}`, nextKey)
          count++
          yield* Ref.update(done, (total) => total + 1)
        }
        return [name, count] as const
      })
      const running = yield* Effect.forEach(
        Array.from({ length: clients }, (_, i) => `client${i}`),
        (name) => Effect.forkScoped(run(name))
      )
      const more = Effect.fnUntraced(function*() {
        const goal = (yield* Ref.get(done)) + between
        while ((yield* Ref.get(done)) < goal) yield* pause
      })
      for (let round = 0; round < 3; round++) {
        yield* within("the cluster takes writes", Duration.seconds(30), more(), cluster.logs)
        const leader = yield* cluster.leader
        const victim = cluster.nodes.get(leader)!
        yield* victim.signal("SIGKILL")
        yield* victim.ended
        yield* within("the rest takes writes", Duration.seconds(30), more(), cluster.logs)
        yield* cluster.restart(leader)
      }
      yield* Deferred.succeed(stop, undefined)
      const counts = yield* Effect.forEach(running, Fiber.join)
      const kv = yield* client
      const words = Buffer.from((yield* kv.get("list")).value).toString().trim().split(" ")
      for (const [name, count] of counts) {
        // A version counts the changes of a key: one for each write, however often it was sent.
        assert.strictEqual((yield* kv.get(name)).version, count, name)
        assert.deepStrictEqual(
          words.filter((word) => word.startsWith(`${name}:`)),
          Array.from({ length: count }, (_, i) => `${name}:${i + 1}`)
        )
      }
      assert.lengthOf(words, counts.reduce((sum, [, count]) => sum + count, 0))
      assert.isAtLeast(words.length, 6 * between)
    }), 120_000)
})
