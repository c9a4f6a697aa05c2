/** `/v1/kv/{key}` and `/v1/kv?key=`, served by hand: no router, no promise, and mostly no fiber. */
import { type DeleteResult, InvalidRequest, type ReadEntry, type SetResult } from "@distkv/core"
import { Result } from "effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import * as EntryCalls from "./EntryCalls.ts"
import { parseEntryRequest } from "./EntryRequest.ts"
import { Exchange } from "./Exchange.ts"
import type { Operation } from "./RequestMetrics.ts"
import { checkKey, parseKey, parseQuery, type Query } from "./RequestTarget.ts"
import type { Serving } from "./Serving.ts"

type Method = "GET" | "HEAD" | "PUT" | "DELETE"

const operations: Readonly<Record<Method, Operation>> = { GET: "get", HEAD: "get", PUT: "set", DELETE: "delete" }

/** Whether this path is served here for the methods of entries. */
export const isEntryMethod = (method: string | undefined): method is Method =>
  method === "GET" || method === "HEAD" || method === "PUT" || method === "DELETE"

/** Serves `/v1/kv/{key}`; both parts as they came in the request target. */
export const servePath = (
  serving: Serving,
  request: IncomingMessage,
  response: ServerResponse,
  method: Method,
  encodedKey: string,
  encodedQuery: string,
  expectsContinue: boolean
): void => {
  const exchange = new Exchange(serving, request, response, operations[method])
  const key = parseKey(encodedKey)
  if (Result.isFailure(key)) return exchange.fail(key.failure)
  const query = parseQuery(encodedQuery)
  if (Result.isFailure(query)) return exchange.fail(query.failure)
  serve(serving, exchange, request, method, key.success, query.success, true, expectsContinue)
}

/** Serves `/v1/kv?key=`; `query` has a key. */
export const serveQuery = (
  serving: Serving,
  request: IncomingMessage,
  response: ServerResponse,
  method: Method,
  query: Query,
  expectsContinue: boolean
): void => {
  const exchange = new Exchange(serving, request, response, operations[method])
  const key = checkKey(query.get("key") ?? "")
  if (Result.isFailure(key)) return exchange.fail(key.failure)
  serve(serving, exchange, request, method, key.success, query, false, expectsContinue)
}

const serve = (
  serving: Serving,
  exchange: Exchange,
  request: IncomingMessage,
  method: Method,
  key: string,
  query: Query,
  keyInPath: boolean,
  expectsContinue: boolean
): void => {
  const parsed = parseEntryRequest(method, key, query, request.headers, keyInPath)
  if (Result.isFailure(parsed)) return exchange.fail(parsed.failure)
  const { hot, kv, view } = serving
  const call = parsed.success
  switch (call._tag) {
    case "Get":
      return exchange.begin<ReadEntry>(
        (done) => hot.get(call.key, call.options, done),
        (entry) => EntryCalls.getAnswer(view, call, entry),
        EntryCalls.absentHeaders
      )
    case "Delete":
      return call.ifMatch !== undefined
        ? exchange.run(() => EntryCalls.removeMatching(kv, view, call))
        : exchange.begin<DeleteResult>(
          (done) => hot.delete(call.key, call.options, done),
          (result) => EntryCalls.removeAnswer(view, result)
        )
    case "Put": {
      const encoding = request.headers["content-encoding"]
      if (encoding !== undefined && encoding !== "identity") {
        return exchange.fail(
          new InvalidRequest({ message: "a value is stored as it is sent; encoded content is not accepted" }),
          415
        )
      }
      return exchange.withBody(serving.maxValueBytes, expectsContinue, (value) =>
        call.ifMatch !== undefined
          ? exchange.run(() => EntryCalls.putMatching(kv, view, call, value))
          : exchange.begin<SetResult>(
            (done) => hot.set(call.key, value, call.options, done),
            (result) => EntryCalls.putAnswer(view, result)
          ))
    }
  }
}
