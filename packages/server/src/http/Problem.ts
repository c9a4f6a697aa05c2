/**
 * Failures on the wire: `application/problem+json` (RFC 9457) with the error's tag as `code`, whether the command
 * took effect as `applied`, and the error's own fields.
 */
import {
  CompareFailed,
  DeadlineExceeded,
  type DistKvError,
  Forbidden,
  InvalidRequest,
  KeyNotFound,
  MembershipRejected,
  NoLeader,
  NotFound,
  OutcomeUnknown,
  Overloaded,
  SessionExpired,
  Shutdown,
  StorageFailed,
  StorageFull
} from "@distkv/core"
import { Option, Schema } from "effect"
import { CurrentJson, entryText, maxCurrentValueBytes, RevisionText } from "./Wire.ts"

/** What every failure looks like. */
export const ProblemJson = Schema.StructWithRest(
  Schema.Struct({
    type: Schema.String,
    title: Schema.String,
    status: Schema.Int,
    detail: Schema.String,
    code: Schema.String,
    applied: Schema.NullOr(Schema.Literals(["no", "unknown"]))
  }),
  [Schema.Record(Schema.String, Schema.Unknown)]
)

/** The media type of a failure. */
export const problemType = "application/problem+json"

const titles: Readonly<Record<number, string>> = {
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  408: "Request Timeout",
  409: "Conflict",
  410: "Gone",
  412: "Precondition Failed",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  507: "Insufficient Storage"
}

/** The status' own phrase. */
export const titleOf = (status: number): string => titles[status] ?? "Error"

/** A failure ready to be sent; `retryAfterMs` is null where waiting would not help. */
export interface Problem {
  readonly status: number
  readonly code: string
  readonly body: string
  readonly retryAfterMs: number | null
  readonly close: boolean
}

/** How long a caller should wait when the error does not say, in milliseconds. */
const defaultRetryAfterMs = 1000

/** The status that an error is answered with; `http.md`, "Failures". */
export const statusOf = (error: DistKvError): number => {
  switch (error._tag) {
    case "InvalidRequest":
      return error.tooLarge === true ? 413 : error.reused === true ? 409 : 400
    case "Forbidden":
      return 403
    case "KeyNotFound":
    case "NotFound":
      return 404
    case "MembershipRejected":
      return 409
    case "SessionExpired":
      return 410
    case "CompareFailed":
      return 412
    case "Overloaded":
      return 429
    case "NoLeader":
    case "DeadlineExceeded":
    case "Shutdown":
    case "AlreadyOpened":
      return 503
    case "OutcomeUnknown":
    case "StorageFailed":
      return 504
    case "StorageFull":
      return 507
  }
}

const fieldsOf = (error: DistKvError): string => {
  switch (error._tag) {
    case "KeyNotFound":
      return `,"key":${JSON.stringify(error.key)},"revision":"${error.revision}"`
    case "InvalidRequest":
      return (error.tooLarge === true ? ',"tooLarge":true' : "") + (error.reused === true ? ',"reused":true' : "")
    case "CompareFailed": {
      const current = error.current === null
        ? "null"
        : entryText(error.current, error.current.value.byteLength <= maxCurrentValueBytes)
      return `,"current":${current},"revision":"${error.revision}"`
    }
    case "MembershipRejected":
      return `,"reason":${JSON.stringify(error.reason)},"final":${error.final}`
    case "SessionExpired":
      return `,"session":${JSON.stringify(error.session)},"sequence":${JSON.stringify(error.sequence)}`
    case "OutcomeUnknown":
      return (error.session === undefined ? "" : `,"session":${JSON.stringify(error.session)}`) +
        (error.sequence === undefined ? "" : `,"sequence":${JSON.stringify(error.sequence)}`)
    default:
      return ""
  }
}

/** The failure that tells a caller of `error`; `status` overrides the table, where no command exists yet. */
export const problemOf = (error: DistKvError, status = statusOf(error)): Problem => {
  const retryAfterMs = error._tag === "Overloaded"
    ? error.retryAfterMs
    : status === 429 || status === 503
    ? defaultRetryAfterMs
    : null
  const retry = retryAfterMs === null ? "" : `,"retryAfterMs":${retryAfterMs}`
  return {
    status,
    code: error._tag,
    retryAfterMs,
    close: error._tag === "Shutdown",
    body: `{"type":"about:blank","title":${JSON.stringify(titleOf(status))},"status":${status},` +
      `"detail":${JSON.stringify(error.message)},"code":"${error._tag}",` +
      `"applied":${JSON.stringify(error.applied)}${retry}${fieldsOf(error)}}`
  }
}

/** The failure of a request that ran into a defect of ours: whether it took effect is not known. */
export const defect: Problem = {
  status: 500,
  code: "InternalError",
  retryAfterMs: null,
  close: false,
  body: '{"type":"about:blank","title":"Internal Server Error","status":500,' +
    '"detail":"the node met an unexpected condition; its log says more","code":"InternalError",' +
    '"applied":"unknown"}'
}

/** `Retry-After` in whole seconds, at least 1. */
export const retryAfterSeconds = (ms: number): number => Math.max(1, Math.ceil(ms / 1000))

const KeyNotFoundJson = Schema.Struct({ key: Schema.String, revision: RevisionText })
const CompareFailedJson = Schema.Struct({ current: Schema.NullOr(CurrentJson), revision: RevisionText })
const MembershipRejectedJson = Schema.Struct({ reason: Schema.String, final: Schema.Boolean })
const OutcomeUnknownJson = Schema.Struct({
  session: Schema.optionalKey(Schema.String),
  sequence: Schema.optionalKey(Schema.String)
})
const SessionExpiredJson = Schema.Struct({ session: Schema.String, sequence: Schema.String })
const OverloadedJson = Schema.Struct({ retryAfterMs: Schema.Int })

const decodeProblem = Schema.decodeUnknownOption(Schema.fromJsonString(ProblemJson))
const decodeFields = <S extends Schema.ConstraintDecoder<unknown>>(schema: S, body: unknown) =>
  Option.getOrUndefined(Schema.decodeUnknownOption(schema)(body))

/**
 * The error that a failure tells of, or undefined where the reply is no failure of distkv's.
 *
 * A `CompareFailed` whose current value was left out for its size carries an empty value; its revisions are right.
 */
export const errorOf = (text: string): DistKvError | undefined => {
  const problem = Option.getOrUndefined(decodeProblem(text))
  if (problem === undefined) return undefined
  const message = problem.detail
  switch (problem.code) {
    case "KeyNotFound": {
      const fields = decodeFields(KeyNotFoundJson, problem)
      return fields && new KeyNotFound(fields)
    }
    case "InvalidRequest":
      return new InvalidRequest({
        message,
        ...(problem.tooLarge === true ? { tooLarge: true } : {}),
        ...(problem.reused === true ? { reused: true } : {})
      })
    case "CompareFailed": {
      const fields = decodeFields(CompareFailedJson, problem)
      if (fields === undefined) return undefined
      const current = fields.current
      return new CompareFailed({
        revision: fields.revision,
        current: current === null
          ? null
          : {
            key: current.key,
            value: current.value ?? new Uint8Array(),
            createRevision: current.createRevision,
            modRevision: current.modRevision,
            version: current.version,
            leaseId: current.lease
          }
      })
    }
    case "MembershipRejected": {
      const fields = decodeFields(MembershipRejectedJson, problem)
      return fields && new MembershipRejected(fields)
    }
    case "OutcomeUnknown":
      return new OutcomeUnknown({ message, ...decodeFields(OutcomeUnknownJson, problem) })
    case "SessionExpired": {
      const fields = decodeFields(SessionExpiredJson, problem)
      return fields && new SessionExpired({ message, ...fields })
    }
    case "Overloaded": {
      const fields = decodeFields(OverloadedJson, problem)
      return fields && new Overloaded({ message, retryAfterMs: fields.retryAfterMs })
    }
    case "NoLeader":
      return new NoLeader({ message })
    case "DeadlineExceeded":
      return new DeadlineExceeded({ message })
    case "StorageFull":
      return new StorageFull({ message })
    case "StorageFailed":
      return new StorageFailed({ message })
    case "Forbidden":
      return new Forbidden({ message })
    case "NotFound":
      return new NotFound({ message })
    case "Shutdown":
      return new Shutdown()
    default:
      return undefined
  }
}
