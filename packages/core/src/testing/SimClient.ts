/**
 * Clients of the store in a random run: fibers on a node that call its `DistKv`, and note what they asked and heard.
 *
 * Every value is written once in the whole run, so that a read tells which write it saw. Keys beginning with `m/` are
 * those of calls on several keys; the others belong to calls on one.
 */
import { Effect, Result } from "effect"
import type { DistKv, IdempotencyKey } from "../DistKv.ts"
import type { DistKvError } from "../DistKvError.ts"
import type { Entry } from "../domain/Entry.ts"
import type { NodeId } from "../domain/Identity.ts"
import { textOf } from "./AppliedHistory.ts"
import type { ShownEntry } from "./EntryModel.ts"
import type { CallInput, CallOutput, History } from "./History.ts"
import { callText, isWrite, resultText } from "./History.ts"
import { deadlineGraceMs } from "./invariants/FinalFailures.ts"
import type { Prng } from "./Prng.ts"
import type { SimHost } from "./SimHost.ts"
import { askOutcome, insistently, mostAttempts, SimSession } from "./SimSession.ts"

/** What clients do; drawn for each run. */
export interface Workload {
  readonly keys: number
  /** Mean milliseconds between a client's calls in a storm. */
  readonly thinkMs: number
  /** How often a client calls again without waiting for the answer. */
  readonly impatience: number
  /** Weight of each kind of call. */
  readonly mix: Readonly<Record<CallInput["op"] | "compareAndSet" | "staleGet", number>>
  /** How often a read that is not stale asks for the leader's lease: nobody may see a difference. */
  readonly leaseReads: number
  /** A call's time-out is drawn between these, in milliseconds. */
  readonly timeoutMs: readonly [number, number]
  /** How often a write carries the key of its client's session, and is sent again where its outcome is unknown. */
  readonly keyed: number
  /** Values are padded to up to so many characters. */
  readonly valueLength: number
}

/** The same, without writes. */
export const readingOnly = (workload: Workload): Workload => ({
  ...workload,
  mix: {
    get: 3,
    staleGet: workload.mix.staleGet,
    list: workload.mix.list,
    set: 0,
    compareAndSet: 0,
    delete: 0,
    deleteRange: 0,
    setMany: 0
  }
})

/** Null rests. Times in milliseconds; who is patient waits for each answer before the next call. */
export type CallPace = { readonly thinkMs: number; readonly isPatient: boolean } | null

/** Nothing but writes of one key each. */
export const writingOnly = (workload: Workload): Workload => ({
  ...readingOnly(workload),
  mix: { get: 0, staleGet: 0, list: 0, set: 3, compareAndSet: 0, delete: 0, deleteRange: 0, setMany: 0 }
})

export interface ClientParts {
  readonly node: NodeId
  readonly run: number
  readonly host: SimHost
  readonly kv: DistKv["Service"]
  readonly history: History
  readonly random: Prng
  readonly workload: Workload
  /** How it calls from now on. */
  readonly pace: () => CallPace
  /** A number that no other call of this world has. */
  readonly nextSerial: () => number
}

const shown = (entry: Entry): ShownEntry => ({ value: textOf(entry.value), modRevision: entry.modRevision })

const shownOrNull = (entry: Entry | null): ShownEntry | null => entry === null ? null : shown(entry)

/** Calls that one client may have under way at once. */
const maxUnderWay = 8

/** Calls for ever; how often it waits for an answer before it calls again is part of the workload. */
export const runClient = (parts: ClientParts): Effect.Effect<never> => {
  const { pace, random, workload } = parts
  const known = new Map<string, number>()
  const session = new SimSession(parts.kv)
  let underWay = 0
  const once = Effect.suspend(() => {
    const now = pace()
    if (now === null) return Effect.sleep(200)
    underWay++
    const call = Effect.ensuring(perform(parts, drawInput(parts, known), known, session), Effect.sync(() => underWay--))
    const goesOn = !now.isPatient && underWay < maxUnderWay && random.chance(workload.impatience)
    const called = goesOn ? Effect.forkChild(call, { startImmediately: true }) : call
    return Effect.andThen(called, Effect.sleep(random.exponential(now.thinkMs)))
  })
  return Effect.forever(once)
}

/** Makes one call, and notes it. */
export const perform = (
  parts: ClientParts,
  input: CallInput,
  known: Map<string, number> = new Map(),
  session: SimSession | null = null
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { history, host, kv, node, random, run, workload } = parts
    // A process that has just lost power asks nothing more.
    if (host.isDead) return Effect.never
    const { world } = host
    const timeoutMs = Math.round(random.between(...workload.timeoutMs))
    const call = history.begin({
      node,
      run,
      input,
      calledAt: world.now,
      calledAtLocal: host.runningMs,
      timeoutMs
    })
    world.timeline.record(world.now, node, () => `#${call.id} ${callText(call)}`)
    const keyed = session !== null && isWrite(input) && random.chance(workload.keyed) ? session : null
    const sent = keyed === null ? request(kv, input, timeoutMs) : keyedRequest(kv, keyed, input, timeoutMs)
    const ended = Effect.map(Effect.result(sent), (result) => {
      const output = Result.isSuccess(result) ? result.success : failedOutput(result.failure)
      if (output !== null) remember(known, input, output)
      history.end(
        call,
        world.now,
        output === null
          ? { _tag: "Failed", error: (result as Result.Failure<never, DistKvError>).failure }
          : { _tag: "Answered", output }
      )
      world.timeline.mixText(resultText(call))
      world.timeline.record(world.now, node, () => `#${call.id} -> ${resultText(call)}`)
      const late = host.runningMs - call.calledAtLocal - timeoutMs -
        deadlineGraceMs * (keyed === null ? 1 : mostAttempts + 1)
      if (late > 0) world.violate("I27", `#${call.id} on ${node} is settled ${late.toFixed(0)} ms after its deadline`)
      return result
    })
    return Effect.flatMap(ended, (result) =>
      Result.isSuccess(result)
        ? Effect.void
        : Effect.map(askOutcome(kv, result.failure, random), (outcome) => {
          if (outcome === null) return
          history.outcomes.push({ call, outcome })
          world.timeline.record(world.now, node, () => `#${call.id} was ${outcome}`)
        }))
  })

/** Opening the session and the attempts share the time. */
const keyedRequest = (
  kv: DistKv["Service"],
  session: SimSession,
  input: CallInput,
  timeoutMs: number
): Effect.Effect<CallOutput, DistKvError> =>
  Effect.flatMap(session.key(timeoutMs / 4), (key) =>
    key === null
      ? request(kv, input, timeoutMs / 2)
      : insistently((left) => request(kv, input, left, key), timeoutMs / 2))

/** Answers that the service gives as errors. */
const failedOutput = (error: DistKvError): CallOutput | null => {
  switch (error._tag) {
    case "KeyNotFound":
      return { _tag: "Read", revision: error.revision, entry: null }
    case "CompareFailed":
      return { _tag: "CompareFailed", revision: error.revision, current: shownOrNull(error.current) }
    default:
      return null
  }
}

/** A compare-and-set takes the revision that the client last saw. */
const remember = (known: Map<string, number>, input: CallInput, output: CallOutput): void => {
  if (input.op !== "get" && input.op !== "set") return
  if (output._tag === "Read") known.set(input.key, output.entry?.modRevision ?? 0)
  if (output._tag === "Set") known.set(input.key, output.revision)
  if (output._tag === "CompareFailed") known.set(input.key, output.current?.modRevision ?? 0)
}

const request = (
  kv: DistKv["Service"],
  input: CallInput,
  timeout: number,
  idempotencyKey?: IdempotencyKey
): Effect.Effect<CallOutput, DistKvError> => {
  switch (input.op) {
    case "get":
      return Effect.map(
        kv.get(input.key, {
          timeout,
          consistency: input.stale ? "stale" : input.lease === true ? "lease" : "linearizable"
        }),
        (entry): CallOutput => ({ _tag: "Read", revision: entry.revision, entry: shown(entry) })
      )
    case "set":
      return Effect.map(
        kv.set(input.key, input.value, {
          timeout,
          previous: input.previous,
          ifRevision: input.ifRevision ?? undefined,
          idempotencyKey
        }),
        ({ created, previous, revision }): CallOutput => ({
          _tag: "Set",
          revision,
          created,
          previous: previous === undefined ? undefined : shownOrNull(previous)
        })
      )
    case "delete":
      return Effect.map(
        kv.delete(input.key, { timeout, ifRevision: input.ifRevision ?? undefined, idempotencyKey }),
        ({ deleted, revision }): CallOutput => ({ _tag: "Deleted", revision, deleted: deleted ? 1 : 0 })
      )
    case "list":
      return Effect.map(kv.list({ prefix: input.prefix, timeout }), ({ entries, revision }): CallOutput => ({
        _tag: "Listed",
        revision,
        entries: Object.fromEntries(entries.map((entry) => [entry.key, shown(entry)]))
      }))
    case "deleteRange":
      return Effect.map(
        kv.deleteRange({ prefix: input.prefix, timeout, idempotencyKey }),
        ({ deleted, revision }): CallOutput => ({ _tag: "Deleted", revision, deleted })
      )
    case "setMany":
      return Effect.map(
        kv.setMany(input.entries, { timeout, idempotencyKey }),
        ({ revision }): CallOutput => ({ _tag: "SetMany", revision })
      )
  }
}

/** What a client asks next. */
export const drawInput = (parts: ClientParts, known: ReadonlyMap<string, number>): CallInput => {
  const { nextSerial, random, workload } = parts
  const key = `k${random.int(1, workload.keys)}`
  const shared = () => `m/${random.int(1, workload.keys)}`
  const value = () => `v${nextSerial()}`.padEnd(random.int(0, workload.valueLength), ".")
  const kind = drawKind(random, workload.mix)
  switch (kind) {
    case "get":
    case "staleGet":
      return {
        op: "get",
        key: random.chance(0.2) ? shared() : key,
        stale: kind === "staleGet",
        lease: kind === "get" && random.chance(workload.leaseReads)
      }
    case "set":
      return {
        op: "set",
        key: random.chance(0.2) ? shared() : key,
        value: value(),
        ifRevision: random.chance(0.1) ? 0 : null,
        previous: random.chance(0.3)
      }
    case "compareAndSet":
      return { op: "set", key, value: value(), ifRevision: known.get(key) ?? 0, previous: false }
    case "delete": {
      const seen = known.get(key) ?? 0
      return { op: "delete", key, ifRevision: seen > 0 && random.chance(0.5) ? seen : null }
    }
    case "list":
      return { op: "list", prefix: random.chance(0.5) ? "m/" : "k" }
    case "deleteRange":
      return { op: "deleteRange", prefix: `m/${random.int(1, workload.keys)}` }
    case "setMany": {
      const keys = new Set(Array.from({ length: random.int(1, 4) }, shared))
      return { op: "setMany", entries: [...keys].map((name) => [name, value()] as const) }
    }
  }
}

const drawKind = (random: Prng, mix: Workload["mix"]): keyof Workload["mix"] => {
  const kinds = Object.keys(mix) as ReadonlyArray<keyof Workload["mix"]>
  let left = random.next() * kinds.reduce((sum, kind) => sum + mix[kind], 0)
  for (const kind of kinds) {
    left -= mix[kind]
    if (left < 0) return kind
  }
  return "get"
}
