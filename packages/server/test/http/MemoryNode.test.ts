import { DistKv, SnapshotReader } from "@distkv/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { HttpServer } from "../../src/http/HttpServer.ts"
import { assertProblem, jsonOf, onNode } from "./Harness.ts"

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
