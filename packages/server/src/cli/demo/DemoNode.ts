/** A node of the demo: a child process that runs `distkv start`. */
import { Deferred, Duration, Effect, Schema, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import { type CommandFailed, failed } from "../ExitStatus.ts"
import type { Ready } from "../ReadyFile.ts"

export interface DemoNode {
  readonly id: string
  readonly pid: number
  /** What it says of itself once it serves; fails when it ends before. */
  readonly ready: Effect.Effect<Ready, CommandFailed>
  /** How it ended. */
  readonly ended: Effect.Effect<string>
  /** Closes it gracefully, or after a while by force; harmless when it has ended. */
  readonly stop: Effect.Effect<void>
}

export interface Launch {
  readonly id: string
  readonly logFile: string
  /** What follows `distkv start`. */
  readonly flags: ReadonlyArray<string>
}

const ReadyLine = Schema.fromJsonString(
  Schema.Struct({ raft: Schema.String, http: Schema.String, nodeId: Schema.String, pid: Schema.Int })
)

const closingTime = Duration.seconds(15)

/** The environment without this program's own variables, which are meant for the demo and not for its nodes. */
const plainEnvironment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^DISTKV_(?!SOURCES$)/.test(name)))

const lastLines = (file: string): string => {
  const lines = fs.readFileSync(file, "utf8").trimEnd().split("\n")
  return lines.slice(-5).map((line) => `  ${line}`).join("\n")
}

/**
 * A process group of its own, so that Ctrl-C reaches the demo alone and it decides in which order all ends; and a
 * message channel, whose end tells the node that the demo is gone, however it ended.
 */
const spawnNode = (launch: Launch): ChildProcess => {
  const log = fs.openSync(launch.logFile, "a", 0o600)
  const child = spawn(process.execPath, [process.argv[1]!, "start", "--json", ...launch.flags], {
    stdio: ["ignore", "pipe", log, "ipc"],
    detached: true,
    env: plainEnvironment()
  })
  fs.closeSync(log)
  return child
}

const stop = (child: ChildProcess, ended: Deferred.Deferred<string>): Effect.Effect<void> =>
  Effect.gen(function*() {
    child.kill("SIGTERM")
    yield* Deferred.await(ended).pipe(
      Effect.timeoutOrElse({
        duration: closingTime,
        orElse: () => Effect.andThen(Effect.sync(() => child.kill("SIGKILL")), Deferred.await(ended))
      })
    )
  })

const readReady = (id: string, line: string): Effect.Effect<Ready, CommandFailed> =>
  Effect.mapError(Schema.decodeEffect(ReadyLine)(line), () => failed(`${id} says what no node says: ${line}`))

/** Starts a node; it is stopped when the scope closes. */
export const launchNode = Effect.fnUntraced(function*(
  launch: Launch
): Effect.fn.Return<DemoNode, CommandFailed, Scope.Scope> {
  const ready = yield* Deferred.make<Ready, CommandFailed>()
  const ended = yield* Deferred.make<string>()
  const child = yield* Effect.acquireRelease(
    Effect.try({
      try: () => spawnNode(launch),
      catch: (cause) => failed(`cannot start ${launch.id}: ${cause instanceof Error ? cause.message : String(cause)}`)
    }),
    (child) => stop(child, ended)
  )
  let output = ""
  child.stdout!.setEncoding("utf8").on("data", (chunk: string) => {
    output += chunk
    const end = output.indexOf("\n")
    if (end !== -1) Deferred.doneUnsafe(ready, readReady(launch.id, output.slice(0, end)))
  })
  const end = (how: string) => {
    Deferred.doneUnsafe(ready, Effect.fail(failed(`${launch.id} ${how}; the end of ${launch.logFile}:\n${lastLines(launch.logFile)}`)))
    Deferred.doneUnsafe(ended, Effect.succeed(how))
  }
  child.once("error", (error) => end(`cannot run: ${error.message}`))
  child.once("exit", (code, signal) => end(signal === null ? `ended with status ${code}` : `was ended by ${signal}`))
  return {
    id: launch.id,
    pid: child.pid ?? 0,
    ready: Deferred.await(ready),
    ended: Deferred.await(ended),
    stop: stop(child, ended)
  }
})
