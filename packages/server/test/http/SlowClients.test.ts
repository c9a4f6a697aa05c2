import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { fakeService, FakeStore } from "./FakeDistKv.ts"
import { assertProblem, serving, untilMetric } from "./Harness.ts"
import { head, open } from "./RawClient.ts"

describe("slow and idle clients (H02)", () => {
  const limits = { headersTimeoutMs: 200, requestTimeoutMs: 400, idleTimeoutMs: 200 }

  it.live("a connection that sends nothing, or its head too slowly, is answered 408 and closed (H02)", () =>
    serving(({ ask, port }) =>
      Effect.gen(function*() {
        for (const bytes of ["", "GET /livez HTT", head("GET /livez", []).slice(0, -2)]) {
          const connection = yield* open(port)
          yield* connection.send(bytes)
          assertProblem(yield* connection.reply(), 408, "InvalidRequest")
          yield* connection.end
        }
        assert.strictEqual((yield* ask("GET /livez")).status, 200)
      }), limits))

  // scenario: H02
  // fails-with: keeps-abandoned-bodies
  it.live("a body that does not arrive in time is 408, its bytes are let go and its request is counted out", () =>
    serving(({ port, store }) =>
      Effect.gen(function*() {
        for (
          const [line, headers] of [
            ["PUT /v1/kv/k", ["Content-Length: 10"]],
            ["PUT /v1/kv/k", ["Transfer-Encoding: chunked"]],
            ["POST /key", ["Content-Length: 10"]],
            ["POST /v1/cluster/transfer", ["Content-Length: 10", "Content-Type: application/json"]]
          ] as const
        ) {
          const connection = yield* open(port)
          yield* connection.send(head(line, headers) + "1\r\nx")
          assertProblem(yield* connection.reply(), 408, "InvalidRequest")
          yield* connection.end
        }
        yield* untilMetric(port, "distkv_http_body_bytes", 0)
        yield* untilMetric(port, "distkv_http_requests_in_flight", 1)
        assert.strictEqual(store.commands, 0)
      }), limits))

  it.live("a connection without a further request is closed", () =>
    serving(({ port }) =>
      Effect.gen(function*() {
        const connection = yield* open(port)
        yield* connection.send(head("GET /livez", []))
        assert.strictEqual((yield* connection.reply()).status, 200)
        yield* connection.end
      }), limits))

  it.live("a reply that its client does not read is given up", () => {
    const store = new FakeStore()
    for (let i = 0; i < 8; i++) store.put(`k${i}`, new Uint8Array(512 * 1024), store.next())
    return serving(
      ({ port }) =>
        Effect.gen(function*() {
          const lazy = yield* open(port)
          lazy.socket.pause()
          // Far more than the buffers of both sockets hold.
          for (let i = 0; i < 40; i++) yield* lazy.send(head("GET /v1/kv/k1", []))
          yield* Effect.callback<void>((resume) => {
            lazy.socket.once("close", () => resume(Effect.void))
            const noticed = setInterval(() => {
              lazy.socket.write("\r\n")
            }, 50)
            lazy.socket.once("close", () => clearInterval(noticed))
          })
        }),
      { replaced: fakeService(store), writeTimeout: "300 millis" }
    )
  })

  // scenario: H02
  // fails-with: heads-at-leisure
  it.live(
    "a thousand connections that send nothing keep nobody from being served, and are all gone in time",
    () =>
      serving(({ ask, port }) =>
        Effect.gen(function*() {
          const idle = yield* Effect.forEach(Array.from({ length: 1000 }), () => open(port), { concurrency: 50 })
          assert.strictEqual((yield* ask("GET /livez")).status, 200)
          assert.isAtLeast(idle.filter((connection) => !connection.closed).length, 900)
          for (let i = 0; i < 100; i++) {
            assert.strictEqual((yield* ask(`PUT /v1/kv/k${i}`, [], "v")).status, 200)
            assert.strictEqual((yield* ask(`GET /v1/kv/k${i}`)).body, "v")
          }
          yield* Effect.forEach(idle, (connection) => connection.end)
        }), { headersTimeoutMs: 4000, idleTimeoutMs: 4000 }),
    40_000
  )

  // fails-with: no-cap-on-connections
  it.live("connections beyond the cap are dropped and counted, and served again when others end (H02)", () =>
    serving(({ ask, port }) =>
      Effect.gen(function*() {
        const idle = [yield* open(port), yield* open(port)]
        for (const connection of idle) {
          yield* connection.send(head("GET /livez", []))
          yield* connection.reply()
        }
        const third = yield* open(port)
        yield* third.end
        assert.strictEqual(third.text, "")
        idle[0]?.socket.destroy()
        idle[1]?.socket.destroy()
        yield* Effect.forEach(idle, (connection) => connection.end)
        yield* Effect.eventually(Effect.filterOrFail(
          Effect.catchDefect(Effect.map(ask("GET /metrics"), (reply) => reply.body), () => Effect.succeed("")),
          (page) => page.includes("distkv_http_connections_dropped_total"),
          () => "not yet"
        ))
      }), { maxConnections: 2 }))
})
