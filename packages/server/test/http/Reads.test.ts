import { type Entry, KeyNotFound } from "@distkv/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { fakeService, FakeStore } from "./FakeDistKv.ts"
import { assertProblem, entryJson, jsonOf, serving } from "./Harness.ts"

describe("one entry", () => {
  it.live("GET gives the value's bytes, never as something that a browser would run", () =>
    serving(({ ask, store }) =>
      Effect.gen(function*() {
        store.put("k", "<script>alert(1)</script>", store.next())
        const reply = yield* ask("GET /v1/kv/k", ["Accept: text/html,*/*;q=0.8"])
        assert.strictEqual(reply.status, 200)
        assert.strictEqual(reply.body, "<script>alert(1)</script>")
        const expected = {
          "content-type": "application/octet-stream",
          "x-content-type-options": "nosniff",
          "content-security-policy": "sandbox",
          "cache-control": "no-cache",
          "etag": '"1"',
          "vary": "Accept",
          "content-length": "25",
          "distkv-cluster": "0123456789abcdef0123456789abcdef",
          "distkv-revision": "1",
          "distkv-term": "3",
          "distkv-served-by": "n1",
          "distkv-leader": "n1",
          "distkv-consistency": "linearizable",
          "distkv-create-revision": "1",
          "distkv-version": "1"
        }
        for (const [name, value] of Object.entries(expected)) assert.strictEqual(reply.headers.get(name), value, name)
        assert.isFalse(reply.headers.has("distkv-lease"))
      })
    ))

  it.live("that an entry is absent is told with the consistency at which it was read", () =>
    serving(({ ask }) =>
      Effect.gen(function*() {
        for (
          const [asked, told] of [["", "linearizable"], ["?consistency=lease", "lease"], [
            "?consistency=stale",
            "stale"
          ]]
        ) {
          const reply = yield* ask(`GET /v1/kv/absent${asked}`)
          assertProblem(reply, 404, "KeyNotFound", null)
          assert.strictEqual(reply.headers.get("distkv-consistency"), told)
          assert.strictEqual(reply.headers.get("vary"), "Accept")
        }
      })
    ))

  it.live("Accept: application/json gives the entry, unless bytes are preferred", () =>
    serving(({ ask, store }) =>
      Effect.gen(function*() {
        store.put("k", "one", store.next())
        store.put("k", "two", store.next())
        const json = yield* ask("GET /v1/kv/k", ["Accept: application/json"])
        assert.deepStrictEqual(jsonOf(json), entryJson("two", "2", 2))
        assert.strictEqual(json.headers.get("etag"), '"2"')
        assert.strictEqual(json.headers.get("vary"), "Accept")
        for (
          const [accept, isJson] of [
            ["application/json;q=0.5", true],
            ["text/html, application/json", true],
            ["application/json;q=0", false],
            ["application/octet-stream, application/json;q=0.9", false],
            ["*/*", false],
            ["application/jsonx", false]
          ] as const
        ) {
          const reply = yield* ask("GET /v1/kv/k", [`Accept: ${accept}`])
          assert.strictEqual(reply.headers.get("content-type") === "application/json", isJson, accept)
        }
      })
    ))

  it.live("every byte comes back as it was, in small values and in large ones", () =>
    serving(({ ask }) =>
      Effect.gen(function*() {
        for (const length of [0, 1, 256, 16 * 1024, 16 * 1024 + 1, 1024 * 1024]) {
          const value = Buffer.from(Uint8Array.from({ length }, (_, i) => i % 256))
          assert.strictEqual((yield* ask("PUT /v1/kv/k", [], value)).status, 200)
          const reply = yield* ask("GET /v1/kv/k")
          assert.strictEqual(reply.headers.get("content-length"), String(length))
          assert.isTrue(Buffer.from(reply.body, "latin1").equals(value), `${length} bytes`)
        }
      })
    ))

  it.live("HEAD gives the headers of GET and no body", () =>
    serving(({ ask, store }) =>
      Effect.gen(function*() {
        store.put("k", "value", store.next())
        const head = yield* ask("HEAD /v1/kv/k")
        const got = yield* ask("GET /v1/kv/k")
        const names = (headers: ReadonlyMap<string, string>) =>
          new Map([...headers].filter(([name]) => name !== "date"))
        assert.deepStrictEqual(names(head.headers), names(got.headers))
        assert.strictEqual(head.body, "")
        assert.strictEqual((yield* ask("HEAD /v1/kv/absent")).status, 404)
      })
    ))

  it.live("If-None-Match with the entry's tag is 304 without a body, else the value", () =>
    serving(({ ask, store }) =>
      Effect.gen(function*() {
        store.put("k", "v", store.next())
        for (const tag of ['"1"', "*"]) {
          const reply = yield* ask("GET /v1/kv/k", [`If-None-Match: ${tag}`])
          assert.strictEqual(reply.status, 304, tag)
          assert.strictEqual(reply.headers.get("etag"), '"1"')
          assert.strictEqual(reply.headers.get("distkv-revision"), "1")
          assert.isFalse(reply.headers.has("content-type"))
        }
        for (const tag of ['"2"', '"0"', '"01"', '"99999999999999999999"']) {
          assert.strictEqual((yield* ask("GET /v1/kv/k", [`If-None-Match: ${tag}`])).body, "v", tag)
        }
        assertProblem(yield* ask("GET /v1/kv/absent", ["If-None-Match: *"]), 404, "KeyNotFound", null)
      })
    ))

  it.live("a read passes on the consistency, the revision and the deadline that were asked for", () => {
    const seen: Array<unknown> = []
    const store = new FakeStore()
    store.put("k", "v", store.next())
    return serving(
      ({ ask }) =>
        Effect.gen(function*() {
          const reply = yield* ask("GET /v1/kv/k?consistency=stale&minRevision=7&timeout=1.5s")
          assert.strictEqual(reply.headers.get("distkv-consistency"), "stale")
          yield* ask("GET /v1/kv/k")
          yield* ask("GET /v1/kv/k?timeout=1m&consistency=lease")
          assert.deepStrictEqual(seen, [
            { consistency: "stale", minRevision: 7, timeout: 1500 },
            { consistency: undefined, minRevision: undefined, timeout: undefined },
            { consistency: "lease", minRevision: undefined, timeout: 60_000 }
          ])
        }),
      {
        replaced: {
          get: (key, options) => {
            seen.push(options)
            return fakeService(store).get(key, options)
          }
        }
      }
    )
  })

  it.live("a missing key is 404 with its key and the revision at which it was absent", () =>
    serving(({ ask, store }) =>
      Effect.gen(function*() {
        store.put("other", "v", store.next())
        const reply = yield* ask("GET /v1/kv/absent")
        assertProblem(reply, 404, "KeyNotFound", null)
        assert.include(reply.body, '"key":"absent","revision":"1"')
        assert.strictEqual(reply.headers.get("distkv-revision"), "1")
      })
    ))

  it.live("a key that JSON must escape is told escaped in a failure", () =>
    serving(
      ({ ask }) => Effect.map(ask("GET /v1/kv/x"), (reply) => assertProblem(reply, 404, "KeyNotFound", null)),
      {
        replaced: { get: () => Effect.fail(new KeyNotFound({ key: '"\u2028\0', revision: 0 as Entry["modRevision"] })) }
      }
    ))
})
