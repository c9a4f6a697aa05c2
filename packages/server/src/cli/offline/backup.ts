/** Writes what a node answers on `/v1/snapshot` to a file, which is there whole or not at all. */
import { type DistKvError, MalformedSnapshot, SnapshotReader } from "@distkv/core"
import { Duration, Effect, type Scope } from "effect"
import { type FileHandle, open, rename, unlink } from "node:fs/promises"
import { Unreachable } from "../../http/client/Endpoints.ts"
import { errorOf } from "../../http/Problem.ts"
import { type CommandFailed, failed } from "../ExitStatus.ts"
import { noteLine, printJson, printLine } from "../Output.ts"
import { syncParent } from "./directories.ts"

interface Flags {
  readonly endpoints: ReadonlyArray<string>
  readonly timeout: Duration.Duration | undefined
  readonly file: string
  readonly json: boolean
}

/** A node that sends nothing for this long has died. */
const silenceMs = 60_000

type Body = ReadableStream<Uint8Array>

/** The first endpoint's answer; the next one is asked where one cannot be reached or has no leader. */
const ask = Effect.fnUntraced(function*(
  endpoints: ReadonlyArray<string>,
  timeout: Duration.Duration | undefined
): Effect.fn.Return<{ readonly endpoint: string; readonly body: Body }, DistKvError | Unreachable, Scope.Scope> {
  const query = timeout === undefined ? "" : `?timeout=${Duration.toMillis(timeout)}ms`
  const abort = new AbortController()
  yield* Effect.addFinalizer(() => Effect.sync(() => abort.abort()))
  let failure: DistKvError | Unreachable = new Unreachable({ message: "no endpoint was asked" })
  for (const endpoint of endpoints) {
    const reply = yield* Effect.result(Effect.tryPromise({
      try: () => fetch(`${endpoint}/v1/snapshot${query}`, { redirect: "error", signal: abort.signal }),
      catch: (cause) => new Unreachable({ message: `${endpoint} cannot be reached: ${reasonOf(cause)}` })
    }))
    if (reply._tag === "Failure") {
      failure = reply.failure
      continue
    }
    const { body, ok, status } = reply.success
    if (ok && body !== null) return { endpoint, body }
    const text = yield* Effect.promise(() => reply.success.text().catch(() => ""))
    failure = errorOf(text) ??
      new Unreachable({ message: `${endpoint} answered ${status}, not as a node that makes backups` })
  }
  return yield* Effect.fail(failure)
})

const reasonOf = (cause: unknown): string => {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
  return inner instanceof Error ? inner.message : String(inner)
}

/** Copies the body to the file and checks it meanwhile. Rejects where it is cut short or altered. */
const copy = async (body: Body, file: FileHandle): Promise<{ bytes: number; revision: number; keys: number }> => {
  const reader = new SnapshotReader({ header: () => {}, row: () => {} })
  const pieces = body.getReader()
  let bytes = 0
  while (true) {
    const { done, value } = await within(pieces.read())
    if (done) break
    reader.push(value)
    for (let at = 0; at < value.length;) {
      const { bytesWritten } = await file.write(value, at, value.length - at)
      at += bytesWritten
    }
    bytes += value.length
  }
  const { header } = reader.end()
  await file.sync()
  return { bytes, revision: header.revision, keys: header.keys }
}

const within = async <A>(promise: Promise<A>): Promise<A> => {
  let timer: NodeJS.Timeout | undefined
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("the node sends nothing any more")), silenceMs)
  })
  try {
    return await Promise.race([promise, silence])
  } finally {
    clearTimeout(timer)
  }
}

const refused = (what: string) => (cause: unknown): CommandFailed =>
  failed(
    cause instanceof MalformedSnapshot
      ? `${what}: the answer is damaged: ${cause.message}`
      : `${what}: ${reasonOf(cause)}`
  )

export const backup = (flags: Flags) =>
  Effect.scoped(Effect.gen(function*() {
    const { body, endpoint } = yield* ask(flags.endpoints, flags.timeout)
    const partial = `${flags.file}.partial`
    const what = `the backup ${flags.file} was not made`
    const file = yield* Effect.acquireRelease(
      Effect.tryPromise({ try: () => open(partial, "w", 0o600), catch: refused(what) }),
      (handle) =>
        Effect.promise(async () => {
          await handle.close().catch(() => {})
          await unlink(partial).catch(() => {})
        })
    )
    const { bytes, keys, revision } = yield* Effect.tryPromise({ try: () => copy(body, file), catch: refused(what) })
    yield* Effect.tryPromise({
      try: async () => {
        await rename(partial, flags.file)
        await syncParent(flags.file)
      },
      catch: refused(what)
    })
    if (flags.json) return yield* printJson({ file: flags.file, bytes, keys, revision: String(revision), endpoint })
    yield* printLine(`${flags.file}: ${keys} ${keys === 1 ? "key" : "keys"} as of revision ${revision}, ${bytes} bytes`)
    yield* noteLine(`restore it with: distkv restore ${flags.file} --data-dir DIR`)
  }))
