/** Real processes of the program, for tests: started, watched and ended by their own ids. */
import { Deferred, Duration, Effect, Schema, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

/** The program as users start it. */
export const programFile = fileURLToPath(new URL("../../bin/distkv.mjs", import.meta.url))

/** How a process ended, with all it said. */
export interface Ended {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** A running process of the program. */
export interface Program {
  readonly pid: number
  readonly stdout: () => string
  readonly stderr: () => string
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  readonly ended: Effect.Effect<Ended>
}

export class TestFailed extends Schema.TaggedError<TestFailed>()("TestFailed", { message: Schema.String }) {}

/** A temporary directory, removed when the scope closes. */
export const temporaryDirectory: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "distkv-test-"))),
  (dir) => Effect.sync(() => fs.rmSync(dir, { recursive: true, force: true }))
)

const environment = (more: Readonly<Record<string, string>>): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("DISTKV_"))),
  NO_COLOR: "1",
  ...more
})

const killHard = (child: ChildProcess, ended: Deferred.Deferred<Ended>): Effect.Effect<void> =>
  Effect.gen(function*() {
    // A stopped process takes SIGKILL too, so this always ends.
    child.kill("SIGKILL")
    yield* Deferred.await(ended)
  })

export interface SpawnOptions {
  readonly cwd?: string | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly input?: string | Uint8Array | undefined
  /** What Node runs instead of the program's door. */
  readonly file?: string | undefined
  /** Flags of Node itself. */
  readonly nodeFlags?: ReadonlyArray<string> | undefined
}

/** Starts the program; whatever still runs when the scope closes is killed. */
export const spawnProgram = Effect.fnUntraced(function*(
  args: ReadonlyArray<string>,
  options: SpawnOptions = {}
): Effect.fn.Return<Program, never, Scope.Scope> {
  const ended = yield* Deferred.make<Ended>()
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [...options.nodeFlags ?? [], options.file ?? programFile, ...args], {
        cwd: options.cwd,
        env: environment(options.env ?? {}),
        stdio: ["pipe", "pipe", "pipe"]
      })
    ),
    (child) => killHard(child, ended)
  )
  let stdout = ""
  let stderr = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => stdout += text)
  child.stderr.setEncoding("utf8").on("data", (text: string) => stderr += text)
  child.once(
    "close",
    (status, signal) => Deferred.doneUnsafe(ended, Effect.succeed({ status, signal, stdout, stderr }))
  )
  child.stdin.on("error", () => undefined)
  child.stdin.end(options.input)
  return {
    pid: child.pid ?? 0,
    stdout: () => stdout,
    stderr: () => stderr,
    signal: (signal) => Effect.sync(() => void child.kill(signal)),
    ended: Deferred.await(ended)
  }
})

/** Runs a command to its end. */
export const runProgram = (args: ReadonlyArray<string>, options: SpawnOptions = {}): Effect.Effect<Ended, TestFailed> =>
  Effect.scoped(
    Effect.flatMap(
      spawnProgram(args, options),
      (program) => within(`distkv ${args.join(" ")} ends`, Duration.seconds(60), program.ended)
    )
  )

/** Fails when `effect` takes longer; for what must happen, and not for how fast. */
export const within = <A, E, R>(
  what: string,
  limit: Duration.Duration,
  effect: Effect.Effect<A, E, R>,
  detail: () => string = () => ""
): Effect.Effect<A, E | TestFailed, R> =>
  Effect.timeoutOrElse(effect, {
    duration: limit,
    orElse: () => Effect.fail(new TestFailed({ message: `not within ${Duration.format(limit)}: ${what}\n${detail()}` }))
  })

/** Asks again and again until the answer is not undefined. */
export const eventually = <A, E, R>(
  what: string,
  limit: Duration.Duration,
  ask: Effect.Effect<A | undefined, E, R>,
  detail?: () => string
): Effect.Effect<A, E | TestFailed, R> =>
  within(
    what,
    limit,
    Effect.gen(function*() {
      while (true) {
        const answer = yield* ask
        if (answer !== undefined) return answer
        yield* Effect.sleep(Duration.millis(30))
      }
    }),
    detail
  )

const Ready = Schema.fromJsonString(
  Schema.Struct({ raft: Schema.String, http: Schema.String, nodeId: Schema.String, pid: Schema.Int })
)
export type Ready = typeof Ready.Type

/** A node's process, once its listeners are up. */
export interface NodeProcess extends Program {
  readonly ready: Ready
  /** Waits for the line that says the node serves. */
  readonly serves: Effect.Effect<void, TestFailed>
}

/** Short times, so that elections take less of a test than what is tested. */
const timing = ["--election-timeout", "300ms", "--heartbeat", "60ms"]

const startLimit = Duration.seconds(30)

/** Starts a node on drawn ports (SSH's is kept in its directory for the next start), and waits for its listeners. */
export const startNode = Effect.fnUntraced(function*(
  dir: string,
  flags: ReadonlyArray<string>,
  options: Pick<SpawnOptions, "file" | "nodeFlags"> = {}
): Effect.fn.Return<NodeProcess, TestFailed, Scope.Scope> {
  fs.mkdirSync(dir, { recursive: true })
  const readyFile = path.join(dir, "ready.json")
  fs.rmSync(readyFile, { force: true })
  const drawn = [...flags.includes("--raft") ? [] : ["--raft", "127.0.0.1:0"], "--http", "127.0.0.1:0"]
  const program = yield* spawnProgram(
    ["start", "--data-dir", dir, ...drawn, "--ready-file", readyFile, ...timing, ...flags],
    { ...options, cwd: path.dirname(dir) }
  )
  const readIt = Effect.suspend(() =>
    fs.existsSync(readyFile)
      ? Effect.mapError(Schema.decodeEffect(Ready)(fs.readFileSync(readyFile, "utf8")), (issue) =>
        new TestFailed({ message: `the ready file: ${issue.message}` }))
      : Effect.succeed(undefined)
  )
  const tooEarly = Effect.flatMap(
    program.ended,
    (ended) =>
      Effect.fail(new TestFailed({ message: `${dir} ended with ${ended.status ?? ended.signal}:\n${ended.stderr}` }))
  )
  const ready = yield* Effect.raceFirst(eventually(`${dir} listens`, startLimit, readIt, program.stderr), tooEarly)
  const serves = Effect.raceFirst(
    Effect.asVoid(eventually(
      `${dir} serves`,
      startLimit,
      Effect.sync(() => program.stdout().includes("ready") ? true : undefined),
      program.stderr
    )),
    tooEarly
  )
  return { ...program, ready, serves }
})
