import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { assertProblem, serving } from "./Harness.ts"

const utf8 = (text: string) => Buffer.from(text, "utf8")

describe("/key, as in the original example", () => {
  it.live("sets several keys in one command, whatever the content type, and reads and deletes them", () =>
    serving(({ ask, store }) =>
      Effect.gen(function*() {
        const types = [[], ["Content-Type: text/plain"], ["Content-Type: application/x-www-form-urlencoded"]]
        for (const headers of types) {
          const set = yield* ask("POST /key", headers, utf8('{"a":"1","ä/b":"€"}'))
          assert.strictEqual(set.status, 200)
          assert.strictEqual(set.body, "")
        }
        assert.strictEqual(store.commands, 3)
        const got = yield* ask("GET /key/%C3%A4%2Fb")
        assert.strictEqual(utf8('{"ä/b":"€"}').toString("latin1"), got.body)
        assert.strictEqual(got.headers.get("content-type"), "application/json")
        assert.strictEqual(got.headers.get("x-content-type-options"), "nosniff")
        assert.strictEqual((yield* ask("DELETE /key/a")).status, 200)
        assert.strictEqual((yield* ask("DELETE /key/a")).status, 200, "also when absent")
        assertProblem(yield* ask("GET /key/a"), 404, "KeyNotFound", null)
        assert.strictEqual((yield* ask("HEAD /key/%C3%A4%2Fb")).status, 200)
      })
    ))

  it.live("an empty object sets nothing, and is no command", () =>
    serving(({ ask, store }) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* ask("POST /key", [], "{}")).status, 200)
        assert.strictEqual(store.commands, 0)
      })
    ))

  it.live("__proto__ and its like are keys as any other", () =>
    serving(({ ask, store }) =>
      Effect.gen(function*() {
        yield* ask("POST /key", [], '{"__proto__":"p","constructor":"c","toString":"t"}')
        assert.deepStrictEqual([...store.entries.keys()], ["__proto__", "constructor", "toString"])
        assert.strictEqual((yield* ask("GET /key/__proto__")).body, '{"__proto__":"p"}')
        assertProblem(yield* ask("POST /key", [], '{"a":{"__proto__":"x"}}'), 400, "InvalidRequest")
        assert.isFalse("x" in {})
      })
    ))

  it.live("bytes that are not UTF-8 are shown with U+FFFD, a byte order mark as it is", () =>
    serving(({ ask, store }) =>
      Effect.gen(function*() {
        store.put("b", Uint8Array.of(0x61, 0xff, 0x62), store.next())
        assert.strictEqual((yield* ask("GET /key/b")).body, utf8('{"b":"a\uFFFDb"}').toString("latin1"))
        store.put("b", Uint8Array.of(0xef, 0xbb, 0xbf, 0x61), store.next())
        assert.strictEqual((yield* ask("GET /key/b")).body, utf8('{"b":"\uFEFFa"}').toString("latin1"))
      })
    ))

  it.live("a path of other than one segment is 400", () =>
    serving(({ ask, store }) =>
      Effect.gen(function*() {
        for (
          const line of [
            "GET /key",
            "GET /key/",
            "GET /key/a/b",
            "GET /key/a/",
            "GET /key//a",
            "DELETE /key",
            "DELETE /key/",
            "DELETE /key/a/b",
            "POST /key/",
            "POST /key/a",
            "GET /key/%",
            "GET /key/%FF",
            `GET /key/${"k".repeat(1025)}`,
            "GET /key/a?x=1"
          ]
        ) {
          const reply = yield* ask(line, [], line.startsWith("POST") ? '{"a":"b"}' : "")
          assert.strictEqual(reply.status, 400, line)
          assertProblem(reply, 400, "InvalidRequest")
        }
        assert.strictEqual(store.commands, 0)
      })
    ))

  it.live("a body that is not an object of strings is 400", () =>
    serving(({ ask, store }) =>
      Effect.gen(function*() {
        const bodies = [
          "",
          "{",
          "null",
          "[]",
          '"a"',
          '["a","b"]',
          '{"a":1}',
          '{"a":null}',
          '{"a":["b"]}',
          '{"a":"b",}',
          '{"":"v"}',
          '{"a":"\\ud800"}',
          '{"\\udfff":"v"}',
          "a=b",
          "[".repeat(200_000),
          `${"[".repeat(200_000)}${"]".repeat(200_000)}`,
          `{"a":${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}}`
        ]
        for (const body of bodies) {
          const reply = yield* ask("POST /key", [], body)
          assert.strictEqual(reply.status, 400, body.slice(0, 40))
          assertProblem(reply, 400, "InvalidRequest")
        }
        assertProblem(yield* ask("POST /key", [], Uint8Array.of(0x7b, 0xff, 0x7d)), 400, "InvalidRequest")
        assert.strictEqual(store.commands, 0)
      })
    ))

  it.live("one over the limits is 413", () =>
    serving(({ ask, store }) =>
      Effect.gen(function*() {
        const many = (count: number) =>
          JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, "v"])))
        assert.strictEqual((yield* ask("POST /key", [], many(128))).status, 200)
        for (
          const body of [
            many(129),
            JSON.stringify({ a: "x".repeat(1024 * 1024 + 1) }),
            JSON.stringify({ ["k".repeat(1025)]: "v" }),
            `{"a":"b"}${" ".repeat(4 * 1024 * 1024)}`
          ]
        ) {
          assertProblem(yield* ask("POST /key", [], body), 413, "InvalidRequest")
        }
        assert.strictEqual((yield* ask("POST /key", [], JSON.stringify({ a: "x".repeat(1024 * 1024) }))).status, 200)
        assert.strictEqual(store.commands, 2)
      })
    ))
})
