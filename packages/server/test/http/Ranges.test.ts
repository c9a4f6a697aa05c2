import { type DeleteRangeOptions, type ListOptions } from "@distkv/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { ListJson } from "../../src/http/Wire.ts"
import { fakeService, FakeStore } from "./FakeDistKv.ts"
import { assertProblem, jsonOf, serving } from "./Harness.ts"
import type { RawReply } from "./RawClient.ts"

const pageOf = (reply: RawReply) => {
  assert.strictEqual(reply.status, 200, reply.body.slice(0, 500))
  return Schema.decodeUnknownSync(Schema.fromJsonString(ListJson))(Buffer.from(reply.body, "latin1").toString("utf8"))
}

const filled = (store: FakeStore, keys: ReadonlyArray<string>) => {
  for (const key of keys) store.put(key, `value of ${key}`, store.next())
}

describe("lists", () => {
  it.live("a page has its entries, its revision and whether more follow", () =>
    serving(({ ask, store }) =>
      Effect.gen(function*() {
        filled(store, ["b", "a", "€", "ab"])
        const reply = yield* ask("GET /v1/kv?limit=2")
        assert.deepStrictEqual(jsonOf(reply), {
          revision: "4",
          entries: [
            { key: "a", value: "dmFsdWUgb2YgYQ==", createRevision: "2", modRevision: "2", version: 1, lease: null },
            { key: "ab", value: "dmFsdWUgb2YgYWI=", createRevision: "4", modRevision: "4", version: 1, lease: null }
          ],
          more: true
        })
        assert.strictEqual(reply.headers.get("distkv-consistency"), "linearizable")
        assert.strictEqual(reply.headers.get("distkv-revision"), "4")
        assert.strictEqual(reply.headers.get("cache-control"), "no-cache")
        const rest = pageOf(yield* ask("GET /v1/kv?after=ab"))
        assert.deepStrictEqual(rest.entries.map((entry) => entry.key as string), ["b", "€"])
        assert.isFalse(rest.more)
      })
    ))

  it.live("every option reaches the store as it was meant, form-decoded", () => {
    const seen: Array<ListOptions | undefined> = []
    const service = fakeService(new FakeStore())
    return serving(
      ({ ask }) =>
        Effect.gen(function*() {
          for (
            const query of [
              "",
              "?prefix=a%2Fb+c%2B&limit=7&keysOnly=true&reverse=false&after=z",
              "?from=a&to=%E2%82%AC&reverse=true&consistency=stale&minRevision=12&timeout=250ms",
              "?prefix="
            ]
          ) {
            assert.strictEqual((yield* ask(`GET /v1/kv${query}`)).status, 200, query)
          }
          assert.deepStrictEqual(seen, [
            {},
            { prefix: "a/b c+", limit: 7, keysOnly: true, reverse: false, after: "z" },
            { from: "a", to: "€", reverse: true, consistency: "stale", minRevision: 12, timeout: 250 },
            { prefix: "" }
          ])
        }),
      {
        replaced: {
          list: (options) => {
            seen.push(options)
            return service.list(options)
          }
        }
      }
    )
  })

  it.live("HEAD on a list has its headers and no body", () =>
    serving(({ ask, store }) =>
      Effect.gen(function*() {
        filled(store, ["a"])
        const head = yield* ask("HEAD /v1/kv")
        const got = yield* ask("GET /v1/kv")
        assert.strictEqual(head.status, 200)
        assert.strictEqual(head.body, "")
        assert.strictEqual(head.headers.get("content-length"), got.headers.get("content-length"))
      })
    ))

  it.live("unknown, repeated, malformed and contradicting parameters are 400", () =>
    serving(({ ask }) =>
      Effect.gen(function*() {
        for (
          const query of [
            "unknown=1",
            "prefix=a&from=b",
            "prefix=a&to=b",
            "limit=0",
            "limit=10001",
            "limit=1000000000",
            "limit=1e3",
            "limit=-1",
            "limit=",
            "limit=1&limit=2",
            "keysOnly=1",
            "keysOnly",
            "reverse=yes",
            "consistency=strong",
            "minRevision=x",
            "minRevision=0x10",
            "timeout=1h",
            "timeout=61s",
            "timeout=",
            "prefix=%ff",
            "prefix=%",
            "ttl=1",
            "__proto__=1",
            "constructor=1"
          ]
        ) {
          const reply = yield* ask(`GET /v1/kv?${query}`)
          assert.strictEqual(reply.status, 400, query)
          assertProblem(reply, 400, "InvalidRequest")
        }
      })
    ))

  it.live("ten thousand keys with large values are given in pages of at most 4 MiB, each once and in order (H06)", () =>
    serving(({ ask, store }) =>
      Effect.gen(function*() {
        const value = Buffer.alloc(1200, 7)
        const name = (i: number) => `key/${String(i).padStart(5, "0")}`
        for (let i = 0; i < 10_000; i++) store.put(name(i), value, store.next())
        const keys: Array<string> = []
        let pages = 0
        let after = ""
        for (let more = true; more;) {
          const page = pageOf(yield* ask(`GET /v1/kv?limit=10000&after=${encodeURIComponent(after)}`))
          for (const entry of page.entries) {
            assert.strictEqual(entry.value.length, 1200)
            keys.push(entry.key)
          }
          after = keys.at(-1) ?? ""
          more = page.more
          pages++
        }
        assert.deepStrictEqual(keys, Array.from({ length: 10_000 }, (_, i) => name(i)))
        assert.strictEqual(pages, 3)
      })
    ))
})

describe("range deletes", () => {
  it.live("a prefix, a range or everything is deleted at one revision", () =>
    serving(({ ask, store }) =>
      Effect.gen(function*() {
        filled(store, ["a1", "a2", "b1", "c1", "d1"])
        assert.deepStrictEqual(jsonOf(yield* ask("DELETE /v1/kv?prefix=a")), { revision: "6", deleted: 2 })
        assert.deepStrictEqual(jsonOf(yield* ask("DELETE /v1/kv?from=b&to=c1")), { revision: "7", deleted: 1 })
        assert.deepStrictEqual(jsonOf(yield* ask("DELETE /v1/kv?prefix=x")), { revision: "7", deleted: 0 })
        assert.deepStrictEqual(jsonOf(yield* ask("DELETE /v1/kv?all=true")), { revision: "8", deleted: 2 })
        assert.strictEqual(store.entries.size, 0)
      })
    ))

  it.live("without one clear choice it is 400 and nothing is deleted", () =>
    serving(({ ask, store }) =>
      Effect.gen(function*() {
        filled(store, ["a"])
        for (
          const query of [
            "",
            "?",
            "?prefix=",
            "?all=false",
            "?all=",
            "?all",
            "?all=true&prefix=a",
            "?prefix=a&from=b",
            "?from=",
            "?to=",
            "?from=a&to=",
            "?timeout=1s",
            "?limit=1",
            "?all=true&consistency=stale",
            "?prefix=a&ttl=1"
          ]
        ) {
          const reply = yield* ask(`DELETE /v1/kv${query}`)
          assert.strictEqual(reply.status, 400, query)
          assertProblem(reply, 400, "InvalidRequest")
        }
        assert.strictEqual(store.commands, 0)
        assert.strictEqual(store.entries.size, 1)
      })
    ))

  it.live("the choice reaches the store as it was meant", () => {
    const seen: Array<DeleteRangeOptions> = []
    const service = fakeService(new FakeStore())
    return serving(
      ({ ask }) =>
        Effect.gen(function*() {
          for (const query of ["prefix=a%26+b", "from=a", "to=%C3%A4&timeout=2s", "all=true"]) {
            assert.strictEqual((yield* ask(`DELETE /v1/kv?${query}`)).status, 200, query)
          }
          assert.deepStrictEqual(seen, [{ prefix: "a& b" }, { from: "a" }, { to: "ä", timeout: 2000 }, { all: true }])
        }),
      {
        replaced: {
          deleteRange: (options) => {
            seen.push(options)
            return service.deleteRange(options)
          }
        }
      }
    )
  })
})
