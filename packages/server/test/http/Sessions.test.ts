import { OutcomeUnknown } from "@distkv/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { DistKvClient } from "../../src/client.ts"
import { fakeService, FakeStore } from "./FakeDistKv.ts"
import { type Ask, assertProblem, jsonOf, onNode, serving } from "./Harness.ts"

const sessionOf = (ask: Ask) =>
  Effect.map(ask("POST /v1/sessions"), (reply) => {
    const { session } = jsonOf(reply)
    return typeof session === "string" ? session : assert.fail("a session is a decimal string")
  })

describe("a write with an Idempotency-Key", () => {
  it.live("gives its first result again, whatever has happened since (CS20)", () =>
    onNode((ask) =>
      Effect.gen(function*() {
        const session = yield* sessionOf(ask)
        const key = (number: number) => [`Idempotency-Key: ${session}:${number}`]
        const first = yield* ask("PUT /v1/kv/k?previous=true", key(1), "one")
        assert.deepStrictEqual(jsonOf(first), { revision: "1", created: true, previous: null })
        jsonOf(yield* ask("PUT /v1/kv/k?previous=true", key(2), "two"))
        jsonOf(yield* ask("PUT /v1/kv/k", [], "three"))
        for (let i = 0; i < 2; i++) {
          assert.deepStrictEqual(jsonOf(yield* ask("PUT /v1/kv/k?previous=true", key(1), "one")), jsonOf(first))
          const { previous, revision } = jsonOf(yield* ask("PUT /v1/kv/k?previous=true", key(2), "two"))
          assert.deepInclude(previous, { value: "b25l", modRevision: "1" })
          assert.strictEqual(revision, "2")
        }
        assert.strictEqual((yield* ask("GET /v1/kv/k")).body, "three")
        const failed = yield* ask("PUT /v1/kv/k", [...key(3), 'If-Match: "1"'], "four")
        assertProblem(failed, 412, "CompareFailed")
        jsonOf(yield* ask("DELETE /v1/kv/k", key(4)))
        const again = yield* ask("PUT /v1/kv/k", [...key(3), 'If-Match: "1"'], "four")
        assert.strictEqual(again.body, failed.body)
        assert.deepStrictEqual(jsonOf(yield* ask("DELETE /v1/kv/k", key(4))), { revision: "4", deleted: true })
        for (let i = 0; i < 2; i++) {
          assert.strictEqual((yield* ask("POST /key", key(5), '{"a":"1","b":"2"}')).status, 200)
          assert.deepStrictEqual(jsonOf(yield* ask("DELETE /v1/kv?prefix=a", key(6))), { revision: "6", deleted: 1 })
          assert.strictEqual((yield* ask("DELETE /key/b", key(7))).status, 200)
        }
        assert.strictEqual((yield* ask("GET /v1/kv")).headers.get("distkv-revision"), "7")
      })
    ))

  it.live("is 409 with another command, and 410 where session or number are not remembered", () =>
    onNode((ask) =>
      Effect.gen(function*() {
        const session = yield* sessionOf(ask)
        const put = (number: number | string, body: string, of = session) =>
          ask("PUT /v1/kv/k", [`Idempotency-Key: ${of}:${number}`], body)
        jsonOf(yield* put(1, "one"))
        assertProblem(yield* put(1, "other"), 409, "InvalidRequest")
        assertProblem(yield* ask("DELETE /v1/kv/k", [`Idempotency-Key: ${session}:1`]), 409, "InvalidRequest")
        jsonOf(yield* put(1024, "two"))
        jsonOf(yield* put(1, "one"))
        jsonOf(yield* put(1025, "three"))
        const gone = yield* put(1, "one")
        assertProblem(gone, 410, "SessionExpired", "unknown")
        assert.include(gone.body, `"session":"${session}","sequence":"1"`)
        assertProblem(yield* put(1, "one", "123456"), 410, "SessionExpired", "unknown")
        // An odd one is a member's own.
        assertProblem(yield* put(1, "one", "7"), 400, "InvalidRequest")
        assert.strictEqual((yield* ask("GET /v1/kv/k")).body, "three")
      })
    ))

  it.live("can be asked for its outcome, which is final", () =>
    onNode((ask) =>
      Effect.gen(function*() {
        const session = yield* sessionOf(ask)
        const put = (number: number) => ask("PUT /v1/kv/k", [`Idempotency-Key: ${session}:${number}`], "v")
        const outcome = (number: number, of = session) =>
          ask(`GET /v1/cluster/outcome?session=${of}&sequence=${number}`)
        jsonOf(yield* put(1))
        assert.deepStrictEqual(jsonOf(yield* outcome(1)), { outcome: "applied", revision: "1", created: true })
        assert.deepStrictEqual(jsonOf(yield* outcome(2)), { outcome: "notApplied", revision: "1" })
        assertProblem(yield* put(2), 409, "InvalidRequest")
        yield* ask("PUT /v1/kv/k", [`Idempotency-Key: ${session}:3`, "If-None-Match: *"], "w")
        assert.deepStrictEqual(jsonOf(yield* outcome(3)), {
          outcome: "refused",
          revision: "1",
          reason: "CompareFailed"
        })
        assertProblem(yield* outcome(1, "98"), 410, "SessionExpired", "unknown")
        for (const query of ["", "?session=2", "?sequence=1", "?session=x&sequence=1", "?session=2&sequence=0&x=1"]) {
          assert.strictEqual((yield* ask(`GET /v1/cluster/outcome${query}`)).status, 400, query)
        }
        assert.include((yield* ask("GET /metrics")).body, "distkv_sessions 1\n")
      })
    ))
})

describe("a client", () => {
  it.live("offers sessions, and gives a key along with every kind of write", () =>
    onNode((_, client) =>
      Effect.gen(function*() {
        const { session } = yield* client.openSession()
        const idempotencyKey = (sequence: number) => ({ idempotencyKey: { session, sequence } })
        for (let i = 0; i < 2; i++) {
          assert.strictEqual((yield* client.set("k", "v", idempotencyKey(1))).revision, 1)
          assert.isTrue((yield* client.delete("k", idempotencyKey(2))).deleted)
          assert.strictEqual((yield* client.deleteRange({ all: true, ...idempotencyKey(3) })).deleted, 0)
        }
        assert.deepStrictEqual(
          [yield* client.outcome(session, 2), yield* client.outcome(session, "4")].map(({ _tag }) => _tag),
          ["Applied", "NotApplied"]
        )
        const reused = yield* Effect.flip(client.set("k", "w", idempotencyKey(1)))
        assert.deepInclude(reused, { _tag: "InvalidRequest", reused: true })
        const expired = yield* Effect.flip(client.set("k", "w", { idempotencyKey: { session: "4242", sequence: 9 } }))
        assert.deepInclude(expired, { _tag: "SessionExpired", session: "4242", sequence: "9" })
      })
    ))

  it.live("sends a write with a key again, to another node, where its reply is lost; without one it does not", () =>
    Effect.gen(function*() {
      const store = new FakeStore()
      const { set } = fakeService(store)
      const unknown = new OutcomeUnknown({ message: "lost" })
      const replaced = { set: () => Effect.fail(unknown) }
      yield* serving((lost) =>
        serving((well) =>
          Effect.gen(function*() {
            const client = yield* DistKvClient.make({ endpoints: [lost.url, well.url] })
            const idempotencyKey = { session: "14", sequence: 1 }
            assert.isTrue((yield* client.set("k", "v", { idempotencyKey })).created)
            const other = yield* DistKvClient.make({ endpoints: [lost.url, well.url] })
            assert.strictEqual((yield* Effect.flip(other.set("k", "v")))._tag, "OutcomeUnknown")
            const closed = "http://127.0.0.1:1"
            const last = yield* DistKvClient.make({ endpoints: [lost.url, closed] })
            assert.strictEqual((yield* Effect.flip(last.set("k", "v", { idempotencyKey })))._tag, "OutcomeUnknown")
          }), { replaced: { set } }), { replaced })
    }))
})
