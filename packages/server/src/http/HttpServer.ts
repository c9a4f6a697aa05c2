/** The HTTP interface of one node: `DistKv` served on an `HttpListener`. */
import { DistKv, type InvalidRequest } from "@distkv/core"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Context, Duration, Effect, Layer, type Scope } from "effect"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { Callers } from "./Callers.ts"
import * as Dispatcher from "./Dispatcher.ts"
import { Heads } from "./Head.ts"
import { hotCalls } from "./HotCalls.ts"
import { HttpListener, type HttpListenerOptions } from "./HttpListener.ts"
import { NodeView } from "./NodeView.ts"
import { Outbox } from "./Outbox.ts"
import type { ProcessSample } from "./Prometheus.ts"
import { BodyBudget } from "./RequestBody.ts"
import { RequestMetrics } from "./RequestMetrics.ts"
import * as RoutedApp from "./RoutedApp.ts"
import type { Serving } from "./Serving.ts"
import type { EncryptionJson } from "./Wire.ts"

export interface HttpServerOptions {
  /** The largest value, in bytes, as in the node's settings; default 1 MiB. */
  readonly maxValueBytes?: number | undefined
  /** Bytes of bodies being received at once; default 256 MiB. */
  readonly maxBodyBytes?: number | undefined
  /** A reply that its client has not taken by then is given up; default 30 s. */
  readonly writeTimeout?: Duration.Input | undefined
  /** How long requests in flight may take to finish when the server closes; default 5 s. */
  readonly drainTimeout?: Duration.Input | undefined
  /** What encrypts this node's packets to the others, for `/v1/cluster` to tell; nothing is told without it. */
  readonly encryption?: EncryptionJson | undefined
}

export class HttpServer extends Context.Service<HttpServer, {
  readonly host: string
  readonly port: number
  readonly url: string
  /**
   * Closes gracefully: readiness is false at once, no connection is accepted any more, calls that arrive on open ones
   * are `Shutdown`, those in flight finish within the limit, then all connections end. Twice is harmless; releasing
   * the Layer does it too.
   */
  readonly drain: Effect.Effect<void>
}>()("@distkv/server/HttpServer") {
  /** Serves `DistKv` on the listener that is already bound. */
  static readonly layer = (
    options: HttpServerOptions = {}
  ): Layer.Layer<HttpServer, never, DistKv | HttpListener> => Layer.effect(HttpServer, make(options))

  /** Binds and serves at once, where the node need not know its address beforehand. */
  static readonly layerBound = (
    options: HttpServerOptions & HttpListenerOptions = {}
  ): Layer.Layer<HttpServer, InvalidRequest, DistKv> =>
    HttpServer.layer(options).pipe(Layer.provide(HttpListener.layer(options)))
}

const make = Effect.fnUntraced(function*(options: HttpServerOptions) {
  const kv = yield* DistKv
  const listener = yield* HttpListener
  const context = yield* Effect.context()
  const run: Serving["run"] = Effect.runForkWith(context)
  const heads = new Heads()
  const serving: Serving = {
    kv,
    hot: hotCalls(kv, run),
    view: new NodeView(kv, run),
    callers: new Callers(listener.host),
    metrics: new RequestMetrics(),
    heads,
    outbox: new Outbox(heads, (defect) => void run(Effect.logError("a reply met a defect", defect))),
    budget: new BodyBudget(options.maxBodyBytes ?? 256 * 1024 * 1024),
    run,
    encryption: options.encryption ?? null,
    maxValueBytes: options.maxValueBytes ?? 1024 * 1024,
    writeTimeoutMs: Duration.toMillis(options.writeTimeout ?? Duration.seconds(30)),
    copies: 0,
    draining: false,
    stopped: false
  }
  yield* Effect.forkScoped(Effect.ensuring(
    Effect.ignore(kv.stopped),
    Effect.sync(() => {
      serving.stopped = true
    })
  ))
  const sample = yield* processSample(serving, listener)
  const app = yield* RoutedApp.make(serving, sample)
  const routed = yield* NodeHttpServer.makeHandler(app, { scope: yield* Effect.scope })
  yield* countDropped(serving, listener)
  const drain = yield* Effect.cached(drainOf(serving, listener, options.drainTimeout ?? Duration.seconds(5)))
  yield* listener.serve(Dispatcher.make(serving, routed))
  yield* Effect.addFinalizer(() => drain)
  return HttpServer.of({ host: listener.host, port: listener.port, url: listener.url, drain })
})

const drainOf = (
  serving: Serving,
  listener: typeof HttpListener.Service,
  limit: Duration.Input
): Effect.Effect<void> =>
  Effect.suspend(() => {
    serving.draining = true
    const server = listener.server
    if (!server.listening) return Effect.void
    return Effect.callback<void>((resume) => {
      // Node closes idle connections with the listener.
      server.close(() => resume(Effect.void))
    }).pipe(
      Effect.timeoutOrElse({
        duration: limit,
        orElse: () => Effect.sync(() => server.closeAllConnections())
      })
    )
  })

const countDropped = (serving: Serving, listener: typeof HttpListener.Service) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const onDrop = () => {
        serving.metrics.connectionsDropped++
      }
      listener.server.on("drop", onDrop)
      return onDrop
    }),
    (onDrop) => Effect.sync(() => listener.server.off("drop", onDrop))
  )

/** How often the event loop's delay is sampled, in milliseconds; a sample holds this much of its own. */
const loopResolutionMs = 20

const processSample = (
  serving: Serving,
  listener: typeof HttpListener.Service
): Effect.Effect<Effect.Effect<ProcessSample>, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const delay = monitorEventLoopDelay({ resolution: loopResolutionMs })
        delay.enable()
        return delay
      }),
      (delay) => Effect.sync(() => delay.disable())
    ),
    (delay) =>
      Effect.callback<ProcessSample>((resume) => {
        listener.server.getConnections((_error, connections) => {
          const seconds = (nanos: number) => Math.max(0, nanos / 1e9 - loopResolutionMs / 1000)
          const memory = process.memoryUsage()
          const loopDelaySeconds = [
            ["0.5", seconds(delay.percentile(50))] as const,
            ["0.99", seconds(delay.percentile(99))] as const,
            ["1", seconds(delay.max)] as const
          ]
          delay.reset()
          resume(Effect.succeed({
            loopDelaySeconds,
            residentBytes: memory.rss,
            heapUsedBytes: memory.heapUsed,
            connections: connections ?? 0,
            bodyBytes: serving.budget.used
          }))
        })
      })
  )
