/** A server on a port of its own over the fake store, for one test. */
import { type DistKv, DistKvLayer } from "@distkv/core"
import { assert } from "@effect/vitest"
import { Effect, Layer, Schedule, Schema, type Scope } from "effect"
import { DistKvClient } from "../../src/client.ts"
import type { HttpListenerOptions } from "../../src/http/HttpListener.ts"
import { HttpServer, type HttpServerOptions } from "../../src/http/HttpServer.ts"
import { fakeLayer, FakeStore } from "./FakeDistKv.ts"
import { exchange, type RawReply } from "./RawClient.ts"

export interface Served {
  readonly port: number
  readonly url: string
  readonly store: FakeStore
  readonly server: typeof HttpServer.Service
  /** One request on a connection of its own. */
  readonly ask: (line: string, headers?: ReadonlyArray<string>, body?: string | Uint8Array) => Effect.Effect<RawReply>
}

export interface Setup extends HttpServerOptions, HttpListenerOptions {
  /** Parts of the service that behave otherwise. */
  readonly replaced?: Partial<typeof DistKv.Service> | undefined
}

export const serving = <A, E>(
  body: (served: Served) => Effect.Effect<A, E, Scope.Scope>,
  { replaced, ...options }: Setup = {}
) => {
  const store = new FakeStore()
  return Effect.scoped(Effect.flatMap(HttpServer, (server) =>
    body({
      port: server.port,
      url: server.url,
      store,
      server,
      ask: (line, headers, content) => exchange(server.port, line, headers, content)
    }))).pipe(
      Effect.provide(HttpServer.layerBound({ port: 0, ...options }).pipe(Layer.provide(fakeLayer(store, replaced))))
    )
}

export type Ask = Served["ask"]

/** Serves one whole node in memory, once it leads. */
export const onNode = <A, E>(
  body: (ask: Ask, client: typeof DistKvClient.Service) => Effect.Effect<A, E, DistKv | HttpServer>,
  node: Layer.Layer<DistKv, unknown> = DistKvLayer.memory
) =>
  Effect.gen(function*() {
    const { port, url } = yield* HttpServer
    const ask: Ask = (line, headers, content) => exchange(port, line, headers, content)
    yield* Effect.repeat(ask("GET /readyz"), {
      until: (reply) => reply.status === 200,
      schedule: Schedule.spaced("10 millis")
    })
    return yield* body(ask, yield* DistKvClient.make({ endpoints: [url] }))
  }).pipe(Effect.provide(HttpServer.layerBound({ port: 0 }).pipe(Layer.provideMerge(node))))

const Problem = Schema.fromJsonString(Schema.Struct({
  type: Schema.String,
  title: Schema.String,
  status: Schema.Int,
  detail: Schema.String,
  code: Schema.String,
  applied: Schema.NullOr(Schema.String)
}))

/** Asserts that the reply is a failure as `http.md` words it. */
export const assertProblem = (reply: RawReply, status: number, code: string, applied: string | null = "no") => {
  assert.strictEqual(reply.status, status, reply.body)
  assert.strictEqual(reply.headers.get("content-type"), "application/problem+json")
  assert.strictEqual(reply.headers.get("cache-control"), "no-cache")
  const problem = Schema.decodeUnknownSync(Problem)(reply.body)
  assert.strictEqual(problem.status, status)
  assert.strictEqual(problem.code, code, reply.body)
  assert.strictEqual(problem.applied, applied)
  assert.notStrictEqual(problem.detail, "")
  const retries = status === 429 || status === 503
  assert.strictEqual(reply.headers.has("retry-after"), retries)
  if (retries) assert.isAtLeast(Number(reply.headers.get("retry-after")), 1)
}

const Json = Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown))

/** The JSON object of a success. */
export const jsonOf = (reply: RawReply): { readonly [name: string]: unknown } => {
  assert.strictEqual(reply.status, 200, reply.body)
  assert.strictEqual(reply.headers.get("content-type"), "application/json")
  return Schema.decodeUnknownSync(Json)(Buffer.from(reply.body, "latin1").toString("utf8"))
}

export const fetchText = (url: string) => Effect.promise(() => fetch(url).then((reply) => reply.text()))

/** Asks until a metric has this value; each look is a whole request, so nothing waits for a clock. */
export const untilMetric = Effect.fnUntraced(function*(port: number, name: string, value: number) {
  let found = ""
  for (let look = 0; look < 2000; look++) {
    const page = yield* fetchText(`http://127.0.0.1:${port}/metrics`)
    found = page.split("\n").find((line) => line.startsWith(`${name} `)) ?? "nothing"
    if (found === `${name} ${value}`) return
  }
  assert.strictEqual(found, `${name} ${value}`)
})

/** The entry `k` as JSON. */
export const entryJson = (value: string, modRevision: string, version: number, createRevision = "1") => ({
  key: "k",
  value: Buffer.from(value).toString("base64"),
  createRevision,
  modRevision,
  version,
  lease: null
})
