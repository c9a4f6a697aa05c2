import type { Key, Revision } from "@distkv/core"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { assertProblem, jsonOf, serving, untilMetric } from "./Harness.ts"
import { head, open, type RawConnection } from "./RawClient.ts"

describe("clients that go away (H08)", () => {
  const ways: ReadonlyArray<readonly [string, (connection: RawConnection) => Effect.Effect<void>]> = [
    ["closes", (connection) => Effect.sync(() => void connection.socket.destroy())],
    ["resets", (connection) => Effect.sync(() => void connection.socket.resetAndDestroy())],
    ["ends its side of", (connection) => Effect.sync(() => void connection.socket.end())],
    ["sends what is not HTTP on", (connection) => connection.send("\0\0\r\n\r\n")]
  ]
  for (const [how, leave] of ways) {
    // fails-with: counts-the-abandoned-as-answered
    it.live(`a client that ${how} its connection while its call waits interrupts it (H08)`, () =>
      Effect.gen(function*() {
        for (const line of ["GET /v1/kv/k", "PUT /v1/kv/k", "DELETE /v1/kv/k", "GET /v1/kv", "GET /key/k"]) {
          const begun = yield* Deferred.make<void>()
          const ended = yield* Deferred.make<void>()
          const wait = Deferred.succeed(begun, undefined).pipe(
            Effect.andThen(Effect.never),
            Effect.onInterrupt(() => Deferred.succeed(ended, undefined))
          )
          yield* serving(({ ask, port }) =>
            Effect.gen(function*() {
              const connection = yield* open(port)
              yield* connection.send(line.startsWith("PUT") ? head(line, ["Content-Length: 1"]) + "v" : head(line, []))
              yield* Deferred.await(begun)
              yield* leave(connection)
              yield* Deferred.await(ended)
              yield* connection.end
              assert.strictEqual(connection.text, "", "a call whose fate is open is not answered for another's fault")
              yield* untilMetric(port, "distkv_http_requests_in_flight", 1)
              assert.match((yield* ask("GET /metrics")).body, /outcome="aborted"} 1/)
            }), { replaced: { get: () => wait, set: () => wait, delete: () => wait, list: () => wait } })
        }
      }))
  }

  // fails-with: keeps-abandoned-bodies
  it.live("a client that leaves in the middle of its body causes no command and leaves nothing behind (H08)", () =>
    serving(({ ask, port, store }) =>
      Effect.gen(function*() {
        const whole = Buffer.from(head("PUT /v1/kv/k", ["Content-Length: 64"]) + "x".repeat(64), "latin1")
        for (let cut = 1; cut < whole.length; cut += 7) {
          const connection = yield* open(port)
          yield* connection.send(whole.subarray(0, cut))
          if (cut % 2 === 0) connection.socket.resetAndDestroy()
          else connection.socket.end()
          yield* connection.end
        }
        yield* untilMetric(port, "distkv_http_requests_in_flight", 1)
        yield* untilMetric(port, "distkv_http_body_bytes", 0)
        assert.strictEqual(store.commands, 0)
        assert.strictEqual((yield* ask("GET /livez")).status, 200)
      })
    ))

  it.live("a broken body behind a call that waits is not answered before it", () =>
    Effect.gen(function*() {
      const begun = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      const wait = Deferred.succeed(begun, undefined).pipe(
        Effect.andThen(Effect.never),
        Effect.onInterrupt(() => Deferred.succeed(ended, undefined))
      )
      yield* serving(({ port }) =>
        Effect.gen(function*() {
          const connection = yield* open(port)
          yield* connection.send(head("GET /v1/kv/k", []) + head("PUT /v1/kv/k", ["Transfer-Encoding: chunked"]))
          yield* Deferred.await(begun)
          yield* connection.send("this is no chunk\r\n")
          yield* connection.end
          yield* Deferred.await(ended)
          assert.strictEqual(connection.text, "")
        }), { replaced: { get: () => wait } })
    }))

  it.live("a reply that cannot be written ends its connection, and no other", () =>
    serving(({ ask, port }) =>
      Effect.gen(function*() {
        const connection = yield* open(port)
        yield* connection.send(head("GET /v1/kv/k", []))
        yield* connection.end
        assert.strictEqual(connection.text, "")
        assert.strictEqual((yield* ask("PUT /v1/kv/k", [], "v")).status, 200)
      }), {
      replaced: {
        get: () =>
          Effect.succeed({
            key: "k" as Key,
            value: new Uint8Array(1),
            createRevision: 1 as Revision,
            modRevision: "1\r\n" as unknown as Revision,
            version: 1,
            leaseId: null,
            revision: 1 as Revision,
            consistency: "linearizable" as const
          })
      }
    }))

  it.live("pipelined requests are answered in their order, also where one is refused", () =>
    serving(({ port, store }) =>
      Effect.gen(function*() {
        const connection = yield* open(port)
        for (const key of ["a", "b"]) store.put(key, key, store.next())
        const put = (key: string) => head(`PUT /v1/kv/${key}`, ["Content-Length: 1"]) + key
        yield* connection.send(
          put("c") + put("d") + head("GET /v1/kv/a", []) + head("GET /v1/kv/%", []) + head("GET /v1/kv", []) +
            head("GET /v1/kv/b", [])
        )
        assert.strictEqual(jsonOf(yield* connection.reply()).revision, "3")
        assert.strictEqual(jsonOf(yield* connection.reply()).revision, "4")
        assert.strictEqual((yield* connection.reply()).body, "a")
        assertProblem(yield* connection.reply(), 400, "InvalidRequest")
        assert.isArray(jsonOf(yield* connection.reply()).entries)
        assert.strictEqual((yield* connection.reply()).body, "b")
      })
    ))

  it.live("a thousand requests at once on fifty connections are all answered", () =>
    serving(({ port }) =>
      Effect.forEach(Array.from({ length: 50 }, (_, i) => i), (i) =>
        Effect.gen(function*() {
          const connection = yield* open(port)
          for (let j = 0; j < 20; j++) {
            yield* connection.send(head(`PUT /v1/kv/k${i}`, ["Content-Length: 2"]) + "ab")
            assert.strictEqual((yield* connection.reply()).status, 200)
          }
        }), { concurrency: 50, discard: true })
    ))
})
