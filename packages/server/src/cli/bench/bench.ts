/** Loads a running cluster with calls of closed-loop clients, and says how many it took and how long they did. */
import { Clock, Duration, Effect, Fiber, Ref, type Scope } from "effect"
import { randomBytes } from "node:crypto"
import { DistKvClient } from "../../http/client/DistKvClient.ts"
import type { EncryptionJson } from "../../http/Wire.ts"
import { failed } from "../ExitStatus.ts"
import { noteLine, printJson, printLine, styled, table } from "../Output.ts"
import { Caller } from "./Caller.ts"
import { progressLine } from "./progressLine.ts"
import { Tally, type TallyJson } from "./Tally.ts"

export interface BenchFlags {
  readonly endpoints: ReadonlyArray<string>
  readonly clients: number
  readonly duration: Duration.Duration
  readonly warmUp: Duration.Duration
  readonly valueSize: number
  /** The part of the calls that read, 0 to 1. */
  readonly readRatio: number
  readonly keys: number
  readonly consistency: "linearizable" | "lease" | "stale"
  readonly timeout: Duration.Duration | undefined
  readonly json: boolean
}

/** How long a client waits after a failure: a cluster that refuses is not to be stormed. */
const pauseAfterFailure = Duration.millis(50)

const defaultTimeoutMs = 5000

interface Load {
  readonly flags: BenchFlags
  /** What the keys begin with; nobody else's do. */
  readonly prefix: string
  readonly callers: ReadonlyArray<Caller>
  readonly value: Uint8Array
  readonly nowMs: () => number
}

/** The counts of one phase. */
interface Counts {
  readonly writes: Tally
  readonly reads: Tally
}

const pathOf = ({ prefix }: Load, key: number): string => `/v1/kv/${encodeURIComponent(`${prefix}${key}`)}`

/** Runs every client until the time is over or `stopped` says so. */
const runFor = (load: Load, counts: Counts, duration: Duration.Duration, stopped: Ref.Ref<boolean>) => {
  const { consistency, keys, readRatio } = load.flags
  const ends = load.nowMs() + Duration.toMillis(duration)
  const client = Effect.fnUntraced(function*(caller: Caller) {
    while (load.nowMs() < ends && !(yield* Ref.get(stopped))) {
      const path = pathOf(load, Math.floor(Math.random() * keys))
      const reads = Math.random() < readRatio
      const tally = reads ? counts.reads : counts.writes
      const asked = load.nowMs()
      const code = yield* reads
        ? caller.call("GET", `${path}?consistency=${consistency}`, undefined)
        : caller.call("PUT", path, load.value)
      if (code === undefined) tally.succeeded(load.nowMs() - asked)
      else {
        tally.failed(code)
        yield* Effect.sleep(pauseAfterFailure)
      }
    }
  })
  return Effect.forEach(load.callers, client, { concurrency: "unbounded", discard: true })
}

/** Writes every key, so that every read finds one. */
const fill = Effect.fnUntraced(function*(load: Load) {
  let next = 0
  const writer = Effect.fnUntraced(function*(caller: Caller) {
    while (next < load.flags.keys) {
      const code = yield* caller.call("PUT", pathOf(load, next++), load.value)
      if (code !== undefined) return yield* failed(`the keys to read could not be written: ${code}`)
    }
  })
  yield* Effect.forEach(load.callers, writer, { concurrency: "unbounded", discard: true })
})

/** Shows the counts on a terminal until it is interrupted. */
const show = Effect.fnUntraced(function*(load: Load, counts: Counts, begins: number) {
  const { stderr } = process
  if (load.flags.json || !stderr.isTTY) return
  const totalMs = Duration.toMillis(load.flags.duration)
  const line = () => {
    const elapsed = Math.max(1, load.nowMs() - begins)
    const tallies = [counts.writes, counts.reads]
    const count = tallies.reduce((sum, { times }) => sum + times.count, 0)
    return progressLine({
      part: elapsed / totalMs,
      perSecond: 1000 * count / elapsed,
      p99Ms: Math.max(...tallies.map(({ times }) => times.quantile(0.99))),
      errors: tallies.reduce((sum, { failures }) => sum + failures, 0)
    })
  }
  return yield* Effect.sync(() => stderr.write(`\r\u001b[K${line()}`)).pipe(
    Effect.andThen(Effect.sleep(Duration.millis(200))),
    Effect.forever,
    Effect.ensuring(Effect.sync(() => stderr.write("\r\u001b[K")))
  )
})

/** While the scope is open, Ctrl-C ends the load and not the program: what was measured is still told. */
const stopOnInterrupt: Effect.Effect<Ref.Ref<boolean>, never, Scope.Scope> = Effect.gen(function*() {
  const stopped = yield* Ref.make(false)
  const stop = () => {
    Effect.runSync(Ref.set(stopped, true))
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => process.once("SIGINT", stop)),
    () => Effect.sync(() => process.off("SIGINT", stop))
  )
  return stopped
})

const cellsOf = (name: string, { count, errors, latencyMs, perSecond }: TallyJson): ReadonlyArray<string> => {
  const ms = (value: number) => value.toFixed(value < 10 ? 2 : 1)
  const { max, p50, p90, p99, p999 } = latencyMs
  const failures = Object.entries(errors).map(([code, times]) => `${times} ${code}`).join(", ")
  return [name, String(count), perSecond.toFixed(0), ...[p50, p90, p99, p999, max].map(ms), failures]
}

const heads = ["", "calls", "a second", "p50 ms", "p90", "p99", "p99.9", "max", "failed"]

/** By node: what encrypts its packets to the others; null where it does not say. */
type Encryption = Readonly<Record<string, EncryptionJson | null>>

/** Asks each node that is loaded; a node that does not answer is left out, for the load has told of it. */
const encryptionAt = Effect.fnUntraced(function*(flags: BenchFlags): Effect.fn.Return<Encryption> {
  const asked = yield* Effect.forEach(flags.endpoints, (endpoint) =>
    DistKvClient.make({ endpoints: [endpoint] }).pipe(
      Effect.andThen((node) => node.cluster({ timeout: flags.timeout })),
      Effect.map(({ encryption = null, nodeId }) => [[nodeId, encryption] as const]),
      Effect.orElseSucceed(() => [])
    ), { concurrency: 16 })
  return Object.fromEntries(asked.flat())
})

/** One name where all nodes have the same. */
const encryptionLine = (encryption: Encryption): string => {
  const nameOf = (kind: EncryptionJson | null) => kind === null ? "unknown" : kind === "native" ? "native code" : kind
  const kinds = new Set(Object.values(encryption).map(nameOf))
  const one = kinds.size === 1 ? [...kinds][0] : undefined
  const each = Object.entries(encryption).map(([id, kind]) => `${id}: ${nameOf(kind)}`)
  return `SSH between the nodes: ${one ?? (each.length === 0 ? "unknown" : each.join(", "))}`
}

const report = Effect.fnUntraced(function*(flags: BenchFlags, counts: Counts, seconds: number) {
  const encryption = yield* encryptionAt(flags)
  const { clients, consistency, endpoints, json, keys, readRatio, valueSize } = flags
  const writes = counts.writes.json(seconds)
  const reads = counts.reads.json(seconds)
  if (json) {
    const load = { clients, seconds, valueSize, readRatio, keys, consistency, endpoints, encryption }
    return yield* printJson({ ...load, writes, reads })
  }
  yield* printLine(
    `${styled("bold", `${clients} clients`)} for ${
      seconds.toFixed(1)
    } s, values of ${valueSize} bytes, ${keys} keys, ` +
      `${Math.round(readRatio * 100)} % ${consistency} reads`
  )
  yield* printLine(encryptionLine(encryption))
  const rows = [
    ...readRatio < 1 ? [cellsOf("writes", writes)] : [],
    ...readRatio > 0 ? [cellsOf("reads", reads)] : []
  ]
  for (const line of table([heads, ...rows])) yield* printLine(line)
})

/** Deletes what was written; a cluster that has no leader any more keeps it. */
const cleanUp = (store: typeof DistKvClient.Service, prefix: string) =>
  store.deleteRange({ prefix }).pipe(
    Effect.catch((error) => noteLine(`distkv: the keys under ${prefix} are still there: ${error.message}`))
  )

/** Runs the benchmark; fails where nothing succeeded. */
export const bench = Effect.fnUntraced(function*(flags: BenchFlags) {
  const clock = yield* Clock.Clock
  const nowMs = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const store = yield* DistKvClient.make({ endpoints: flags.endpoints })
  const prefix = `distkv-bench/${randomBytes(6).toString("hex")}/`
  const timeoutMs = flags.timeout === undefined ? defaultTimeoutMs : Duration.toMillis(flags.timeout)
  // Whether there is anybody to take the load, told as the other commands tell it.
  yield* store.set(`${prefix}0`, new Uint8Array(flags.valueSize), { timeout: flags.timeout })
  yield* Effect.addFinalizer(() => cleanUp(store, prefix))
  const callers = yield* Effect.acquireRelease(
    Effect.sync(() =>
      Array.from(
        { length: flags.clients },
        (_, i) => new Caller(flags.endpoints[i % flags.endpoints.length] ?? "", timeoutMs)
      )
    ),
    (all) => Effect.sync(() => all.forEach((caller) => caller.close()))
  )
  const load: Load = { flags, prefix, callers, nowMs, value: new Uint8Array(flags.valueSize).fill(120) }
  const stopped = yield* stopOnInterrupt
  if (flags.readRatio > 0) yield* fill(load)
  yield* runFor(load, { writes: new Tally(), reads: new Tally() }, flags.warmUp, stopped)

  const counts: Counts = { writes: new Tally(), reads: new Tally() }
  const began = nowMs()
  const shown = yield* Effect.forkChild(show(load, counts, began))
  yield* runFor(load, counts, flags.duration, stopped)
  yield* Fiber.interrupt(shown)
  const seconds = (nowMs() - began) / 1000
  yield* report(flags, counts, Math.round(seconds * 1000) / 1000)
  const succeeded = counts.writes.times.count + counts.reads.times.count
  if (succeeded === 0) return yield* failed("not one call succeeded")
}, Effect.scoped)
