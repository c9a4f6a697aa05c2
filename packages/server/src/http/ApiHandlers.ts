/** The calls that Effect's router serves: decode, ask the service, encode. */
import {
  type DeleteRangeOptions,
  type DistKvError,
  InvalidRequest,
  type ListOptions,
  type Member,
  type MemberStatus,
  type Status
} from "@distkv/core"
import { Cause, Effect, Exit, Layer } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { createHash } from "node:crypto"
import { type Answer, jsonAnswer, noCache, problemAnswer } from "./Answer.ts"
import { ServedApi } from "./Api.ts"
import { pairsOf } from "./Head.ts"
import * as Health from "./Health.ts"
import { idempotencyHeader, parseIdempotencyKey } from "./Idempotency.ts"
import { defect, problemOf } from "./Problem.ts"
import type { ProcessSample } from "./Prometheus.ts"
import * as Prometheus from "./Prometheus.ts"
import type { Operation } from "./RequestMetrics.ts"
import type { Serving } from "./Serving.ts"
import { type ClusterJson, type EncryptionJson, entryText, type MemberJson, outcomeText } from "./Wire.ts"

/** An answer as Effect's server sends it. */
export const toResponse = (answer: Answer): HttpServerResponse.HttpServerResponse => {
  const headers: Record<string, string> = {}
  let contentType = "text/plain"
  const pairs = pairsOf(answer.headers)
  for (let i = 0; i < pairs.length; i += 2) {
    const name = (pairs[i] ?? "").toLowerCase()
    const value = pairs[i + 1] ?? ""
    if (name === "content-type") contentType = value
    else headers[name] = value
  }
  const options = { status: answer.status, headers, contentType }
  return typeof answer.body === "string"
    ? HttpServerResponse.text(answer.body, options)
    : answer.body === null
    ? HttpServerResponse.empty(options)
    : HttpServerResponse.uint8Array(answer.body, options)
}

/** Runs a call and words its outcome, counted and timed; its failures become answers. */
const answering = (
  serving: Serving,
  operation: Operation,
  call: Effect.Effect<Answer, DistKvError>
): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.suspend(() => {
    const startedMs = serving.metrics.begin()
    let outcome = "ok"
    return call.pipe(
      Effect.catch((error) => {
        outcome = error._tag
        return Effect.succeed(problemAnswer(problemOf(error), serving.view.failureHeaders(error)))
      }),
      Effect.map(toResponse),
      Effect.onExit((exit) =>
        Effect.sync(() => {
          if (Exit.isFailure(exit)) outcome = Cause.hasInterruptsOnly(exit.cause) ? "aborted" : defect.code
          serving.metrics.end(operation, outcome, startedMs)
        })
      )
    )
  })

const list = (serving: Serving, options: ListOptions): Effect.Effect<Answer, DistKvError> =>
  options.prefix !== undefined && (options.from !== undefined || options.to !== undefined)
    ? Effect.fail(new InvalidRequest({ message: "prefix and from or to contradict each other" }))
    : Effect.map(serving.kv.list(options), (page) =>
      jsonAnswer(
        `{"revision":"${page.revision}","entries":[${page.entries.map((entry) => entryText(entry)).join(",")}],` +
          `"more":${page.more}}`,
        `${serving.view.headers(page.revision)}Distkv-Consistency: ${page.consistency}\r\n`
      ))

const deleteRange = (serving: Serving, options: DeleteRangeOptions): Effect.Effect<Answer, DistKvError> => {
  const range = options.from !== undefined || options.to !== undefined
  const ways = (options.prefix === undefined ? 0 : 1) + (range ? 1 : 0) + (options.all === undefined ? 0 : 1)
  if (ways !== 1) {
    return Effect.fail(new InvalidRequest({ message: "say which: one of prefix, from and to, or all=true" }))
  }
  if (options.prefix === "" || options.from === "" || options.to === "") {
    return Effect.fail(new InvalidRequest({ message: "prefix, from and to are not empty; all=true deletes all" }))
  }
  return Effect.map(serving.kv.deleteRange(options), (result) =>
    jsonAnswer(
      `{"revision":"${result.revision}","deleted":${result.deleted}}`,
      serving.view.headers(result.revision)
    ))
}

/** A key's fingerprint as OpenSSH writes it. */
export const fingerprintOf = (publicKey: string): string =>
  `SHA256:${
    createHash("sha256").update(Buffer.from(publicKey.split(" ")[1] ?? "", "base64")).digest("base64").replace(
      /=+$/,
      ""
    )
  }`

const memberJson = (status: Status, member: MemberStatus): MemberJson => ({
  id: member.id,
  address: member.address,
  http: member.http,
  role: member.id === status.nodeId
    ? status.role
    : member.id === status.leader
    ? "leader"
    : member.standing === "voter"
    ? "follower"
    : "learner",
  voter: member.standing === "voter",
  healthy: member.healthy,
  lastContactMs: member.lastContactMs,
  match: member.match,
  lag: member.lag,
  version: member.version,
  fingerprint: fingerprintOf(member.publicKey),
  missingKeys: member.missingKeys
})

/** A status as `/v1/cluster` tells it. */
const clusterJson = (status: Status, encryption: EncryptionJson | null): ClusterJson => ({
  clusterId: status.clusterId,
  nodeId: status.nodeId,
  role: status.role,
  term: status.term,
  leader: status.leader,
  commit: status.commit,
  applied: status.applied,
  failureTolerance: status.failureTolerance,
  ...(encryption === null ? {} : { encryption }),
  ...(status.refused === null ? {} : { refused: status.refused }),
  members: status.members.map((member) => memberJson(status, member))
})

/** A whole number as the wire's decimal string. */
const text = (value: number | null): string | null => (value === null ? null : String(value))

const encodeCluster = (json: ClusterJson): string =>
  JSON.stringify({
    ...json,
    term: text(json.term),
    commit: text(json.commit),
    applied: text(json.applied),
    members: json.members.map((member) => ({ ...member, match: text(member.match) }))
  })

const cluster = (serving: Serving): Effect.Effect<Answer, DistKvError> =>
  Effect.map(
    serving.kv.status,
    (status) =>
      jsonAnswer(encodeCluster(clusterJson(status, serving.encryption)), serving.view.headers(status.revision))
  )

const plain = (status: number, body: string, contentType = "text/plain; charset=utf-8"): Answer => {
  const headers = `Content-Type: ${contentType}\r\n${noCache}`
  return { status, headers: status === 503 ? `${headers}Retry-After: 1\r\n` : headers, body }
}

const ranges = (serving: Serving) =>
  HttpApiBuilder.group(ServedApi, "ranges", (handlers) =>
    handlers.handleAll({
      list: ({ query }) => answering(serving, "list", list(serving, query)),
      deleteRange: ({ headers, query: { all, ...range } }) =>
        answering(
          serving,
          "delete_range",
          Effect.flatMap(
            Effect.fromResult(parseIdempotencyKey(headers[idempotencyHeader])),
            (idempotencyKey) =>
              deleteRange(serving, {
                ...range,
                ...(all === undefined ? {} : { all: true }),
                ...(idempotencyKey === undefined ? {} : { idempotencyKey })
              })
          )
        )
    }))

const memberAnswer = (serving: Serving, { address, http, id, publicKey, standing }: Member): Answer =>
  jsonAnswer(JSON.stringify({ id, address, http, publicKey, standing }), serving.view.headers())

const sessionCalls = (serving: Serving) =>
  HttpApiBuilder.group(ServedApi, "sessions", (handlers) =>
    handlers.handleAll({
      openSession: ({ query }) =>
        answering(
          serving,
          "session",
          Effect.map(
            serving.kv.openSession(query),
            ({ session }) => jsonAnswer(JSON.stringify({ session }), serving.view.headers())
          )
        ),
      outcome: ({ query: { sequence, session, ...options } }) =>
        answering(
          serving,
          "session",
          Effect.map(
            serving.kv.outcome(session, sequence, options),
            (outcome) => jsonAnswer(outcomeText(outcome), serving.view.headers())
          )
        )
    }))

const clusterCalls = (serving: Serving) =>
  HttpApiBuilder.group(ServedApi, "cluster", (handlers) =>
    handlers.handleAll({
      cluster: () => answering(serving, "cluster", cluster(serving)),
      addMember: ({ payload, query }) =>
        answering(
          serving,
          "cluster",
          Effect.map(serving.kv.members.add(payload, query), (member) => memberAnswer(serving, member))
        ),
      removeMember: ({ params, query }) =>
        answering(
          serving,
          "cluster",
          Effect.map(
            serving.kv.members.remove(params.id, query),
            () => jsonAnswer(JSON.stringify({ id: params.id }), serving.view.headers())
          )
        ),
      updateAddress: ({ params, payload, query }) =>
        answering(
          serving,
          "cluster",
          Effect.map(
            serving.kv.members.updateAddress(params.id, payload.address, query),
            (member) => memberAnswer(serving, member)
          )
        ),
      promoteMember: ({ params, query }) =>
        answering(
          serving,
          "cluster",
          Effect.map(serving.kv.members.promote(params.id, query), (member) => memberAnswer(serving, member))
        ),
      demoteMember: ({ params, query }) =>
        answering(
          serving,
          "cluster",
          Effect.map(serving.kv.members.demote(params.id, query), (member) => memberAnswer(serving, member))
        ),
      transfer: ({ payload, query }) =>
        answering(
          serving,
          "cluster",
          Effect.map(serving.kv.transferLeadership(payload.to, query), ({ leader, term }) =>
            jsonAnswer(JSON.stringify({ leader, term: text(term) }), serving.view.headers()))
        )
    }))

const operations = (serving: Serving, sample: Effect.Effect<ProcessSample>) =>
  HttpApiBuilder.group(ServedApi, "operations", (handlers) =>
    handlers.handleAll({
      livez: () =>
        Effect.sync(() => {
          const probe = Health.live(serving)
          return toResponse(plain(probe.ok ? 200 : 503, probe.text))
        }),
      readyz: ({ query }) =>
        Effect.map(
          Health.ready(serving, query.verbose !== undefined && query.verbose !== "false"),
          (probe) => toResponse(plain(probe.ok ? 200 : 503, probe.text))
        ),
      metrics: () =>
        answering(
          serving,
          "other",
          Effect.gen(function*() {
            const page = Prometheus.render(
              yield* serving.kv.status,
              yield* serving.kv.metrics,
              serving.metrics,
              yield* sample
            )
            return plain(200, page, Prometheus.prometheusType)
          })
        )
    }))

/** The routes of `ServedApi`. */
export const layerHandlers = (serving: Serving, sample: Effect.Effect<ProcessSample>) =>
  HttpApiBuilder.layer(ServedApi).pipe(
    Layer.provide([ranges(serving), sessionCalls(serving), clusterCalls(serving), operations(serving, sample)])
  )
