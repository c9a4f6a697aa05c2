import { CompareFailed, type Entry } from "@distkv/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { fakeService, FakeStore } from "./FakeDistKv.ts"
import { assertProblem, entryJson, jsonOf, serving } from "./Harness.ts"

describe("conditional writes", () => {
  it.live("PUT answers with the revision, whether it created, and on demand the entry it replaced", () =>
    serving(({ ask }) =>
      Effect.gen(function*() {
        const first = yield* ask("PUT /v1/kv/k?previous=true", ["Content-Type: text/plain"], "one")
        assert.deepStrictEqual(jsonOf(first), { revision: "1", created: true, previous: null })
        assert.strictEqual(first.headers.get("etag"), '"1"')
        assert.strictEqual(first.headers.get("distkv-revision"), "1")
        const second = yield* ask("PUT /v1/kv/k?previous=true", [], "two")
        assert.deepStrictEqual(jsonOf(second), { revision: "2", created: false, previous: entryJson("one", "1", 1) })
        const third = yield* ask("PUT /v1/kv/k?previous=false")
        assert.deepStrictEqual(jsonOf(third), { revision: "3", created: false })
        assert.strictEqual((yield* ask("GET /v1/kv/k")).body, "", "an empty body is an empty value")
      })
    ))

  // scenario: H05
  it.live("If-Match compares and sets; a failed one is 412 with the current entry or null", () =>
    serving(({ ask, store }) =>
      Effect.gen(function*() {
        const absent = yield* ask("PUT /v1/kv/k", ['If-Match: "1"'], "v")
        assertProblem(absent, 412, "CompareFailed")
        assert.include(absent.body, '"current":null')
        assert.strictEqual((yield* ask("PUT /v1/kv/k", [], "one")).status, 200)
        const stale = yield* ask("PUT /v1/kv/k", ['If-Match: "7"'], "v")
        assertProblem(stale, 412, "CompareFailed")
        assert.include(stale.body, `"current":${JSON.stringify(entryJson("one", "1", 1))}`)
        assert.strictEqual((yield* ask("PUT /v1/kv/k", ['If-Match: "1"'], "two")).status, 200)
        assert.strictEqual(store.commands, 4)
      })
    ))

  it.live("a tag that no entry can have never matches, creates nothing and enters no log (H05)", () =>
    serving(({ ask, store }) =>
      Effect.gen(function*() {
        for (const tag of ['"0"', '"00"', '"01"', '"9007199254740993"', '"123456789012345678901234567890"']) {
          assertProblem(yield* ask("PUT /v1/kv/k", [`If-Match: ${tag}`], "v"), 412, "CompareFailed")
          assertProblem(yield* ask("DELETE /v1/kv/k", [`If-Match: ${tag}`]), 412, "CompareFailed")
        }
        store.put("k", "v", store.next())
        const present = yield* ask("PUT /v1/kv/k", ['If-Match: "01"'], "w")
        assertProblem(present, 412, "CompareFailed")
        assert.include(present.body, `"current":${JSON.stringify(entryJson("v", "1", 1))}`)
        assert.strictEqual(store.commands, 0)
      })
    ))

  it.live("If-None-Match: * creates only", () =>
    serving(({ ask }) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* ask("PUT /v1/kv/k", ["If-None-Match: *"], "v")).status, 200)
        assertProblem(yield* ask("PUT /v1/kv/k", ["If-None-Match: *"], "w"), 412, "CompareFailed")
        assert.strictEqual((yield* ask("GET /v1/kv/k")).body, "v")
      })
    ))

  it.live("If-Match: * writes and deletes only what is present", () =>
    serving(({ ask }) =>
      Effect.gen(function*() {
        assertProblem(yield* ask("PUT /v1/kv/k", ["If-Match: *"], "v"), 412, "CompareFailed")
        assertProblem(yield* ask("DELETE /v1/kv/k", ["If-Match: *"]), 412, "CompareFailed")
        yield* ask("PUT /v1/kv/k", [], "v")
        assert.strictEqual((yield* ask("PUT /v1/kv/k", ["If-Match: *"], "w")).status, 200)
        assert.strictEqual((yield* ask("GET /v1/kv/k")).body, "w")
        assert.deepStrictEqual(jsonOf(yield* ask("DELETE /v1/kv/k", ["If-Match: *"])).deleted, true)
      })
    ))

  it.live("If-Match: * goes on when another write comes between, and fails when a delete does", () => {
    const store = new FakeStore()
    const service = fakeService(store)
    let rivals: Array<() => void> = [() => void store.put("k", "rival", store.next())]
    return serving(
      ({ ask }) =>
        Effect.gen(function*() {
          store.put("k", "v", store.next())
          assert.strictEqual((yield* ask("PUT /v1/kv/k", ["If-Match: *"], "won")).status, 200)
          assert.strictEqual(store.entries.get("k")?.version, 3)
          rivals = [() => void store.entries.delete("k")]
          assertProblem(yield* ask("PUT /v1/kv/k", ["If-Match: *"], "lost"), 412, "CompareFailed")
          assert.isFalse(store.entries.has("k"))
        }),
      {
        replaced: {
          ...service,
          set: (key, value, options) =>
            Effect.suspend(() => {
              rivals.pop()?.()
              return service.set(key, value, options)
            })
        }
      }
    )
  })

  it.live("DELETE answers whether there was something, and honours If-Match (H05)", () =>
    serving(({ ask }) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(jsonOf(yield* ask("DELETE /v1/kv/k")), { revision: "0", deleted: false })
        yield* ask("PUT /v1/kv/k", [], "v")
        assertProblem(yield* ask("DELETE /v1/kv/k", ['If-Match: "2"']), 412, "CompareFailed")
        assert.deepStrictEqual(jsonOf(yield* ask("DELETE /v1/kv/k", ['If-Match: "1"'])), {
          revision: "2",
          deleted: true
        })
        assertProblem(yield* ask("DELETE /v1/kv/k", ['If-Match: "1"']), 412, "CompareFailed")
      })
    ))

  // fails-with: ignores-strange-preconditions
  it.live("weak tags, lists, other text and contradictions are 400 and reach no store (H05)", () =>
    serving(({ ask, store }) =>
      Effect.gen(function*() {
        const tags = ['W/"1"', '"1", "2"', "1", '"a"', '""', '"-1"', '"1', "**", '"1.0"', '" 1"']
        for (const tag of tags) {
          for (const line of ["PUT /v1/kv/k", "DELETE /v1/kv/k", "GET /v1/kv/k"]) {
            assertProblem(yield* ask(line, [`If-Match: ${tag}`]), 400, "InvalidRequest")
            assertProblem(yield* ask(line, [`If-None-Match: ${tag}`]), 400, "InvalidRequest")
          }
        }
        const contradictions: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
          ["PUT /v1/kv/k", ['If-Match: "1"', "If-None-Match: *"]],
          ["PUT /v1/kv/k", ['If-None-Match: "1"']],
          ["PUT /v1/kv/k", ['If-Match: "1"', 'If-Match: "2"']],
          ["PUT /v1/kv/k", ["Content-Range: bytes 0-1/2"]],
          ["DELETE /v1/kv/k", ["If-None-Match: *"]],
          ["GET /v1/kv/k", ['If-Match: "1"']],
          ["DELETE /v1/kv?all=true", ['If-Match: "1"']],
          ["DELETE /v1/kv?prefix=a", ["If-None-Match: *"]],
          ["GET /v1/kv", ['If-None-Match: "1"']],
          ["DELETE /key/k", ['If-Match: "1"']],
          ["POST /v1/cluster/transfer", ["If-Match: *"]]
        ]
        for (const [line, headers] of contradictions) {
          assertProblem(yield* ask(line, headers), 400, "InvalidRequest")
        }
        assert.strictEqual(store.commands, 0)
      })
    ))

  it.live("a failed guard carries the current value up to 64 KiB, and only its revisions beyond", () =>
    serving(({ ask, store }) =>
      Effect.gen(function*() {
        store.put("k", new Uint8Array(64 * 1024), store.next())
        const whole = yield* ask("PUT /v1/kv/k", ["If-None-Match: *"], "v")
        assertProblem(whole, 412, "CompareFailed")
        assert.isAbove(whole.body.length, 64 * 1024)
        store.put("k", new Uint8Array(64 * 1024 + 1), store.next())
        const without = yield* ask("PUT /v1/kv/k", ["If-None-Match: *"], "v")
        assertProblem(without, 412, "CompareFailed")
        assert.include(without.body, '"current":{"key":"k","value":null,"createRevision":"1","modRevision":"2"')
      })
    ))

  it.live("unknown, repeated and malformed parameters are 400, each method knowing its own", () =>
    serving(({ ask, store }) =>
      Effect.gen(function*() {
        for (
          const line of [
            "GET /v1/kv/k?unknown=1",
            "GET /v1/kv/k?previous=true",
            "GET /v1/kv/k?consistency=strong",
            "GET /v1/kv/k?consistency=",
            "GET /v1/kv/k?minRevision=-1",
            "GET /v1/kv/k?minRevision=1e3",
            "GET /v1/kv/k?minRevision=9007199254740993",
            "GET /v1/kv/k?timeout=5",
            "GET /v1/kv/k?timeout=0s",
            "GET /v1/kv/k?timeout=61s",
            "GET /v1/kv/k?timeout=2m",
            "GET /v1/kv/k?timeout=-5s",
            "GET /v1/kv/k?timeout=Infinitys",
            "GET /v1/kv/k?timeout=1s&timeout=1s",
            "GET /v1/kv/k?%ff=1",
            "GET /v1/kv/k?__proto__=1",
            "PUT /v1/kv/k?ttl=5s",
            "PUT /v1/kv/k?lease=1",
            "PUT /v1/kv/k?previous=1",
            "PUT /v1/kv/k?consistency=stale",
            "DELETE /v1/kv/k?previous=true"
          ]
        ) {
          const reply = yield* ask(line)
          assert.strictEqual(reply.status, 400, line)
          assertProblem(reply, 400, "InvalidRequest")
        }
        for (
          const line of ["GET /v1/kv/k", "HEAD /v1/kv/k", "GET /v1/kv", "GET /livez", "GET /key/k", "POST /v1/sessions"]
        ) {
          assert.strictEqual((yield* ask(line, ["Idempotency-Key: 2:1"])).status, 400, line)
        }
        for (
          const key of ["", "2", "2:", ":1", "02:1", "2:0", "-2:1", "2:1:1", "a:b", "2:1, 2:2", "2:12345678901234567"]
        ) {
          for (
            const line of ["PUT /v1/kv/k", "DELETE /v1/kv/k", "DELETE /v1/kv?all=true", "POST /key", "DELETE /key/k"]
          ) {
            assertProblem(yield* ask(line, [`Idempotency-Key: ${key}`]), 400, "InvalidRequest")
          }
        }
        // Such a put is several commands, and one key cannot stand for them.
        assertProblem(yield* ask("PUT /v1/kv/k", ["Idempotency-Key: 2:1", "If-Match: *"]), 400, "InvalidRequest")
        assert.strictEqual(store.commands, 0)
      })
    ))

  it.live("an encoded value is 415, since it would be stored as it is", () =>
    serving(({ ask, store }) =>
      Effect.gen(function*() {
        assertProblem(yield* ask("PUT /v1/kv/k", ["Content-Encoding: gzip"], "x"), 415, "InvalidRequest")
        assert.strictEqual((yield* ask("PUT /v1/kv/k", ["Content-Encoding: identity"], "x")).status, 200)
        assert.strictEqual(store.commands, 1)
      })
    ))

  it.live("CompareFailed of the service is answered even where its entry has a lease", () =>
    serving(
      ({ ask }) =>
        Effect.map(ask("PUT /v1/kv/k", ['If-Match: "1"'], "v"), (reply) => {
          assertProblem(reply, 412, "CompareFailed")
          assert.include(reply.body, '"lease":"5"')
        }),
      {
        replaced: {
          set: () => {
            const store = new FakeStore()
            store.put("k", "v", store.next())
            const entry = store.sorted[0]
            return Effect.fail(
              new CompareFailed({
                current: entry === undefined ? null : { ...entry, leaseId: 5 as Entry["modRevision"] },
                revision: store.revision
              })
            )
          }
        }
      }
    ))
})
