/** Checks a data directory, record by record. */
import { Offline } from "@distkv/core"
import { LmdbStorage } from "@distkv/storage-lmdb"
import { Effect, Layer, Result } from "effect"
import { spawn } from "node:child_process"
import { failed } from "../ExitStatus.ts"
import { noteLine, printJson, printLine, styled } from "../Output.ts"
import { replacementOf } from "../replacing.ts"
import { checkThere } from "./directories.ts"

interface Flags {
  readonly dataDir: string
  readonly markFile: string | undefined
  readonly json: boolean
}

/** Set in the process that looks: a damaged file can end whoever maps it into memory with a signal. */
const inside = "DISTKV_VERIFY_INSIDE"

const report = Effect.fnUntraced(function*(flags: Flags, problems: ReadonlyArray<string>, more: object) {
  const sound = problems.length === 0
  if (flags.json) yield* printJson({ dataDir: flags.dataDir, sound, problems, ...more })
  else {
    for (const problem of problems) yield* printLine(`${styled("red", "damaged")}: ${problem}`)
    if (sound) yield* printLine(`${styled("green", "sound")}: ${flags.dataDir}`)
  }
  if (!sound) {
    for (const line of replacementOf(flags.dataDir, flags.markFile)) yield* noteLine(line)
    return yield* failed(`${flags.dataDir} is damaged`)
  }
})

const look = Effect.fnUntraced(function*(flags: Flags) {
  const { dataDir, markFile } = flags
  yield* checkThere(dataDir)
  const storage = LmdbStorage.layer({ directory: dataDir, markFile, reserveBytes: 0, existing: true })
  const looked = yield* Effect.result(
    Effect.provide(Effect.all([Offline.checkLog, Offline.checkState]), Layer.fresh(storage))
  )
  if (Result.isFailure(looked)) {
    if (looked.failure._tag !== "StorageFailed") return yield* failed(looked.failure.message)
    return yield* report(flags, [looked.failure.message], {})
  }
  const [log, state] = looked.success
  const { base, hardState, identity, last } = log.found
  const problems = [...log.problems, ...state.problems]
  if (identity === null) return yield* failed(`${dataDir} holds no node's data yet`)
  if (!flags.json) {
    yield* printLine(`node ${identity.nodeId}, cluster ${identity.clusterId ?? "none yet"}`)
    yield* printLine(
      `log: ${log.entries} entries (${base.index + 1} to ${last}), ${log.bytes} bytes, term ${hardState?.term ?? 0}`
    )
    yield* printLine(
      `state: entry ${state.meta?.applied.index ?? 0}, revision ${state.meta?.revision ?? 0}, ${state.entries} keys, ` +
        `${state.bytes} bytes, ${state.events} revisions of history, ${state.sessions} rows of sessions`
    )
  }
  yield* report(flags, problems, {
    nodeId: identity.nodeId,
    incarnation: identity.incarnation,
    clusterId: identity.clusterId,
    term: String(hardState?.term ?? 0),
    votedFor: hardState?.votedFor ?? null,
    log: { first: String(base.index + 1), last: String(last), entries: log.entries, bytes: log.bytes },
    state: {
      applied: String(state.meta?.applied.index ?? 0),
      revision: String(state.meta?.revision ?? 0),
      compactRevision: String(state.meta?.compactRevision ?? 0),
      digest: state.meta?.digest?.toString(16) ?? null,
      keys: state.entries,
      bytes: state.bytes,
      events: state.events,
      sessionRows: state.sessions
    }
  })
})

type Ended = { readonly status: number | null; readonly signal: string | null }

/** The same command in a process of its own. */
const lookElsewhere = (flags: Flags): Effect.Effect<Ended> =>
  Effect.callback((resume) => {
    const args = ["verify", "--data-dir", flags.dataDir]
    if (flags.markFile !== undefined) args.push("--mark-file", flags.markFile)
    if (flags.json) args.push("--json")
    const child = spawn(process.execPath, [...process.execArgv, process.argv[1]!, ...args], {
      stdio: "inherit",
      env: { ...process.env, [inside]: "1" }
    })
    child.on("exit", (status, signal) => resume(Effect.succeed({ status, signal })))
    child.on("error", () => resume(Effect.succeed({ status: null, signal: "ENOENT" })))
    return Effect.sync(() => child.kill())
  })

/** `exit` ends this process with the status of the one that looked, which has said everything. */
export const verify = Effect.fnUntraced(function*(flags: Flags) {
  if (process.env[inside] === "1") return yield* look(flags)
  const { signal, status } = yield* lookElsewhere(flags)
  if (signal !== null) {
    return yield* report(
      flags,
      [`reading the files ended the process by ${signal}: a file is damaged or cut short`],
      {}
    )
  }
  if (status !== 0) return yield* Effect.sync(() => process.exit(status ?? 1))
})
