/**
 * The bound socket: it exists before the node does, so that the node can say its own HTTP address, even a drawn port.
 *
 * Until a server takes it over, every request is answered 503.
 */
import { InvalidRequest, NoLeader } from "@distkv/core"
import { Context, Effect, Layer, type Scope } from "effect"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { Socket } from "node:net"
import { problemAnswer, writeAnswer } from "./Answer.ts"
import { answerBroken } from "./BrokenRequest.ts"
import { isLoopback } from "./Callers.ts"
import { problemOf } from "./Problem.ts"

/** Handles one request; `expectsContinue` where the client waits for `100 Continue` before it sends its body. */
export type Handler = (request: IncomingMessage, response: ServerResponse, expectsContinue: boolean) => void

export interface HttpListenerOptions {
  /** A loopback name or address; default `127.0.0.1`. Others are refused while there are no credentials. */
  readonly host?: string | undefined
  /** Default 11000; 0 draws a free one. */
  readonly port?: number | undefined
  /** A request's head must have arrived after this many milliseconds; default 10,000. */
  readonly headersTimeoutMs?: number | undefined
  /** A whole request must have arrived after this many milliseconds; default 30,000. */
  readonly requestTimeoutMs?: number | undefined
  /** A connection without a request is closed after this many milliseconds; default 15,000. */
  readonly idleTimeoutMs?: number | undefined
  /** Connections held at once; default 8,192. Further ones are closed as they come. */
  readonly maxConnections?: number | undefined
}

/** No call lasts longer than 60 s, so a socket silent for longer than this has lost its client. */
const silenceTimeoutMs = 75_000

export class HttpListener extends Context.Service<HttpListener, {
  readonly host: string
  readonly port: number
  /** Like `http://127.0.0.1:11000`. */
  readonly url: string
  readonly server: Server
  /** Lets `handler` answer all requests from now on, until the scope closes. */
  readonly serve: (handler: Handler) => Effect.Effect<void, never, Scope.Scope>
}>()("@distkv/server/HttpListener") {
  /** Binds and listens; fails where the address is not loopback, in use or not this machine's. */
  static readonly layer = (options: HttpListenerOptions = {}): Layer.Layer<HttpListener, InvalidRequest> =>
    Layer.effect(HttpListener, listen(options))
}

const starting: Handler = (_request, response) => {
  writeAnswer(response, problemAnswer(problemOf(new NoLeader({ message: "the node is starting" }))), true)
}

const newServer = (options: HttpListenerOptions): Server => {
  const headersTimeout = options.headersTimeoutMs ?? 10_000
  const requestTimeout = Math.max(options.requestTimeoutMs ?? 30_000, headersTimeout)
  const server = createServer({
    headersTimeout,
    requestTimeout,
    keepAliveTimeout: options.idleTimeoutMs ?? 15_000,
    connectionsCheckingInterval: Math.max(50, Math.min(1000, headersTimeout / 4)),
    noDelay: true,
    // Checked by `Callers`, which answers in the interface's own words.
    requireHostHeader: false
  })
  server.timeout = silenceTimeoutMs
  server.maxConnections = options.maxConnections ?? 8192
  return server
}

const listen = Effect.fnUntraced(function*(options: HttpListenerOptions) {
  const host = options.host ?? "127.0.0.1"
  if (!isLoopback(host)) {
    return yield* new InvalidRequest({
      message: `HTTP cannot be bound to ${host}: only loopback addresses are served while there are no credentials`
    })
  }
  const port = options.port ?? 11_000
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    return yield* new InvalidRequest({ message: `${port} is no port` })
  }
  const server = newServer(options)
  const run = Effect.runForkWith(yield* Effect.context())
  const warn = (error: Error) => void run(Effect.logWarning("the HTTP listener met an error", error))
  let handler = starting
  server.on("request", (request: IncomingMessage, response: ServerResponse) => handler(request, response, false))
  server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => handler(request, response, true))
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => answerBroken(error, socket))
  yield* Effect.acquireRelease(bind(server, host.replace(/^\[(.*)\]$/, "$1"), port, warn), () => close(server))
  const address = server.address()
  const bound = typeof address === "object" && address !== null
    ? { host: address.address, port: address.port }
    : { host, port }
  return HttpListener.of({
    ...bound,
    url: `http://${bound.host.includes(":") ? `[${bound.host}]` : bound.host}:${bound.port}`,
    server,
    serve: (next) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          handler = next
        }),
        () =>
          Effect.sync(() => {
            handler = starting
          })
      )
  })
})

const bind = (
  server: Server,
  host: string,
  port: number,
  onLater: (error: Error) => void
): Effect.Effect<void, InvalidRequest> =>
  Effect.callback((resume) => {
    const onError = (error: NodeJS.ErrnoException) =>
      resume(Effect.fail(
        new InvalidRequest({
          message: error.code === "EADDRINUSE"
            ? `HTTP cannot be bound to ${host}:${port}: another program listens there`
            : `HTTP cannot be bound to ${host}:${port}: ${error.message}`
        })
      ))
    server.once("error", onError)
    server.listen({ host, port, backlog: 1024 }, () => {
      server.off("error", onError)
      // Accepting may fail later, where descriptors run out: that connection is lost, the server is not.
      server.on("error", onLater)
      resume(Effect.void)
    })
  })

const close = (server: Server): Effect.Effect<void> =>
  Effect.callback((resume) => {
    server.close(() => resume(Effect.void))
    server.closeAllConnections()
  })
