/** The calls for one entry: asks the service, and words its answer for HTTP. */
import {
  CompareFailed,
  DeadlineExceeded,
  type DeleteResult,
  type DistKv,
  type KeyNotFound,
  type ReadEntry,
  type ReadError,
  type SetResult,
  type WriteError
} from "@distkv/core"
import { Clock, Effect, Result } from "effect"
import { type Answer, jsonAnswer, jsonHeaders, noCache } from "./Answer.ts"
import type { DeleteRequest, GetRequest, PutRequest } from "./EntryRequest.ts"
import type { HeaderLines } from "./Head.ts"
import type { NodeView } from "./NodeView.ts"
import { maxTimeoutMs } from "./Parameters.ts"
import { matches } from "./Preconditions.ts"
import { entryText } from "./Wire.ts"

type Service = typeof DistKv.Service

/** What content of unknown origin is served with: it is never a page, a script or a style sheet of this origin. */
const rawHeaders: HeaderLines = "Content-Type: application/octet-stream\r\nX-Content-Type-Options: nosniff\r\n" +
  `Content-Security-Policy: sandbox\r\n${noCache}`

/** A read's answer. A match of `If-None-Match` is decided on what was read, thus at the consistency asked for. */
export const getAnswer = (view: NodeView, request: GetRequest, entry: ReadEntry): Answer => {
  const { ifNoneMatch } = request
  if (ifNoneMatch !== undefined && matches(ifNoneMatch, entry.modRevision)) {
    return { status: 304, headers: entryHeaders(noCache, view, entry), body: null }
  }
  return request.json
    ? { status: 200, headers: entryHeaders(jsonHeaders, view, entry), body: entryText(entry) }
    : { status: 200, headers: entryHeaders(rawHeaders, view, entry), body: entry.value }
}

/** What the answer that a key is absent says: at which consistency that was read. */
export const absentHeaders = ({ consistency }: KeyNotFound): HeaderLines =>
  `Vary: Accept\r\nDistkv-Consistency: ${consistency ?? "linearizable"}\r\n`

/** These headers, and what is said of an entry. */
const entryHeaders = (first: HeaderLines, view: NodeView, entry: ReadEntry): HeaderLines => {
  const lines = `${first}ETag: "${entry.modRevision}"\r\nVary: Accept\r\nDistkv-Consistency: ${entry.consistency}\r\n` +
    `Distkv-Create-Revision: ${entry.createRevision}\r\nDistkv-Version: ${entry.version}\r\n` +
    view.headers(entry.revision)
  return entry.leaseId === null ? lines : `${lines}Distkv-Lease: ${entry.leaseId}\r\n`
}

/** A write of `value` on a condition that is not a revision. */
export const putMatching = (
  kv: Service,
  view: NodeView,
  request: PutRequest,
  value: Uint8Array
): Effect.Effect<Answer, WriteError> => {
  const { ifMatch, key, options } = request
  const written = ifMatch?._tag === "Any"
    ? setPresent(kv, request, value)
    : failComparison(kv, key, options.timeout)
  return Effect.map(written, (result) => putAnswer(view, result))
}

/** A write's answer. */
export const putAnswer = (view: NodeView, result: SetResult): Answer => {
  const previous = result.previous === undefined
    ? ""
    : `,"previous":${result.previous === null ? "null" : entryText(result.previous)}`
  const revision = `"${result.revision}"`
  const headers = `${jsonHeaders}${view.headers(result.revision)}ETag: ${revision}\r\n`
  return { status: 200, headers, body: `{"revision":${revision},"created":${result.created}${previous}}` }
}

/** A delete on a condition that is not a revision. */
export const removeMatching = (
  kv: Service,
  view: NodeView,
  request: DeleteRequest
): Effect.Effect<Answer, WriteError> => {
  const { ifMatch, key, options } = request
  const removed = ifMatch?._tag === "Any"
    ? Effect.flatMap(kv.delete(key, options), failAbsent)
    : failComparison(kv, key, options.timeout)
  return Effect.map(removed, (result) => removeAnswer(view, result))
}

/** A delete's answer. */
export const removeAnswer = (view: NodeView, result: DeleteResult): Answer =>
  jsonAnswer(`{"revision":"${result.revision}","deleted":${result.deleted}}`, view.headers(result.revision))

/** `If-Match: *` on an absent key: the delete changed nothing, and the precondition did not hold. */
const failAbsent = (result: DeleteResult): Effect.Effect<DeleteResult, CompareFailed> =>
  result.deleted
    ? Effect.succeed(result)
    : Effect.fail(new CompareFailed({ current: null, revision: result.revision }))

/** A tag that no entry can have: fails with the entry as a linearizable read shows it, and enters no log. */
const failComparison = (
  kv: Service,
  key: string,
  timeout: SetOptionsTimeout
): Effect.Effect<never, CompareFailed | ReadError> =>
  Effect.flatMap(read(kv, key, timeout), (current) => Effect.fail(new CompareFailed(current)))

type SetOptionsTimeout = PutRequest["options"]["timeout"]

const read = (kv: Service, key: string, timeout: SetOptionsTimeout) =>
  kv.get(key, { timeout }).pipe(
    Effect.map((entry) => ({ current: entryOf(entry), revision: entry.revision })),
    Effect.catchTag("KeyNotFound", (absent) => Effect.succeed({ current: null, revision: absent.revision }))
  )

const entryOf = ({ createRevision, key, leaseId, modRevision, value, version }: ReadEntry) => ({
  key,
  value,
  createRevision,
  modRevision,
  version,
  leaseId
})

/**
 * `If-Match: *` on `PUT`: writes only while the key is present.
 *
 * The log knows no such guard, so the entry is read and replaced by compare-and-set, again while others change it
 * first, within the deadline. The one that succeeds is decided when it is applied, like every precondition.
 */
const setPresent = Effect.fnUntraced(function*(
  kv: Service,
  request: PutRequest,
  value: Uint8Array
): Effect.fn.Return<SetResult, WriteError> {
  const nowMs = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)
  const timeoutMs = typeof request.options.timeout === "number" ? request.options.timeout : defaultTimeoutMs
  const deadline = (yield* nowMs) + Math.min(timeoutMs, maxTimeoutMs)
  let { current, revision } = yield* read(kv, request.key, timeoutMs)
  while (true) {
    if (current === null) return yield* new CompareFailed({ current, revision })
    const leftMs = Math.floor(deadline - (yield* nowMs))
    if (leftMs < 1) {
      return yield* new DeadlineExceeded({ message: "others kept changing the entry until the deadline" })
    }
    const attempt = yield* Effect.result(
      kv.set(request.key, value, { ...request.options, ifRevision: current.modRevision, timeout: leftMs })
    )
    if (Result.isSuccess(attempt)) return attempt.success
    if (attempt.failure._tag !== "CompareFailed") return yield* attempt.failure
    current = attempt.failure.current
    revision = attempt.failure.revision
  }
})

const defaultTimeoutMs = 5000
