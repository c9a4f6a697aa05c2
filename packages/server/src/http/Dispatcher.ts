/** Takes each request to who serves it: refused at once, the lean routes, or Effect's router. */
import { InvalidRequest, NotFound, Shutdown } from "@distkv/core"
import { Effect, Result } from "effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import { problemAnswer, writeAnswer } from "./Answer.ts"
import { noteResponse } from "./BrokenRequest.ts"
import * as EntryRoutes from "./EntryRoutes.ts"
import { limitWriting } from "./Exchange.ts"
import type { Handler } from "./HttpListener.ts"
import { idempotencyHeader } from "./Idempotency.ts"
import * as KeyRoutes from "./KeyRoutes.ts"
import { defect, problemOf } from "./Problem.ts"
import { dropBody, refuseDeclared } from "./RequestBody.ts"
import { parseQuery, type RequestTarget, splitTarget } from "./RequestTarget.ts"
import { maxJsonBytes } from "./RoutedApp.ts"
import type { Serving } from "./Serving.ts"
import * as SnapshotRoute from "./SnapshotRoute.ts"

/** Paths whose calls have no parameters and that no Schema guards. */
const plainPaths = new Set(["/livez", "/metrics", "/openapi.json", "/docs", "/docs/script.js", "/docs/style.css"])

const jsonPaths = new Set(["/v1/cluster/members", "/v1/cluster/transfer"])

/** A call lasts at most 60 s; after this its reply has been written for as long as a reply may take. */
const longestCallMs = 60_000

type Routed = (request: IncomingMessage, response: ServerResponse) => void

/** Handles all requests of one server; `routed` serves what is not hot. */
export const make = (serving: Serving, routed: Routed): Handler => (request, response, expectsContinue) => {
  noteResponse(request.socket, response)
  // A client that resets its connection is told of by `close`. Without a listener a response's error would end the
  // process; a request's is told to nobody where nobody listens.
  response.on("error", ignore)
  const outcome = Result.try(() => dispatch(serving, routed, request, response, expectsContinue))
  if (Result.isFailure(outcome)) {
    serving.run(Effect.logError("a request met a defect", outcome.failure))
    if (response.headersSent) response.destroy()
    else writeAnswer(response, problemAnswer(defect), true)
  }
}

const ignore = (): void => undefined

const dispatch = (
  serving: Serving,
  routed: Routed,
  request: IncomingMessage,
  response: ServerResponse,
  expectsContinue: boolean
): void => {
  const refuse = (error: Parameters<typeof problemOf>[0], status?: number) => {
    const answer = problemAnswer(problemOf(error, status), serving.view.failureHeaders(error))
    writeAnswer(response, answer, serving.draining || expectsContinue)
  }
  const split = splitTarget(request.url ?? "")
  if (Result.isFailure(split)) return refuse(split.failure)
  const target = split.success
  const { path, query } = target
  const refusal = serving.callers.refusal(request, target.authority)
  if (refusal !== undefined) return refuse(refusal)
  if (request.headers[idempotencyHeader] !== undefined && !isWrite(request.method, path)) {
    return refuse(new InvalidRequest({ message: "Idempotency-Key is for writes under /v1/kv and /key" }))
  }
  const probe = path === "/livez" || path === "/readyz"
  if (serving.draining && !probe) return refuse(new Shutdown())
  const method = request.method
  if (path.startsWith("/v1/kv/")) {
    return EntryRoutes.isEntryMethod(method)
      ? EntryRoutes.servePath(serving, request, response, method, path.slice(7), query, expectsContinue)
      : refuse(new NotFound({ message: `no such route: ${method} /v1/kv/{key}` }))
  }
  if (path === "/key" || path.startsWith("/key/")) {
    if (isConditional(request)) return refuse(unconditional)
    return KeyRoutes.isKeyMethod(method)
      ? KeyRoutes.serve(serving, request, response, method, path.slice(4), query, expectsContinue)
      : refuse(new NotFound({ message: `no such route: ${method} /key` }))
  }
  const parsed = parseQuery(query)
  if (Result.isFailure(parsed)) return refuse(parsed.failure)
  if (path === "/v1/kv" && parsed.success.has("key") && EntryRoutes.isEntryMethod(method)) {
    return EntryRoutes.serveQuery(serving, request, response, method, parsed.success, expectsContinue)
  }
  if (isConditional(request)) return refuse(unconditional)
  if (path === "/v1/snapshot" && (method === "GET" || method === "HEAD")) {
    return SnapshotRoute.serve(serving, request, response, parsed.success)
  }
  if (parsed.success.size > 0 && plainPaths.has(path)) {
    return refuse(new InvalidRequest({ message: `${path} has no parameters` }))
  }
  const json = (method === "POST" && jsonPaths.has(path)) ||
    (method === "PATCH" && path.startsWith("/v1/cluster/members/"))
  if (json && !isJson(request.headers["content-type"], request.headers["content-encoding"])) {
    dropBody(request)
    return refuse(new InvalidRequest({ message: "the Content-Type is not application/json" }), 415)
  }
  const tooLarge = refuseDeclared(request, maxJsonBytes)
  if (tooLarge !== undefined) {
    dropBody(request)
    return refuse(tooLarge)
  }
  if (expectsContinue) response.writeContinue()
  route(serving, routed, request, response, target)
}

const isWrite = (method: string | undefined, path: string): boolean =>
  method !== "GET" && method !== "HEAD" && /^\/(v1\/kv|key)(\/|$)/.test(path)

const unconditional = new InvalidRequest({
  message: "If-Match and If-None-Match are for single entries under /v1/kv"
})

/** A precondition that is not evaluated must not be ignored either. */
const isConditional = (request: IncomingMessage): boolean =>
  request.headers["if-match"] !== undefined || request.headers["if-none-match"] !== undefined

const route = (
  serving: Serving,
  routed: Routed,
  request: IncomingMessage,
  response: ServerResponse,
  target: RequestTarget
): void => {
  // The router would take an absolute target's host for a path.
  request.url = target.query === "" ? target.path : `${target.path}?${target.query}`
  limitWriting(response, longestCallMs + serving.writeTimeoutMs)
  routed(request, response)
}

/** JSON in UTF-8, as it is: with no other charset and no encoding. */
const isJson = (type: string | undefined, encoding: string | undefined): boolean =>
  type !== undefined && /^application\/json\s*(;\s*charset\s*=\s*"?utf-8"?\s*)?$/i.test(type) &&
  (encoding === undefined || encoding === "identity")
