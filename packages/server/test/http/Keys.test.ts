import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { assertProblem, jsonOf, serving } from "./Harness.ts"

/** Request targets, and the one key that each means. */
const keys: ReadonlyArray<readonly [target: string, key: string]> = [
  ["/v1/kv/plain", "plain"],
  ["/v1/kv/a%2Fb", "a/b"],
  ["/v1/kv/a/b", "a/b"],
  ["/v1/kv/a%2fb%2F", "a/b/"],
  ["/v1/kv/a//b", "a//b"],
  ["/v1/kv//", "/"],
  ["/v1/kv//a", "/a"],
  ["/v1/kv/a/", "a/"],
  ["/v1/kv/a+b", "a+b"],
  ["/v1/kv/a%2Bb", "a+b"],
  ["/v1/kv/a%20b", "a b"],
  ["/v1/kv/a;b=c", "a;b=c"],
  ["/v1/kv/a%3Bb", "a;b"],
  ["/v1/kv/.", "."],
  ["/v1/kv/..", ".."],
  ["/v1/kv/%2E%2e", ".."],
  ["/v1/kv/../v1/kv/x", "../v1/kv/x"],
  ["/v1/kv/a/./b/../c", "a/./b/../c"],
  ["/v1/kv/%2525", "%25"],
  ["/v1/kv/%00", "\0"],
  ["/v1/kv/%E2%82%AC", "€"],
  ["/v1/kv/%F0%9F%98%80", "😀"],
  ["/v1/kv/%EF%BB%BFbom", "\uFEFFbom"],
  ["/v1/kv/UPPER", "UPPER"],
  ["/v1/kv/a:b@c,d=e&f$g!h*i'(j)~", "a:b@c,d=e&f$g!h*i'(j)~"],
  ["/v1/kv/a%3Fb", "a?b"],
  ["/v1/kv/a%23b", "a#b"],
  [`/v1/kv/${"k".repeat(1024)}`, "k".repeat(1024)],
  [`/v1/kv/${"%E2%82%AC".repeat(341)}`, "€".repeat(341)],
  ["/v1/kv/__proto__", "__proto__"],
  ["/v1/kv/constructor", "constructor"],
  ["/v1/kv?key=a%2Fb", "a/b"],
  ["/v1/kv?key=a/b", "a/b"],
  ["/v1/kv?key=a+b", "a b"],
  ["/v1/kv?key=a%2Bb", "a+b"],
  ["/v1/kv?key=..", ".."],
  ["/v1/kv?key=a%26b%3Dc", "a&b=c"],
  ["/v1/kv?key=a=b", "a=b"],
  ["/v1/kv?timeout=1s&key=%F0%9F%98%80", "😀"],
  ["/v1/kv?ke%79=escaped-name", "escaped-name"]
]

/** Targets that mean no key. */
const refused: ReadonlyArray<readonly [target: string, why: string]> = [
  ["/v1/kv/", "an empty key"],
  ["/v1/kv/?limit=3", "an empty key with a parameter of the list"],
  ["/v1/kv/%", "a lone percent sign"],
  ["/v1/kv/a%2", "half an escape"],
  ["/v1/kv/a%2G", "an escape that is not hexadecimal"],
  ["/v1/kv/%FF", "a byte that is not UTF-8"],
  ["/v1/kv/%C0%AF", "an overlong slash"],
  ["/v1/kv/%ED%A0%80", "a surrogate"],
  ["/v1/kv/%E2%82", "half a character"],
  [`/v1/kv/${"k".repeat(1025)}`, "1,025 bytes"],
  [`/v1/kv/${"%E2%82%AC".repeat(342)}`, "1,026 bytes in 342 characters"],
  ["/v1/kv?key=", "an empty key in the query"],
  ["/v1/kv?key", "a key without a value"],
  ["/v1/kv?key=a&key=b", "two keys"],
  ["/v1/kv?key=%zz", "a bad escape in the query"],
  ["/v1/kv?key=%FF", "invalid UTF-8 in the query"],
  [`/v1/kv?key=${"k".repeat(1025)}`, "1,025 bytes in the query"],
  ["/v1/kv?key=a&prefix=b", "a key and a prefix"],
  ["/v1/kv/a?key=b", "two places for a key"]
]

describe("keys in request targets", () => {
  it.live("a value written under a target is stored under exactly the key that the target means", () =>
    serving(({ ask, store }) =>
      Effect.gen(function*() {
        for (const [target, key] of keys) {
          store.entries.clear()
          const put = yield* ask(`PUT ${target}`, [], "v")
          assert.strictEqual(put.status, 200, `${target}: ${put.body}`)
          assert.deepStrictEqual([...store.entries.keys()], [key], target)
          const got = yield* ask(`GET ${target}`, ["Accept: application/json"])
          assert.strictEqual(jsonOf(got).key, key, target)
          const deleted = yield* ask(`DELETE ${target}`)
          assert.deepStrictEqual(jsonOf(deleted).deleted, true, target)
          assert.strictEqual(store.entries.size, 0, target)
        }
      })
    ))

  it.live("a target that means no key is 400 for every method, and reaches no store", () =>
    serving(({ ask, store }) =>
      Effect.gen(function*() {
        for (const [target, why] of refused) {
          for (const method of ["GET", "PUT", "DELETE"]) {
            const reply = yield* ask(`${method} ${target}`, [], method === "PUT" ? "v" : "")
            assert.strictEqual(reply.status, 400, `${method} ${why}`)
            assertProblem(reply, 400, "InvalidRequest")
          }
          assert.strictEqual((yield* ask(`HEAD ${target}`)).status, 400, `HEAD ${why}`)
        }
        assert.strictEqual(store.commands, 0)
      })
    ))

  it.live("UTF-8 that a client left unescaped is refused, since a request target is ASCII", () =>
    serving(({ ask, store }) =>
      Effect.gen(function*() {
        for (const target of ["/v1/kv/straße", "/v1/kv?key=€", "/v1/kv/a b"]) {
          const raw = Buffer.from(target, "utf8").toString("latin1")
          assertProblem(yield* ask(`PUT ${raw}`, [], "v"), 400, "InvalidRequest")
        }
        assert.strictEqual(store.commands, 0)
      })
    ))

  it.live("an absolute request target is read like the path in it", () =>
    serving(({ ask, port, store }) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* ask(`PUT http://127.0.0.1:${port}/v1/kv/a;b`, [], "v")).status, 200)
        assert.deepStrictEqual([...store.entries.keys()], ["a;b"])
        assert.strictEqual((yield* ask(`GET http://localhost:${port}/v1/cluster`)).status, 200)
        assertProblem(yield* ask(`GET http://evil.example/v1/kv/a`), 403, "Forbidden")
        assertProblem(yield* ask("OPTIONS *"), 400, "InvalidRequest")
      })
    ))

  it.live("other methods, paths and cases are no routes", () =>
    serving(({ ask, store }) =>
      Effect.gen(function*() {
        for (
          const line of [
            "POST /v1/kv/a",
            "PATCH /v1/kv/a",
            "POST /v1/kv",
            "PUT /v1/kv",
            "GET /V1/kv/a",
            "GET /v1/KV",
            "GET //v1/kv",
            "GET /v1/cluster/",
            "GET /",
            "GET /v1",
            "POST /v1/txn",
            "GET /v1/watch?prefix=a",
            "POST /v1/leases",
            "POST /v1/locks/a",
            "GET /v1/elections/a",
            "GET /v1/cluster/members/n1",
            "DELETE /v1/cluster/members/n1/",
            "DELETE /v1/cluster/members//n1",
            "POST /v1/cluster/members/n1",
            "POST /v1/cluster/members/n1/remove",
            "POST /v1/cluster/members/n1/Promote"
          ]
        ) {
          const body = /^(POST|PATCH|PUT) /.test(line) ? "{}" : ""
          const reply = yield* ask(line, ["Content-Type: application/json"], body)
          assert.strictEqual(reply.status, 404, line)
          assertProblem(reply, 404, "NotFound")
        }
        assert.strictEqual(store.commands, 0)
      })
    ))
})
