/**
 * Log and state of one node in one directory: the state on LMDB, the log in append files or on LMDB too.
 *
 * The directory holds `state.mdb` and, apart from it, so that a checkpoint never holds up a commit of the log, the
 * folder `log` or `log.mdb`; `identity.json`; the `mark`, unless it is set elsewhere; and `lock`. All of them are its
 * owner's only.
 */
import type { StartError, StorageFailed } from "@distkv/core"
import { InvalidRequest, LogStore, StateStore } from "@distkv/core"
import type { Scope } from "effect"
import { Context, Effect, Layer } from "effect"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { lockDirectory } from "./DirectoryLock.ts"
import { Disk } from "./Disk.ts"
import { checkDirectory, makeDirectory } from "./DurableFile.ts"
import { type EnvironmentOptions, openEnvironment, prepareFiles } from "./Environment.ts"
import { examineUnsafe } from "./Examination.ts"
import { FailStop, started, storageFailed } from "./Failure.ts"
import { readIdentity } from "./IdentityFile.ts"
import { LmdbLog } from "./LmdbLog.ts"
import type { LmdbSettings, Resolved } from "./LmdbSettings.ts"
import { resolveSettings } from "./LmdbSettings.ts"
import { LmdbState } from "./LmdbState.ts"
import type { LogBackend } from "./LogBackend.ts"
import { MarkFile } from "./MarkFile.ts"
import { MetaRows } from "./MetaRows.ts"
import { NodeLog } from "./NodeLog.ts"
import { SegmentBackend, type SegmentOptions } from "./segments/SegmentBackend.ts"
import { filesIn } from "./segments/SegmentFiles.ts"
import { SegmentLog } from "./segments/SegmentLog.ts"

export type { LmdbSettings } from "./LmdbSettings.ts"

/**
 * Both stores of one directory, which no other node may have open: `AlreadyOpened`. Fails with `StorageFailed` where
 * the directory is damaged, of a newer format, behind its mark, or put together from several nodes'. Released, it
 * waits for what is being committed.
 */
export const layer = (settings: LmdbSettings): Layer.Layer<LogStore | StateStore, StartError> =>
  Layer.effectContext(Effect.flatMap(resolveSettings(settings), openStores))

const openStores = Effect.fnUntraced(
  function*(settings: Resolved): Effect.fn.Return<Context.Context<LogStore | StateStore>, StartError, Scope.Scope> {
    const disk = yield* Disk
    yield* started(
      `the directory ${settings.directory} cannot be used`,
      () => settings.existing ? checkDirectory(settings.directory) : makeDirectory(settings.directory)
    )
    const lock = yield* lockDirectory(settings.directory)
    const failStop = new FailStop()
    const shared = { disk, failStop, commitTimeoutMs: settings.commitTimeoutMs, abandoned: lock.keep }
    const stateFile = { ...shared, path: join(settings.directory, "state.mdb"), name: "state" }
    const identityFile = join(settings.directory, "identity.json")

    const identity = yield* started("the identity file cannot be read", () => readIdentity(identityFile))
    const mark = yield* started("the mark cannot be read", () => MarkFile.read(settings.markFile))
    const known = mark.mark?.incarnation === identity?.incarnation ? mark.mark : null
    const logFile = { ...shared, path: join(settings.directory, "log.mdb"), name: "log" }
    const kind = yield* kindOfLog(settings, existsSync(logFile.path) || (known?.logBytes ?? 0) > 0)
    const inLmdb = kind === "lmdb"
    yield* prepareFiles(
      inLmdb ? [stateFile, logFile] : [stateFile],
      [known?.stateBytes ?? 0, known?.logBytes ?? 0]
    )
    const backend = inLmdb ? yield* openLmdbLog(logFile) : yield* openSegments(settings, shared)
    const stateEnvironment = yield* openEnvironment(stateFile)

    const stores = yield* attempt(`the directory ${settings.directory} cannot be read`, () => {
      const stateMeta = MetaRows.openUnsafe(stateEnvironment, "state")
      const state = new LmdbState(stateEnvironment, stateMeta, failStop, settings.directory)
      const log = new NodeLog({
        backend,
        mark,
        identityFile,
        failStop,
        identity,
        claimState: (owner) => state.claim(owner),
        stateBytes: () => stateEnvironment.fileBytes()
      })
      examineUnsafe({ directory: settings.directory, identity, mark, log: backend, state, stateMeta })
      return { log, state }
    })

    yield* Effect.addFinalizer(() => Effect.ignore(started("closing", () => stores.log.close())))
    yield* Effect.addFinalizer(() => Effect.ignore(started("closing", () => stores.state.close())))
    if (identity !== null && !stores.state.isOwned) {
      yield* started("the state cannot be written", () => stores.state.claim(identity))
    }
    yield* started("what was left of snapshots cannot be removed", () => stores.state.removeLeftovers())
    // A mark that cannot be written stops the store: the next write says so.
    yield* started("the mark cannot be written", () => stores.log.raiseMark())
    const raiseMark = Effect.ignore(started("the mark cannot be written", () => stores.log.raiseMark()))
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep("1 second"), raiseMark)))
    return Context.mergeAll(
      Context.make(LogStore, logStore(stores.log, settings, disk.freeBytes)),
      Context.make(StateStore, stateStore(stores.state))
    )
  }
)

/** Where this directory's log is kept: as it was begun, else as the settings wish. */
const kindOfLog = (
  { directory, log }: Resolved,
  isInLmdb: boolean
): Effect.Effect<"segments" | "lmdb", InvalidRequest> =>
  isInLmdb && log === "segments"
    ? Effect.fail(
      new InvalidRequest({ message: `the log in ${directory} is kept in LMDB: leave the setting out, or say "lmdb"` })
    )
    : !isInLmdb && log === "lmdb" && existsSync(join(directory, "log"))
    ? Effect.fail(
      new InvalidRequest({ message: `the log in ${directory} is kept in segments: leave the setting out` })
    )
    : Effect.succeed(isInLmdb || log === "lmdb" ? "lmdb" : "segments")

const openLmdbLog = (options: EnvironmentOptions): Effect.Effect<LogBackend, StorageFailed, Scope.Scope> =>
  Effect.flatMap(openEnvironment(options), (environment) =>
    attempt(
      `the log ${options.path} cannot be read`,
      () => new LmdbLog(environment, MetaRows.openUnsafe(environment, "log"))
    ))

const openSegments = (
  { directory, segmentBytes }: Resolved,
  options: SegmentOptions
): Effect.Effect<LogBackend, StorageFailed, Scope.Scope> =>
  Effect.acquireRelease(
    started(`the log in ${directory} cannot be read`, async () => {
      const files = await filesIn(join(directory, "log"))
      return new SegmentBackend(await SegmentLog.open(files, segmentBytes), options)
    }),
    // Everything that was promised is durable: a close that fails has nothing to lose.
    (backend) => Effect.ignore(started("closing the log", () => backend.close()))
  )

const logStore = (
  log: NodeLog,
  { directory, reserveBytes }: Resolved,
  freeBytes: (directory: string) => Promise<number>
): LogStore["Service"] =>
  LogStore.of({
    recover: started("the log cannot be read", () => log.recover()),
    saveIdentity: (identity) => started("the identity cannot be saved", () => log.saveIdentity(identity)),
    write: (write) => started("the log cannot be written", () => log.write(write)),
    compact: (to) => started("the log cannot be compacted", () => log.compact(to)),
    read: (from, to, maxBytes) => started("the log cannot be read", () => log.read(from, to, maxBytes)),
    spaceLeft: started(
      `the free space of ${directory} cannot be read`,
      async () => await freeBytes(directory) - reserveBytes
    )
  })

const stateStore = (state: LmdbState): StateStore["Service"] =>
  StateStore.of({
    recover: started("the state cannot be read", () => state.recover()),
    checkpoint: (checkpoint) => started("the state cannot be written", () => state.checkpoint(checkpoint)),
    getUnsafe: (key) => state.getUnsafe(key),
    metadataUnsafe: (key) => state.metadataUnsafe(key),
    scanUnsafe: (scan) => state.scanUnsafe(scan),
    eventAtUnsafe: (revision) => state.eventAtUnsafe(revision),
    sessionsUnsafe: () => state.sessionsUnsafe(),
    installed: Effect.sync(() => state.installed),
    snapshot: (clusterId) => state.snapshot(clusterId),
    receive: state.receive
  })

const attempt = <A>(doing: string, run: () => A): Effect.Effect<A, StorageFailed> =>
  Effect.try({ try: run, catch: (cause) => storageFailed(doing, cause) })
