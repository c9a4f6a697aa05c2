/**
 * Asks the endpoints in turn, within one deadline.
 *
 * The next endpoint is asked only when it is certain that the call took no effect at the one before; a write whose
 * reply was lost is never sent again.
 */
import { DeadlineExceeded, type DistKvError, InvalidRequest, OutcomeUnknown } from "@distkv/core"
import { Clock, Duration, Effect, Result, Schema } from "effect"
import { errorOf } from "../Problem.ts"
import { type Call, exchange, type NoReply, type Reply } from "./exchange.ts"

/** No endpoint could be reached, or none answered as a distkv node: for sure nothing took effect. */
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", { message: Schema.String }) {
  readonly applied = "no"
}

/**
 * Whether repeating a call is harmless (`read`), or could apply it twice (`write`). A `keyed` one is a write that takes
 * effect once however often it is sent.
 */
export type Kind = "read" | "write" | "keyed"

export interface Endpoints {
  /** The reply of the first endpoint that did the call, or why none did. */
  readonly ask: (
    kind: Kind,
    timeout: Duration.Input | undefined,
    call: (timeoutMs: number) => Call
  ) => Effect.Effect<Reply, DistKvError | Unreachable>
}

const defaultTimeoutMs = 5000
const maxTimeoutMs = 60_000

/** What a node gets on top of the deadline to tell of it. */
const graceMs = 1000

const isOk = (status: number): boolean => status >= 200 && status < 300

const decoder = new TextDecoder()

/** The failure that a reply or its absence means. */
const failureOf = (kind: Kind, endpoint: string, reply: Reply): DistKvError | Unreachable => {
  const error = errorOf(decoder.decode(reply.body))
  if (error !== undefined) return error
  const message = `${endpoint} answered ${reply.status}, not as a distkv node does`
  return kind !== "read" && reply.status >= 500 ? new OutcomeUnknown({ message }) : new Unreachable({ message })
}

const lostOf = (kind: Kind, lost: NoReply): DistKvError | Unreachable =>
  kind !== "read" && lost.sent
    ? new OutcomeUnknown({ message: lost.detail })
    : new Unreachable({ message: lost.detail })

/** Whether another endpoint may do what this one did not. */
const mayGoOn = (kind: Kind, failure: DistKvError | Unreachable): boolean => {
  switch (failure._tag) {
    case "NoLeader":
    case "Shutdown":
    case "Overloaded":
    case "Unreachable":
      return true
    case "StorageFailed":
    case "DeadlineExceeded":
      return kind !== "write"
    case "OutcomeUnknown":
      return kind === "keyed"
    default:
      return false
  }
}

const parseTimeout = (input: Duration.Input | undefined): Result.Result<number, InvalidRequest> => {
  const ms = input === undefined ? defaultTimeoutMs : Math.ceil(Duration.toMillis(input))
  return ms >= 1 && ms <= maxTimeoutMs
    ? Result.succeed(ms)
    : Result.fail(new InvalidRequest({ message: `a timeout is between 1 ms and ${maxTimeoutMs} ms` }))
}

const parseEndpoint = (text: string): Result.Result<string, InvalidRequest> => {
  const url = URL.parse(text)
  const invalid = url === null || (url.protocol !== "http:" && url.protocol !== "https:") || url.pathname !== "/" ||
    url.search !== "" || url.hash !== "" || url.username !== "" || url.password !== ""
  return invalid
    ? Result.fail(new InvalidRequest({ message: `not an endpoint like http://127.0.0.1:11000: ${text}` }))
    : Result.succeed(url.origin)
}

const monotonicMs = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)

const make = (endpoints: ReadonlyArray<string>): Endpoints => {
  // The one that answered last is asked first, so that a dead endpoint costs one attempt and not one per call.
  let preferred = 0
  return {
    ask: Effect.fnUntraced(function*(kind, timeout, call) {
      const timeoutMs = yield* Effect.fromResult(parseTimeout(timeout))
      const deadline = (yield* monotonicMs) + timeoutMs
      const first = preferred
      let unknown: DistKvError | null = null
      let failure: DistKvError | Unreachable = new DeadlineExceeded({ message: "the deadline passed before a reply" })
      for (let i = 0; i < endpoints.length; i++) {
        const at = (first + i) % endpoints.length
        const endpoint = endpoints[at] ?? ""
        const leftMs = Math.floor(deadline - (yield* monotonicMs))
        if (leftMs < 1) break
        const attempt = yield* Effect.result(exchange(endpoint, call(leftMs), Duration.millis(leftMs + graceMs)))
        if (Result.isSuccess(attempt) && isOk(attempt.success.status)) {
          preferred = at
          return attempt.success
        }
        failure = Result.isSuccess(attempt)
          ? failureOf(kind, endpoint, attempt.success)
          : lostOf(kind, attempt.failure)
        if (failure._tag === "OutcomeUnknown") unknown = failure
        if (!mayGoOn(kind, failure)) break
      }
      // An earlier attempt may have taken effect, whatever the last one says of itself.
      return yield* Effect.fail(unknown !== null && failure.applied === "no" ? unknown : failure)
    })
  }
}

/** Checks the URLs, at least one, of the form `http://host:port`. */
export const fromUrls = (urls: ReadonlyArray<string>): Result.Result<Endpoints, InvalidRequest> => {
  if (urls.length === 0) return Result.fail(new InvalidRequest({ message: "at least one endpoint is needed" }))
  const endpoints: Array<string> = []
  for (const url of urls) {
    const endpoint = parseEndpoint(url)
    if (Result.isFailure(endpoint)) return Result.fail(endpoint.failure)
    endpoints.push(endpoint.success)
  }
  return Result.succeed(make(endpoints))
}
