import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { FetchHttpClient } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import { DistKvApi } from "../../src/client.ts"
import { serving } from "./Harness.ts"

describe("a client derived from the definition", () => {
  it.live("speaks with the server, the lean routes included", () =>
    serving(({ url }) =>
      Effect.gen(function*() {
        const client = yield* HttpApiClient.make(DistKvApi, { baseUrl: url })
        const payload = new TextEncoder().encode("value")
        const set = yield* client.entries.set({
          params: { key: "a/b" },
          query: { previous: true, timeout: 2000 },
          headers: {},
          payload
        })
        assert.deepStrictEqual(set, { revision: 1, created: true, previous: null } as never)
        const got = yield* client.entries.get({
          params: { key: "a/b" },
          query: {},
          headers: { accept: "application/json" }
        })
        assert.isFalse(got instanceof Uint8Array)
        assert.isDefined(got)
        if (!(got instanceof Uint8Array) && got !== undefined) assert.deepStrictEqual(got.value, payload)
        const page = yield* client.ranges.list({ query: { prefix: "a", limit: 5, keysOnly: false } })
        assert.deepStrictEqual(page.entries.map((entry) => entry.key as string), ["a/b"])
        const refused = yield* Effect.flip(
          client.entries.set({
            params: { key: "a/b" },
            query: {},
            headers: { "if-none-match": "*" },
            payload
          })
        )
        assert.include(refused, { status: 412, code: "CompareFailed", applied: "no" })
        assert.deepStrictEqual((yield* client.ranges.deleteRange({ headers: {}, query: { all: "true" } })).deleted, 1)
        assert.strictEqual((yield* client.cluster.cluster({ query: {} })).leader, "n1")
        assert.strictEqual((yield* client.cluster.transfer({ query: {}, payload: {} })).leader, "n1")
        yield* client.original.setOriginal({ headers: {}, query: { timeout: 2000 }, payload: { k: "v" } })
        assert.deepStrictEqual(yield* client.original.getOriginal({ params: { key: "k" }, query: {} }), { k: "v" })
        assert.strictEqual(yield* client.operations.livez(), "ok\n")
      }).pipe(Effect.provide(FetchHttpClient.layer))
    ))
})
