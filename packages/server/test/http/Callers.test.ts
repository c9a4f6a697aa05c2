import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { HttpListener } from "../../src/http/HttpListener.ts"
import { assertProblem, serving } from "./Harness.ts"
import { open } from "./RawClient.ts"

describe("who may call without credentials", () => {
  it.live("a Host that is a loopback name or the node's own address may, whatever its port", () =>
    serving(({ ask, port }) =>
      Effect.gen(function*() {
        const hosts = [
          `127.0.0.1:${port}`,
          "127.0.0.1",
          "localhost",
          "LocalHost:1234",
          "[::1]",
          "[::1]:80",
          "127.8.9.10:11000"
        ]
        for (const host of hosts) {
          assert.strictEqual((yield* ask("GET /v1/cluster", [`Host: ${host}`])).status, 200, host)
        }
      })
    ))

  it.live("any other Host is 403, on every route, so that no name can be rebound to this node", () =>
    serving(({ ask, store }) =>
      Effect.gen(function*() {
        const hosts = [
          "evil.example",
          "evil.example:11000",
          "localhost.evil.example",
          "127.0.0.1.evil.example",
          "10.0.0.1",
          "localhost@evil.example",
          "[::2]",
          "0.0.0.0",
          "1270.0.0.1",
          "local host",
          "localhost:"
        ]
        for (const host of hosts) {
          for (
            const line of ["GET /v1/kv/k", "PUT /v1/kv/k", "GET /livez", "GET /metrics", "GET /key/k", "GET /none"]
          ) {
            assertProblem(yield* ask(line, [`Host: ${host}`]), 403, "Forbidden")
          }
        }
        assert.strictEqual(store.commands, 0)
      })
    ))

  it.live("no Host, an empty one, or two are 400", () =>
    serving(({ ask, port }) =>
      Effect.gen(function*() {
        assertProblem(yield* ask("GET /livez", ["Host:"]), 400, "InvalidRequest")
        assertProblem(
          yield* ask("GET /livez", [`Host: 127.0.0.1:${port}`, "Host: evil.example"]),
          400,
          "InvalidRequest"
        )
        for (const version of ["1.0", "1.1"]) {
          const connection = yield* open(port)
          yield* connection.send(`GET /livez HTTP/${version}\r\n\r\n`)
          assertProblem(yield* connection.reply(), 400, "InvalidRequest")
        }
      })
    ))

  it.live("a foreign Origin, and a request that the browser calls cross-site, are 403", () =>
    serving(({ ask, port, store }) =>
      Effect.gen(function*() {
        const own = `Host: localhost:${port}`
        const origins = [
          "https://evil.example",
          "null",
          "http://localhost:3000",
          `https://localhost:${port}`,
          `http://127.0.0.1:${port}`
        ]
        for (const origin of origins) {
          for (const line of ["PUT /v1/kv/k", "DELETE /v1/kv?all=true", "GET /v1/kv/k"]) {
            assertProblem(yield* ask(line, [own, `Origin: ${origin}`]), 403, "Forbidden")
          }
        }
        assertProblem(yield* ask("POST /key", [own, "Sec-Fetch-Site: cross-site"], '{"a":"b"}'), 403, "Forbidden")
        assertProblem(yield* ask("GET /docs", [own, "Sec-Fetch-Site: cross-site"]), 403, "Forbidden")
        assert.strictEqual(store.commands, 0)
        assert.strictEqual((yield* ask("PUT /v1/kv/k", [own, `Origin: http://localhost:${port}`])).status, 200)
        assert.strictEqual((yield* ask("GET /docs", [own, "Sec-Fetch-Site: same-origin"])).status, 200)
        assert.strictEqual((yield* ask("GET /docs", [own, "Sec-Fetch-Site: none"])).status, 200)
      })
    ))

  it.live("no preflight is ever granted", () =>
    serving(({ ask, port }) =>
      Effect.gen(function*() {
        const headers = [`Host: localhost:${port}`, "Access-Control-Request-Method: PUT"]
        const foreign = yield* ask("OPTIONS /v1/kv/k", [...headers, "Origin: https://evil.example"])
        assertProblem(foreign, 403, "Forbidden")
        for (const name of foreign.headers.keys()) assert.isFalse(name.startsWith("access-control-"), name)
      })
    ))

  it.live("an address that is not loopback is not bound", () =>
    Effect.gen(function*() {
      for (const host of ["0.0.0.0", "::", "10.1.2.3", "example.org", "", "127.0.0.1.example.org"]) {
        const exit = yield* Effect.exit(
          Effect.scoped(Effect.provide(HttpListener, HttpListener.layer({ host, port: 0 })))
        )
        assert.isTrue(Exit.isFailure(exit), host)
        assert.include(String(exit), "InvalidRequest", host)
      }
    }))

  it.live("a port that is taken, or is none, is an InvalidRequest that names it", () =>
    serving(({ port }) =>
      Effect.gen(function*() {
        for (const taken of [port, -1, 65_536, 1.5]) {
          const exit = yield* Effect.exit(Effect.provide(HttpListener, HttpListener.layer({ port: taken })))
          assert.include(String(exit), "InvalidRequest")
          assert.include(String(exit), String(taken))
        }
      })
    ))

  it.live("IPv6 loopback is served under its own address", () =>
    Effect.gen(function*() {
      const listener = yield* HttpListener
      assert.strictEqual(listener.url, `http://[::1]:${listener.port}`)
    }).pipe(Effect.provide(HttpListener.layer({ host: "::1", port: 0 }))))
})
