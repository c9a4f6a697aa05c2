/** Everything that is not hot, through Effect's router; whatever it fails with becomes a failure of the interface. */
import { InvalidRequest, NotFound } from "@distkv/core"
import { ByteSize, Cause, Effect, Layer, Option } from "effect"
import { HttpIncomingMessage, HttpRouter, HttpServer, HttpServerError, HttpServerResponse } from "effect/http"
import { HttpApiError, OpenApi } from "effect/http-api"
import { problemAnswer } from "./Answer.ts"
import { DistKvApi } from "./Api.ts"
import { layerHandlers, toResponse } from "./ApiHandlers.ts"
import { docsPage, docsPolicy, docsScript, docsStyle } from "./DocsPage.ts"
import { defect, type Problem, problemOf } from "./Problem.ts"
import type { ProcessSample } from "./Prometheus.ts"
import type { Serving } from "./Serving.ts"

/** The largest JSON body of a call about the cluster. */
export const maxJsonBytes = 64 * 1024

const docs = (body: string, contentType: string) =>
  HttpServerResponse.text(body, {
    contentType,
    headers: {
      "content-security-policy": docsPolicy,
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cache-control": "no-cache"
    }
  })

const layerDocs = HttpRouter.use((router) =>
  Effect.gen(function*() {
    const document = JSON.stringify(OpenApi.fromApi(DistKvApi))
    yield* router.add("GET", "/openapi.json", Effect.succeed(docs(document, "application/json")))
    yield* router.add("GET", "/docs", Effect.succeed(docs(docsPage, "text/html; charset=utf-8")))
    yield* router.add("GET", "/docs/script.js", Effect.succeed(docs(docsScript, "text/javascript; charset=utf-8")))
    yield* router.add("GET", "/docs/style.css", Effect.succeed(docs(docsStyle, "text/css; charset=utf-8")))
  })
)

/** Paths exactly as they are: a trailing or doubled slash or another case is another path. */
const exactPaths = Layer.succeed(HttpRouter.RouterConfig, {
  ignoreTrailingSlash: false,
  ignoreDuplicateSlashes: false,
  caseSensitive: true,
  maxParamLength: 4096
})

const parts: Readonly<Record<string, string>> = { Query: "the query", Payload: "the body", Params: "the path" }

/** The longest explanation of a refusal; the rest of it would only repeat what the caller sent. */
const maxDetail = 500

const describe = (error: HttpApiError.HttpApiSchemaError): string => {
  const detail = error.cause.message
  return `${parts[error.kind] ?? "the request"}: ${
    detail.length > maxDetail ? `${detail.slice(0, maxDetail).toWellFormed()}…` : detail
  }`
}

/** What the router's own failures mean to the caller; undefined for those that are nobody's fault but ours. */
const problemOfRouting = (failure: unknown): Problem | undefined => {
  if (HttpApiError.HttpApiSchemaError.is(failure)) {
    return failure.kind === "Body" || failure.kind === "ResponseHeaders"
      ? undefined
      : problemOf(new InvalidRequest({ message: describe(failure) }))
  }
  if (!HttpServerError.isHttpServerError(failure)) return undefined
  switch (failure.reason._tag) {
    case "RouteNotFound":
      return problemOf(new NotFound({ message: "no such route" }))
    case "RequestParseError":
      return failure.reason.reason === "BodyTooLarge"
        ? problemOf(new InvalidRequest({ message: `the body is larger than ${maxJsonBytes} bytes`, tooLarge: true }))
        : problemOf(new InvalidRequest({ message: "the request could not be read" }))
    default:
      return undefined
  }
}

const recover = (serving: Serving, cause: Cause.Cause<unknown>) =>
  Effect.gen(function*() {
    if (Cause.hasInterruptsOnly(cause)) return yield* Effect.failCause(cause as Cause.Cause<never>)
    const failure = Option.getOrElse(Cause.findErrorOption(cause), () => Cause.squash(cause))
    const problem = problemOfRouting(failure)
    if (problem === undefined) yield* Effect.logError("a request met a defect", cause)
    return toResponse(problemAnswer(problem ?? defect, serving.view.headers()))
  })

/** The routes as one effect on the current request; never fails but by interruption. */
export const make = (serving: Serving, sample: Effect.Effect<ProcessSample>) =>
  Effect.gen(function*() {
    const routed = yield* HttpRouter.toHttpEffect(Layer.mergeAll(layerHandlers(serving, sample), layerDocs))
    return routed.pipe(
      Effect.catchCause((cause) => recover(serving, cause)),
      Effect.map((response) =>
        serving.draining ? HttpServerResponse.setHeader(response, "connection", "close") : response
      ),
      Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(maxJsonBytes))
    )
  }).pipe(Effect.provide([HttpServer.layerServices, exactPaths]))
