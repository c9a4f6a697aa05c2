/** `/key`, as in the original library's example application. Values are strings. */
import {
  type CallOptions,
  type DistKv,
  type DistKvError,
  InvalidRequest,
  isKey,
  maxTxnOperations,
  type WriteOptions
} from "@distkv/core"
import { Effect, Result } from "effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import { type Answer, jsonAnswer, noCache } from "./Answer.ts"
import { Exchange } from "./Exchange.ts"
import type { HeaderLines } from "./Head.ts"
import { idempotencyHeader, parseIdempotencyKey } from "./Idempotency.ts"
import type { NodeView } from "./NodeView.ts"
import { checkNames, timeoutOf } from "./Parameters.ts"
import type { Operation } from "./RequestMetrics.ts"
import { parseKey, parseQuery, type Query } from "./RequestTarget.ts"
import type { Serving } from "./Serving.ts"

type Method = "GET" | "HEAD" | "POST" | "DELETE"
type Service = typeof DistKv.Service

const operations: Readonly<Record<Method, Operation>> = { GET: "get", HEAD: "get", POST: "set_many", DELETE: "delete" }

/** The largest body: escapes may make JSON text a few times as long as what it stands for. */
const maxBodyBytes = 4 * 1024 * 1024

export const isKeyMethod = (method: string | undefined): method is Method =>
  method === "GET" || method === "HEAD" || method === "POST" || method === "DELETE"

const invalid = (message: string) => new InvalidRequest({ message })
const tooLarge = (message: string) => new InvalidRequest({ message, tooLarge: true })

/** Serves `/key` and what lies under it; `rest` is the path behind `/key`, empty or with its slash. */
export const serve = (
  serving: Serving,
  request: IncomingMessage,
  response: ServerResponse,
  method: Method,
  rest: string,
  query: string,
  expectsContinue: boolean
): void => {
  const exchange = new Exchange(serving, request, response, operations[method])
  const { kv, view } = serving
  const options = Result.flatMap(parseQuery(query), (parsed) => parseOptions(parsed, request))
  if (Result.isFailure(options)) return exchange.fail(options.failure)
  if (method === "POST") {
    if (rest !== "") return exchange.fail(invalid("the path is /key"))
    return exchange.withBody(maxBodyBytes, expectsContinue, (body) =>
      exchange.run(() =>
        Effect.flatMap(
          Effect.fromResult(parseEntries(body, serving.maxValueBytes)),
          (entries) => setAll(kv, view, entries, options.success)
        )
      ))
  }
  const encoded = rest.slice(1)
  if (encoded.includes("/")) return exchange.fail(invalid("the path is /key/{key}, of one segment"))
  const key = parseKey(encoded)
  if (Result.isFailure(key)) return exchange.fail(key.failure)
  const call = method === "DELETE" ? remove : get
  exchange.run(() => call(kv, view, key.success, options.success))
}

const names = new Set(["timeout"])

const parseOptions = (query: Query, { headers }: IncomingMessage): Result.Result<WriteOptions, InvalidRequest> =>
  Result.gen(function*() {
    yield* checkNames(query, names)
    const timeout = yield* timeoutOf(query)
    const idempotencyKey = yield* parseIdempotencyKey(headers[idempotencyHeader])
    return { timeout, ...(idempotencyKey === undefined ? {} : { idempotencyKey }) }
  })

const decoder = new TextDecoder("utf-8", { ignoreBOM: true })

const get = (kv: Service, view: NodeView, key: string, options: CallOptions): Effect.Effect<Answer, DistKvError> =>
  Effect.map(kv.get(key, options), (entry) =>
    // Written by hand: as a property name, `__proto__` would be lost.
    jsonAnswer(
      `{${JSON.stringify(key)}:${JSON.stringify(decoder.decode(entry.value))}}`,
      `X-Content-Type-Options: nosniff\r\n${view.headers(entry.revision)}`
    ))

const done = (headers: HeaderLines): Answer => ({ status: 200, headers: noCache + headers, body: "" })

const remove = (kv: Service, view: NodeView, key: string, options: WriteOptions): Effect.Effect<Answer, DistKvError> =>
  Effect.map(kv.delete(key, options), (result) => done(view.headers(result.revision)))

const setAll = (
  kv: Service,
  view: NodeView,
  entries: ReadonlyArray<readonly [string, string]>,
  options: WriteOptions
): Effect.Effect<Answer, DistKvError> =>
  entries.length === 0
    ? Effect.sync(() => done(view.headers()))
    : Effect.map(kv.setMany(entries, options), (result) => done(view.headers(result.revision)))

const strict = new TextDecoder("utf-8", { fatal: true })

/** The pairs of a JSON object of strings; `__proto__` is a name like any other. */
const parseEntries = (
  body: Uint8Array,
  maxValueBytes: number
): Result.Result<ReadonlyArray<readonly [string, string]>, InvalidRequest> => {
  const parsed = Result.try((): unknown => JSON.parse(strict.decode(body)))
  if (Result.isFailure(parsed)) return Result.fail(invalid("the body is not JSON in UTF-8"))
  const object = parsed.success
  if (typeof object !== "object" || object === null || Array.isArray(object)) {
    return Result.fail(invalid("the body is not an object of strings"))
  }
  const entries: Array<readonly [string, string]> = []
  for (const [key, value] of Object.entries(object)) {
    if (typeof value !== "string") return Result.fail(invalid("the body is not an object of strings"))
    if (key === "" || !key.isWellFormed() || !value.isWellFormed()) {
      return Result.fail(invalid("keys and values are well-formed strings, keys not empty"))
    }
    if (!isKey(key)) return Result.fail(tooLarge("a key is larger than the limit"))
    if (value.length * 3 > maxValueBytes && Buffer.byteLength(value) > maxValueBytes) {
      return Result.fail(tooLarge(`a value is larger than ${maxValueBytes} bytes`))
    }
    entries.push([key, value])
  }
  return entries.length > maxTxnOperations
    ? Result.fail(tooLarge(`more than ${maxTxnOperations} keys`))
    : Result.succeed(entries)
}
