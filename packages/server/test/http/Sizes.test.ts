import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { maxDroppedBytes } from "../../src/http/RequestBody.ts"
import { assertProblem, fetchText, serving, untilMetric } from "./Harness.ts"
import { chunk, head, open } from "./RawClient.ts"

const mebibyte = 1024 * 1024

describe("sizes (H01)", () => {
  it.live("a value of exactly the limit is stored, one byte more is 413, and the connection goes on (H01)", () =>
    serving(({ port, store }) =>
      Effect.gen(function*() {
        const connection = yield* open(port)
        yield* connection.send(head("PUT /v1/kv/k", [`Content-Length: ${mebibyte}`]))
        yield* connection.send(new Uint8Array(mebibyte))
        assert.strictEqual((yield* connection.reply()).status, 200)
        yield* connection.send(head("PUT /v1/kv/k", [`Content-Length: ${mebibyte + 1}`]))
        yield* connection.send(new Uint8Array(mebibyte + 1))
        assertProblem(yield* connection.reply(), 413, "InvalidRequest")
        yield* connection.send(head("GET /v1/kv/k?consistency=stale", []))
        assert.strictEqual((yield* connection.reply()).body.length, mebibyte)
        assert.strictEqual(store.commands, 1)
      })
    ))

  // scenario: H01
  // fails-with: bodies-of-any-declared-size
  it.live("a declared length over the limit is answered before any of the body is sent", () =>
    serving(({ port, store }) =>
      Effect.gen(function*() {
        for (const line of ["PUT /v1/kv/k", "POST /key", "POST /v1/cluster/members"]) {
          const connection = yield* open(port)
          yield* connection.send(head(line, ["Content-Length: 999999999999", "Content-Type: application/json"]))
          assertProblem(yield* connection.reply(), 413, "InvalidRequest")
        }
        assert.strictEqual(store.commands, 0)
      })
    ))

  // fails-with: bodies-of-any-size
  it.live("chunks without a length are cut off at the limit, and what follows is not kept (H01)", () =>
    serving(({ port, server, store }) =>
      Effect.gen(function*() {
        const connection = yield* open(port)
        yield* connection.send(head("PUT /v1/kv/k", ["Transfer-Encoding: chunked"]))
        for (let i = 0; i < 17; i++) yield* connection.send(chunk(64 * 1024))
        assertProblem(yield* connection.reply(), 413, "InvalidRequest")
        assert.strictEqual((yield* fetchText(`${server.url}/metrics`)).match(/distkv_http_body_bytes (\d+)/)?.[1], "0")
        yield* connection.send("0\r\n\r\n" + head("GET /livez", []))
        assert.strictEqual((yield* connection.reply()).status, 200, "the connection is used again")
        assert.strictEqual(store.commands, 0)
      })
    ))

  it.live("a sender that does not stop after its 413 is cut off", () =>
    serving(({ port }) =>
      Effect.gen(function*() {
        const connection = yield* open(port)
        yield* connection.send(head("PUT /v1/kv/k", ["Transfer-Encoding: chunked"]))
        const endless = Effect.gen(function*() {
          for (let sent = 0; sent < 4 * maxDroppedBytes && !connection.closed; sent += mebibyte) {
            yield* connection.send(chunk(mebibyte))
            yield* Effect.callback<void>((resume) => {
              if (!connection.socket.writableNeedDrain || connection.closed) return resume(Effect.void)
              const done = () => resume(Effect.void)
              connection.socket.once("drain", done)
              connection.socket.once("close", done)
            })
          }
        })
        yield* endless
        yield* connection.end
        assert.match(connection.text, /^HTTP\/1\.1 413 /)
      })
    ))

  it.live("chunked control calls are cut off at their own limit", () =>
    serving(({ port }) =>
      Effect.gen(function*() {
        const connection = yield* open(port)
        yield* connection.send(
          head("POST /v1/cluster/members", ["Transfer-Encoding: chunked", "Content-Type: application/json"])
        )
        yield* connection.send(chunk(65 * 1024))
        assertProblem(yield* connection.reply(), 413, "InvalidRequest")
      })
    ))

  it.live("Expect: 100-continue is granted within the limits and refused outside, before the body is sent", () =>
    serving(({ port }) =>
      Effect.gen(function*() {
        const granted = yield* open(port)
        yield* granted.send(head("PUT /v1/kv/k", ["Content-Length: 5", "Expect: 100-continue"]))
        assert.strictEqual((yield* granted.reply()).status, 100)
        yield* granted.send("hello")
        assert.strictEqual((yield* granted.reply()).status, 200)
        for (
          const [line, headers, status] of [
            ["PUT /v1/kv/k", ["Content-Length: 1048577"], 413],
            ["PUT /v1/kv/k", ["Content-Length: 1", "If-Match: x"], 400],
            ["PUT /v1/kv/k", ["Content-Length: 1", "Origin: http://evil.example"], 403],
            ["POST /v1/cluster/transfer", ["Content-Length: 2"], 415],
            ["POST /nowhere", ["Content-Length: 999999"], 413]
          ] as const
        ) {
          const refused = yield* open(port)
          yield* refused.send(head(line, [...headers, "Expect: 100-continue"]))
          assert.strictEqual((yield* refused.reply()).status, status, line)
        }
        const control = yield* open(port)
        yield* control.send(
          head("POST /v1/cluster/transfer", [
            "Content-Length: 2",
            "Content-Type: application/json",
            "Expect: 100-continue"
          ])
        )
        assert.strictEqual((yield* control.reply()).status, 100)
        yield* control.send("{}")
        assert.strictEqual((yield* control.reply()).status, 200)
      })
    ))

  it.live("a head of more than 16 KiB is 431 and closes the connection", () =>
    serving(({ ask, port }) =>
      Effect.gen(function*() {
        const connection = yield* open(port)
        yield* connection.send(head("GET /livez", [`X-Large: ${"x".repeat(20_000)}`]))
        assertProblem(yield* connection.reply(), 431, "InvalidRequest")
        yield* connection.end
        assert.strictEqual((yield* ask("GET /livez")).status, 200)
      })
    ))

  // scenario: H12
  // fails-with: hangs-up-on-what-is-no-http
  it.live("what is not HTTP is 400 and closes the connection", () =>
    serving(({ ask, port }) =>
      Effect.gen(function*() {
        const broken = [
          "hello\r\n\r\n",
          "GET /livez\r\n\r\n",
          head("PUT /v1/kv/k", ["Content-Length: 1", "Transfer-Encoding: chunked"]),
          head("PUT /v1/kv/k", ["Content-Length: -1"]),
          head("PUT /v1/kv/k", ["Content-Length: 1", "Content-Length: 2"]),
          head("PUT /v1/kv/k", ["Transfer-Encoding: chunked"]) + "zz\r\n",
          head("GET /livez", ["Bad Name: x"]),
          head("GET /livez", ["X: a\0b"]),
          "SSH-2.0-distkv\r\n\r\n",
          "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello\r\n\r\n"
        ]
        for (const bytes of broken) {
          const connection = yield* open(port)
          yield* connection.send(bytes)
          assertProblem(yield* connection.reply(), 400, "InvalidRequest")
          yield* connection.end
        }
        assert.strictEqual((yield* ask("GET /livez")).status, 200)
      })
    ))

  it.live("bodies that are received at once share a budget; over it is 429, and it is given back", () =>
    serving(({ ask, port }) =>
      Effect.gen(function*() {
        const slow = yield* open(port)
        yield* slow.send(head("PUT /v1/kv/k", ["Content-Length: 1000"]) + "x".repeat(900))
        yield* untilMetric(port, "distkv_http_body_bytes", 900)
        const refused = yield* ask("PUT /v1/kv/k", [], "x".repeat(200))
        assertProblem(refused, 429, "Overloaded")
        yield* slow.send("x".repeat(100))
        assert.strictEqual((yield* slow.reply()).status, 200)
        assert.strictEqual((yield* ask("PUT /v1/kv/k", [], "x".repeat(1000))).status, 200)
        const gone = yield* open(port)
        yield* gone.send(head("PUT /v1/kv/k", ["Content-Length: 1000"]) + "x".repeat(999))
        yield* untilMetric(port, "distkv_http_body_bytes", 999)
        gone.socket.destroy()
        yield* untilMetric(port, "distkv_http_body_bytes", 0)
      }), { maxBodyBytes: 1000 }))
})
