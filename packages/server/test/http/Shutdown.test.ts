import { DistKv } from "@distkv/core"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { HttpListener } from "../../src/http/HttpListener.ts"
import { HttpServer } from "../../src/http/HttpServer.ts"
import { fakeLayer, fakeService, FakeStore } from "./FakeDistKv.ts"
import { assertProblem, serving } from "./Harness.ts"
import { exchange, head, open } from "./RawClient.ts"

const refusedConnection = (port: number) =>
  Effect.gen(function*() {
    const connection = yield* open(port)
    yield* connection.end
    return connection.text === ""
  })

describe("closing", () => {
  it.live("what is in flight finishes, later calls are Shutdown, and the connection closes", () =>
    Effect.gen(function*() {
      const begun = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const store = new FakeStore()
      const service = fakeService(store)
      yield* serving(({ port, server }) =>
        Effect.gen(function*() {
          const busy = yield* open(port)
          const idle = yield* open(port)
          const partial = yield* open(port)
          yield* idle.send(head("GET /readyz", []))
          assert.strictEqual((yield* idle.reply()).status, 200)
          yield* partial.send("GET /readyz HTTP/1.1\r\nHost: loc")
          yield* busy.send(head("PUT /v1/kv/k", ["Content-Length: 1"]) + "v")
          yield* Deferred.await(begun)
          const draining = yield* Effect.forkChild(server.drain, { startImmediately: true })
          yield* idle.end
          yield* partial.send("alhost\r\n\r\n")
          const ready = yield* partial.reply()
          assert.strictEqual(ready.status, 503)
          assert.include(ready.body, "open")
          assert.strictEqual(ready.headers.get("connection"), "close")
          assert.isTrue(yield* refusedConnection(port))
          yield* Deferred.succeed(go, undefined)
          const reply = yield* busy.reply()
          assert.strictEqual(reply.status, 200)
          assert.strictEqual(reply.headers.get("connection"), "close")
          yield* busy.end
          yield* Fiber.join(draining)
          yield* server.drain
          assert.strictEqual(store.commands, 1)
        }), {
        replaced: {
          set: (key, value, options) =>
            Deferred.succeed(begun, undefined).pipe(
              Effect.andThen(Deferred.await(go)),
              Effect.andThen(service.set(key, value, options))
            )
        }
      })
    }))

  it.live("a call that arrives on an open connection while closing is Shutdown with Connection: close", () =>
    Effect.gen(function*() {
      for (const line of ["GET /v1/kv/k", "GET /v1/kv", "GET /key/k", "GET /v1/cluster", "GET /docs"]) {
        yield* serving(({ port, server }) =>
          Effect.gen(function*() {
            const connection = yield* open(port)
            yield* connection.send(`${line} HTTP/1.1\r\nHost: loc`)
            const live = yield* open(port)
            yield* live.send("GET /livez HTTP/1.1\r\nHost: loc")
            yield* awaitConnections(port, 3)
            const draining = yield* Effect.forkChild(server.drain, { startImmediately: true })
            yield* connection.send("alhost\r\n\r\n")
            const reply = yield* connection.reply()
            assertProblem(reply, 503, "Shutdown")
            assert.strictEqual(reply.headers.get("connection"), "close")
            yield* live.send("alhost\r\n\r\n")
            assert.strictEqual((yield* live.reply()).status, 200, "closing is no reason to be killed")
            yield* Fiber.join(draining)
          })
        )
      }
    }))

  it.live("what does not finish within the limit is interrupted and cut", () =>
    Effect.gen(function*() {
      const begun = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      yield* serving(({ port, server }) =>
        Effect.gen(function*() {
          const stuck = yield* open(port)
          yield* stuck.send(head("GET /v1/kv/k", []))
          yield* Deferred.await(begun)
          yield* server.drain
          yield* Deferred.await(ended)
          yield* stuck.end
          assert.strictEqual(stuck.text, "")
        }), {
        drainTimeout: "50 millis",
        replaced: {
          get: () =>
            Deferred.succeed(begun, undefined).pipe(
              Effect.andThen(Effect.never),
              Effect.onInterrupt(() => Deferred.succeed(ended, undefined))
            )
        }
      })
    }))

  it.live("releasing the server frees its port, and it can be served again", () =>
    Effect.gen(function*() {
      const store = new FakeStore()
      const port = yield* Effect.map(HttpServer, (server) => server.port).pipe(
        Effect.provide(HttpServer.layerBound({ port: 0 }).pipe(Layer.provide(fakeLayer(store))))
      )
      const reply = yield* exchange(port, "GET /livez").pipe(
        Effect.provide(HttpServer.layerBound({ port }).pipe(Layer.provide(fakeLayer(store))))
      )
      assert.strictEqual(reply.status, 200)
    }))
})

/** Asks until the server has seen this many connections. */
const awaitConnections = (port: number, count: number) =>
  Effect.eventually(
    Effect.filterOrFail(
      exchange(port, "GET /metrics"),
      (reply) => reply.body.includes(`distkv_http_connections ${count}\n`),
      () => "not yet"
    )
  )

describe("starting", () => {
  it.live("the listener knows its address before there is a node, and answers 503 until there is", () =>
    Effect.gen(function*() {
      const listener = yield* HttpListener
      const early = yield* exchange(listener.port, "GET /v1/kv/k")
      assertProblem(early, 503, "NoLeader")
      assert.strictEqual(early.headers.get("connection"), "close")
      const scope = yield* Scope.make()
      yield* Layer.buildWithScope(
        HttpServer.layer().pipe(
          Layer.provide(fakeLayer(new FakeStore())),
          Layer.provide(Layer.succeed(HttpListener, listener))
        ),
        scope
      )
      assert.strictEqual((yield* exchange(listener.port, "GET /livez")).status, 200)
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(yield* refusedConnection(listener.port))
    }).pipe(Effect.provide(HttpListener.layer({ port: 0 }))))

  it.live("two servers in one process do not know of each other", () =>
    Effect.gen(function*() {
      const one = yield* Effect.provide(
        Effect.gen(function*() {
          yield* (yield* DistKv).set("k", "one")
          const first = yield* HttpServer
          return yield* serving(({ ask, port }) =>
            Effect.gen(function*() {
              assert.notStrictEqual(port, first.port)
              assertProblem(yield* ask("GET /v1/kv/k"), 404, "KeyNotFound", null)
              return yield* exchange(first.port, "GET /v1/kv/k")
            })
          )
        }),
        HttpServer.layerBound({ port: 0 }).pipe(Layer.provideMerge(fakeLayer(new FakeStore())))
      )
      assert.strictEqual(one.body, "one")
    }))
})
