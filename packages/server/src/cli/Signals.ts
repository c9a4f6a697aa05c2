/**
 * How a running node ends: SIGTERM and SIGINT close it gracefully, a second one ends it at once.
 *
 * One Ctrl-C, or one signal to a process group, can arrive several times: from the terminal or the system, and from
 * every wrapper that passes it on (npm, the re-start on the pinned Node). So signals within half a second of the first
 * count as one; and so do those that had arrived by then, but were not looked at because the process had no time.
 */
import { Effect, type Scope } from "effect"
import { constants } from "node:os"

type StopSignal = "SIGINT" | "SIGTERM"

const oneKeystrokeMs = 500

/**
 * Runs `program` until it ends or is told to stop, and then interrupts it, so that its scope closes in order. A parent
 * that started this process with a message channel and then ends, however it ends, tells it to stop too.
 */
export const untilStopped = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<A | void, E, R> =>
  Effect.raceFirst(program, stopSignal)

/** Resumes at the first stop signal. The handlers stay, since the second signal comes while the program closes. */
const stopSignal: Effect.Effect<void> = Effect.callback((resume) => {
  let heard: "nothing" | "once" | "and may insist" = "nothing"
  const stop = (signal: StopSignal) => {
    if (heard === "and may insist") process.exit(128 + constants.signals[signal])
    if (heard === "once") return
    heard = "once"
    // Signals are read between timers and immediates, so what waited behind a busy spell is read before this counts.
    setTimeout(() => setImmediate(() => (heard = "and may insist")), oneKeystrokeMs).unref()
    resume(Effect.void)
  }
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stop(signal))
  if (process.connected) process.on("disconnect", () => stop("SIGTERM"))
})

/** While the scope is open, no SIGHUP ends the process, as one does that nobody listens to. */
export const outliveHangup: Effect.Effect<void, never, Scope.Scope> = Effect.asVoid(
  Effect.acquireRelease(
    Effect.sync(() => process.on("SIGHUP", nothing)),
    () => Effect.sync(() => process.off("SIGHUP", nothing))
  )
)

const nothing = () => undefined

/** Runs `action` at every SIGHUP while the scope is open; one that comes while it runs asks for another run. */
export const onHangup = <E, R>(action: Effect.Effect<void, E, R>) =>
  Effect.gen(function*() {
    const run = Effect.runForkWith(yield* Effect.context<R>())
    const hangup = () => {
      run(Effect.ignore(action))
    }
    yield* Effect.acquireRelease(
      Effect.sync(() => process.on("SIGHUP", hangup)),
      () => Effect.sync(() => process.off("SIGHUP", hangup))
    )
  })
