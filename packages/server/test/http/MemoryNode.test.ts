import {
  DistKv,
  DistKvLayer,
  LogStore,
  MemoryLogStore,
  MemoryStateStore,
  MemoryTransport,
  SnapshotReader
} from "@distkv/core"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { HttpServer } from "../../src/http/HttpServer.ts"
import { assertProblem, jsonOf, onNode } from "./Harness.ts"

/** What the disk of a small node waits for before each write. */
let disk: Effect.Effect<void> = Effect.void

/** A node that takes two writes at a time, on a disk that a test can stop. */
const small = DistKvLayer({
  start: "bootstrap",
  electionTimeout: "150 millis",
  heartbeat: "30 millis",
  limits: { pendingWrites: 2 }
}).pipe(Layer.provide([
  MemoryTransport.layerAlone,
  Layer.effect(
    LogStore,
    Effect.map(
      LogStore,
      (store) =>
        LogStore.of({ ...store, write: (write) => Effect.andThen(Effect.suspend(() => disk), store.write(write)) })
    )
  ).pipe(Layer.provide(MemoryLogStore.layer)),
  MemoryStateStore.layer
]))

describe("a whole node behind HTTP", () => {
  it.live("keeps what is set, guards it, lists and deletes it", () =>
    onNode((ask) =>
      Effect.gen(function*() {
        const set = jsonOf(yield* ask("PUT /v1/kv/a%2Fb", [], "one"))
        assert.strictEqual(set.created, true)
        const first = Number(set.revision)
        assertProblem(yield* ask("PUT /v1/kv/a%2Fb", ["If-None-Match: *"], "two"), 412, "CompareFailed")
        assertProblem(yield* ask("PUT /v1/kv/a%2Fb", [`If-Match: "${first + 1}"`], "two"), 412, "CompareFailed")
        assertProblem(yield* ask("PUT /v1/kv/absent", ["If-Match: *"], "two"), 412, "CompareFailed")
        const next = jsonOf(yield* ask("PUT /v1/kv/a%2Fb?previous=true", [`If-Match: "${first}"`], "two"))
        assert.strictEqual(next.revision, String(first + 1))
        assert.strictEqual((next.previous as { value: string }).value, "b25l")
        const got = yield* ask("GET /v1/kv/a%2Fb")
        assert.strictEqual(got.body, "two")
        assert.strictEqual(got.headers.get("etag"), `"${first + 1}"`)
        assert.strictEqual(got.headers.get("distkv-version"), "2")
        assert.strictEqual((yield* ask("GET /v1/kv/a%2Fb", [`If-None-Match: "${first + 1}"`])).status, 304)
        assert.strictEqual(
          (yield* ask(`GET /v1/kv/a%2Fb?consistency=stale&minRevision=${first + 1}`)).headers.get("distkv-consistency"),
          "stale"
        )
        assert.strictEqual((yield* ask("POST /key", [], '{"a/c":"x","d":"y"}')).status, 200)
        assert.lengthOf(jsonOf(yield* ask("GET /v1/kv?prefix=a/")).entries as Array<unknown>, 2)
        assert.deepStrictEqual(jsonOf(yield* ask("DELETE /v1/kv?prefix=a/")).deleted, 2)
        assertProblem(yield* ask("GET /v1/kv/a%2Fb"), 404, "KeyNotFound", null)
        assert.strictEqual(jsonOf(yield* ask("DELETE /v1/kv/a%2Fb")).deleted, false)
      })
    ))

  it.live("streams a copy of the store that is whole, and knows no parameter but the deadline", () =>
    onNode((ask) =>
      Effect.gen(function*() {
        for (let i = 0; i < 20; i++) yield* ask(`PUT /v1/kv/k${i}`, [], `${i}`.repeat(30_000))
        const reader = new SnapshotReader({ header: () => {}, row: () => {} })
        const { port } = yield* HttpServer
        const response = yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/v1/snapshot?timeout=9s`))
        assert.strictEqual(response.headers.get("content-type"), "application/octet-stream")
        reader.push(new Uint8Array(yield* Effect.promise(() => response.arrayBuffer())))
        assert.deepStrictEqual([Number(reader.end().header.revision), reader.end().header.keys], [20, 20])
        const head = yield* ask("HEAD /v1/snapshot")
        assert.deepStrictEqual([head.status, head.body], [200, ""])
        assertProblem(yield* ask("GET /v1/snapshot?limit=1"), 400, "InvalidRequest")
        assertProblem(yield* ask("POST /v1/snapshot"), 404, "NotFound")
      })
    ))

  it.live("waits for a revision that does not come no longer than its deadline, and refuses bad limits", () =>
    onNode((ask) =>
      Effect.gen(function*() {
        const waited = yield* ask("GET /v1/kv/k?minRevision=999&timeout=50ms")
        assertProblem(waited, 503, "DeadlineExceeded")
        for (const query of ["limit=0", "limit=10001", "limit=999999999"]) {
          assertProblem(yield* ask(`GET /v1/kv?${query}`), 400, "InvalidRequest")
        }
      })
    ))

  // fails-with: pages-overlap
  it.live("pages ten thousand keys with large values, each once and in order (H06)", () =>
    onNode((ask, client) =>
      Effect.gen(function*() {
        const value = new Uint8Array(1200)
        const name = (i: number) => `key/${String(i).padStart(5, "0")}`
        const kv = yield* DistKv
        yield* Effect.forEach(Array.from({ length: 10_000 }, (_, i) => i), (i) => kv.set(name(i), value), {
          concurrency: 256,
          discard: true
        })
        const keys: Array<string> = []
        let more = true
        while (more) {
          const page = yield* client.list({ limit: 10_000, prefix: "key/", after: keys.at(-1) })
          keys.push(...page.entries.map((entry) => entry.key))
          more = page.more
        }
        assert.deepStrictEqual(keys, Array.from({ length: 10_000 }, (_, i) => name(i)))
        assertProblem(yield* ask("GET /v1/kv?limit=10001"), 400, "InvalidRequest")
        assert.strictEqual((yield* client.deleteRange({ all: true })).deleted, 10_000)
      })
    ))

  // scenario: H09
  // fails-with: admits-everybody
  it.live("asked for far more than it holds refuses early and says when to come again, loses nothing, and recovers", () =>
    onNode((ask, client) =>
      Effect.gen(function*() {
        const goesOn = yield* Deferred.make<void>()
        const allRefused = yield* Deferred.make<void>()
        disk = Deferred.await(goesOn)
        let refused = 0
        const write = (i: number) =>
          Effect.tap(ask(`PUT /v1/kv/k${i}?timeout=9s`, [], `${i}`), (reply) => {
            if (reply.status === 200) return Effect.void
            assertProblem(reply, 429, "Overloaded")
            refused++
            return refused === 298 ? Deferred.succeed(allRefused, undefined) : Effect.void
          })
        const fiber = yield* Effect.forkChild(
          Effect.forEach(Array.from({ length: 300 }, (_, i) => i), write, { concurrency: "unbounded" })
        )
        // While the disk does nothing at all.
        yield* Deferred.await(allRefused)
        yield* Deferred.succeed(goesOn, undefined)
        const done = (yield* Fiber.join(fiber)).flatMap(({ status }, i) => status === 200 ? [`k${i}`] : [])
        assert.lengthOf(done, 2)
        const { entries } = yield* client.list({ limit: 1000 })
        assert.deepStrictEqual(entries.map(({ key }) => String(key)).sort(), done.sort())
        for (let i = 0; i < 20; i++) assert.strictEqual((yield* ask(`PUT /v1/kv/after${i}`, [], "v")).status, 200)
      }), small))

  it.live("tells of itself", () =>
    onNode((ask, client) =>
      Effect.gen(function*() {
        const cluster = yield* client.cluster()
        assert.strictEqual(cluster.role, "leader")
        assert.strictEqual(cluster.leader, cluster.nodeId)
        assert.strictEqual(cluster.failureTolerance, 0)
        const metrics = yield* ask("GET /metrics")
        assert.include(metrics.body, "distkv_raft_is_leader 1")
        assert.strictEqual((yield* ask("GET /v1/cluster")).headers.get("distkv-cluster"), cluster.clusterId)
        assert.strictEqual((yield* Effect.flip(client.transfer("nobody")))._tag, "NotFound")
      })
    ))
})
