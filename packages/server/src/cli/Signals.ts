/**
 * How a running node ends: SIGTERM and SIGINT close it gracefully, a second one ends it at once.
 *
 * One Ctrl-C can arrive several times, from the terminal and from every wrapper that passes it on (npm, the re-start on
 * the pinned Node), so signals within half a second of the first count as one.
 */
import { Effect } from "effect"
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
  let stoppedAt: number | undefined
  const stop = (signal: StopSignal) => {
    const now = performance.now()
    if (stoppedAt === undefined) {
      stoppedAt = now
      resume(Effect.void)
    } else if (now - stoppedAt > oneKeystrokeMs) {
      process.exit(128 + constants.signals[signal])
    }
  }
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stop(signal))
  if (process.connected) process.on("disconnect", () => stop("SIGTERM"))
})

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
