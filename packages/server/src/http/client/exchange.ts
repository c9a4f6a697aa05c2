/** One HTTP exchange with one endpoint, and what is known when it fails. */
import { Cause, Duration, Effect } from "effect"

/** A request to one endpoint; `target` begins with a slash and is sent as it is. */
export interface Call {
  readonly method: "GET" | "PUT" | "POST" | "PATCH" | "DELETE"
  readonly target: string
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: Uint8Array | string | undefined
}

export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly body: Uint8Array
}

/** No reply. `sent` is false only where the request certainly never reached the endpoint. */
export class NoReply {
  readonly _tag = "NoReply"
  readonly sent: boolean
  readonly detail: string
  constructor(sent: boolean, detail: string) {
    this.sent = sent
    this.detail = detail
  }
}

interface SystemError {
  readonly code?: unknown
  readonly syscall?: unknown
  readonly message?: unknown
  readonly cause?: unknown
  readonly errors?: ReadonlyArray<unknown>
}

const asSystemError = (value: unknown): SystemError => typeof value === "object" && value !== null ? value : {}

/** Whether a failure of `fetch` happened before a connection stood, so that nothing was sent. */
const beforeConnection = (thrown: unknown): boolean => {
  const error = asSystemError(thrown)
  if (error.syscall === "connect" || error.syscall === "getaddrinfo" || error.code === "UND_ERR_CONNECT_TIMEOUT") {
    return true
  }
  // What `fetch` says of the ports that it refuses to connect to.
  if (error.message === "bad port") return true
  if (error.errors !== undefined && error.errors.length > 0) return error.errors.every(beforeConnection)
  return error.cause !== undefined && beforeConnection(error.cause)
}

const describe = (thrown: unknown): string => {
  const error = asSystemError(thrown)
  const cause = asSystemError(error.cause)
  return String(cause.code ?? cause.message ?? error.message ?? thrown)
}

/** Sends the call and reads the whole reply; fails with `NoReply`, at the latest after `timeout`. */
export const exchange = (endpoint: string, call: Call, timeout: Duration.Duration): Effect.Effect<Reply, NoReply> =>
  Effect.tryPromise({
    try: async (signal): Promise<Reply> => {
      const response = await fetch(endpoint + call.target, {
        method: call.method,
        redirect: "error",
        signal,
        ...(call.headers === undefined ? {} : { headers: call.headers }),
        ...(call.body === undefined ? {} : { body: call.body })
      })
      return { status: response.status, headers: response.headers, body: new Uint8Array(await response.arrayBuffer()) }
    },
    catch: (thrown) => new NoReply(!beforeConnection(thrown), `${endpoint}: ${describe(thrown)}`)
  }).pipe(
    Effect.timeout(timeout),
    Effect.catchIf(
      Cause.isTimeoutError,
      () => Effect.fail(new NoReply(true, `${endpoint}: no reply within ${Duration.toMillis(timeout)} ms`))
    )
  )
