/** The life of one node: its keys, its layers, its admission, and its end. */
import { checkSettings, DistKv, type Status } from "@distkv/core"
import { Keys, SshTransport } from "@distkv/transport-ssh"
import { Context, Duration, Effect, Layer } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { HttpServer } from "../http/HttpServer.ts"
import type { ServerConfig } from "../ServerConfig.ts"
import * as ServerLayer from "../ServerLayer.ts"
import { type CommandFailed, failed, misused } from "./ExitStatus.ts"
import { formatHostPort } from "./HostPort.ts"
import { joinUntilAdmitted } from "./joining.ts"
import { whatToCopy } from "./KeyCommands.ts"
import * as Logging from "./Logging.ts"
import { narrate } from "./narrate.ts"
import type { StartFlags } from "./NodeCommands.ts"
import { noteLine, printJson, printLine, styled } from "./Output.ts"
import { readyOf, writeReadyFile } from "./ReadyFile.ts"
import { tellHowToReplace } from "./replacing.ts"
import { onHangup, outliveHangup, untilStopped } from "./Signals.ts"

const poll = Duration.millis(20)

/** What goes wrong before a node serves, or ends it, is a failure for sure: nobody's write hangs on this process. */
const asFailure = (error: { readonly message: string }): CommandFailed => failed(error.message)

const configOf = (flags: StartFlags): ServerConfig => ({
  dataDir: flags.dataDir,
  raft: flags.raft,
  http: flags.http,
  nodeId: flags.nodeId,
  advertise: flags.advertise === undefined ? undefined : formatHostPort(flags.advertise),
  bootstrap: flags.bootstrap,
  electionTimeout: flags.electionTimeout,
  heartbeat: flags.heartbeat,
  clockDrift: flags.clockDrift,
  diskReserveBytes: flags.diskReserve,
  markFile: flags.markFile,
  trust: flags.trust
})

/** Refuses settings that cannot work, and what would found a second cluster, before anything is touched. */
const check = Effect.fnUntraced(function*(config: ServerConfig): Effect.fn.Return<void, CommandFailed> {
  yield* Effect.mapError(checkSettings(ServerLayer.settingsOf(config, "")), (error) => misused(error.message))
  if (config.bootstrap && fs.existsSync(path.join(config.dataDir, "identity.json"))) {
    return yield* failed(
      `${config.dataDir} already belongs to a node: start it without --bootstrap (which would found a second cluster)`
    )
  }
})

const makeKeys = Effect.fnUntraced(function*(dataDir: string): Effect.fn.Return<void, CommandFailed> {
  const { created, key } = yield* Effect.mapError(Keys.init(dataDir), asFailure)
  if (created) { for (const line of whatToCopy(dataDir, key.line)) yield* noteLine(line) }
})

/** The status once every check of readiness holds. */
const whenReady = Effect.gen(function*() {
  const kv = yield* DistKv
  while (true) {
    const status = yield* kv.status
    if (status.clusterId !== null && Object.values(status.ready).every(Boolean)) return status
    yield* Effect.sleep(poll)
  }
})

const sayReady = (flags: StartFlags, status: Status, http: string): Effect.Effect<void> =>
  flags.json
    ? printJson({ ...readyOf(status, http), role: status.role, term: String(status.term) })
    : printLine(
      `${styled("green", "ready")}: node ${styled("bold", status.nodeId)} is ${status.role} of term ${status.term}` +
        `, raft ${status.address}, http ${http}, pid ${process.pid}`
    )

const enterCluster = Effect.fnUntraced(function*(flags: StartFlags, http: string) {
  const kv = yield* DistKv
  const { clusterId } = yield* kv.status
  if (clusterId === null && flags.join !== undefined) yield* Effect.mapError(joinUntilAdmitted(flags.join), asFailure)
  else if (clusterId === null && !flags.bootstrap) {
    yield* Effect.logInfo("this node belongs to no cluster and awaits a join (distkv member add, or --join)")
  }
  yield* sayReady(flags, yield* Effect.mapError(whenReady, asFailure), http)
})

const serve = Effect.fnUntraced(function*(flags: StartFlags) {
  const config = configOf(flags)
  // One that comes before the keys can be read again is told of keys that are about to be read anyway.
  yield* outliveHangup
  yield* check(config)
  yield* makeKeys(flags.dataDir)
  const telling = <A, E extends { readonly message: string }, R>(effect: Effect.Effect<A, E, R>) =>
    effect.pipe(
      Effect.tapError((error) => tellHowToReplace(error, flags.dataDir, flags.markFile)),
      Effect.mapError(asFailure)
    )
  const context = yield* telling(Layer.build(ServerLayer.layer(config)))
  const kv = Context.get(context, DistKv)
  const http = Context.get(context, HttpServer).url
  if (flags.readyFile !== undefined) {
    yield* writeReadyFile(flags.readyFile, readyOf(yield* Effect.mapError(kv.status, asFailure), http))
  }
  yield* onHangup(Context.get(context, SshTransport).reload)
  // A node that is closed says no more; why it closed is what `stopped` says.
  const narrating = Effect.catchTag(narrate, "Shutdown", () => Effect.never)
  const work = Effect.all([enterCluster(flags, http), narrating], { concurrency: "unbounded" })
  yield* Effect.raceFirst(Effect.provideContext(work, context), telling(kv.stopped))
}, Effect.scoped)

/** Runs a node until it is told to stop, is refused for good, or its storage fails. */
export const start = (flags: StartFlags) =>
  untilStopped(serve(flags)).pipe(Effect.provide(Logging.layer({ level: flags.logLevel, format: flags.logFormat })))
