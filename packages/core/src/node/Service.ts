/** The `DistKv` service over a running node. */
import { Effect, Exit, Result } from "effect"
import { type DirectCalls, withDirectCalls } from "../DirectCalls.ts"
import type {
  Consistency,
  DeleteRangeResult,
  DeleteResult,
  DistKv,
  ListResult,
  ReadEntry,
  SetOptions,
  SetResult
} from "../DistKv.ts"
import { CompareFailed, InvalidRequest, KeyNotFound, type Shutdown, type WriteError } from "../DistKvError.ts"
import { compareKeys, type Entry, type Key } from "../domain/Entry.ts"
import type { Outcome } from "../domain/Outcome.ts"
import * as Administration from "./Administration.ts"
import { backup } from "./Backup.ts"
import { Calls } from "./Calls.ts"
import { memberStatuses, metricsOf, statusOf } from "./NodeStatus.ts"
import type { RaftNode } from "./RaftNode.ts"
import {
  deadlineOf,
  deleteCommand,
  deleteRangeCommand,
  demandOf,
  keyOf,
  type Page,
  pageOf,
  setCommand,
  setManyCommand
} from "./Requests.ts"
import { keyPlaceOf, placeOf, sessionFailure, writeOutcomeOf } from "./SessionCalls.ts"

/** A page of a list ends when its keys and values weigh this much. */
const pageBytes = 4 * 1024 * 1024

/**
 * An error that is an answer of the store, and may be told thousands of times a second: without a stack, which would
 * show the node's own turn only, and cost as much as the rest of the answer.
 */
const answered = <E>(make: () => E): E => {
  const { stackTraceLimit } = Error
  // Where the limit cannot be set, there is a stack.
  Reflect.set(Error, "stackTraceLimit", 0)
  const made = Result.try(make)
  Reflect.set(Error, "stackTraceLimit", stackTraceLimit)
  return Result.getOrThrow(made)
}

const refusedOutcome = (outcome: Outcome, record: Uint8Array): Exit.Exit<never, WriteError> => {
  const failure = sessionFailure(outcome, record)
  if (failure !== null) return Exit.fail(failure)
  switch (outcome._tag) {
    case "CompareFailed":
      return Exit.fail(answered(() => new CompareFailed({ current: outcome.current, revision: outcome.revision })))
    case "TooManyEntries":
      return Exit.fail(
        new InvalidRequest({ message: `more than ${outcome.limit} entries are in the range; nothing was deleted` })
      )
    default:
      return Exit.die(new Error(`a ${outcome._tag} answered another command`))
  }
}

/** Copies a value, so that what a caller does with it changes neither the log nor the state. */
const owned = <E extends Entry>(entry: E): E => ({ ...entry, value: entry.value.slice() })

/** Looks at a node unless it is closed; one that has failed still says what it knows. */
const whileOpen = (node: RaftNode) => <A>(look: () => A): Effect.Effect<A, Shutdown> =>
  Effect.suspend(() => {
    const refusal = node.refusal()
    return refusal?._tag === "Shutdown" ? Effect.fail(refusal) : Effect.succeed(look())
  })

type ResultOf<A> = (outcome: Outcome, record: Uint8Array) => Exit.Exit<A, WriteError>

const setResultOf = (options: SetOptions | undefined): ResultOf<SetResult> => (outcome, record) => {
  if (outcome._tag !== "Put") return refusedOutcome(outcome, record)
  const { created, previous, revision } = outcome
  return Exit.succeed(
    options?.previous === true
      ? { revision, created, previous: previous === null ? null : owned(previous) }
      : { revision, created }
  )
}

const deleteResultOf: ResultOf<DeleteResult> = (outcome, record) =>
  outcome._tag === "Deleted"
    ? Exit.succeed({ revision: outcome.revision, deleted: outcome.deleted > 0 })
    : refusedOutcome(outcome, record)

type Writes = Pick<DistKv["Service"], "set" | "setMany" | "delete" | "deleteRange" | "openSession" | "outcome">

/** The calls that become entries of the log. */
const writesOf = (calls: Calls, valueBytes: number): Writes => ({
  set: (key, value, options) =>
    calls.write(
      setCommand(key, value, options, valueBytes),
      deadlineOf("set", options),
      setResultOf(options),
      placeOf(options)
    ),
  setMany: (entries, options) =>
    calls.write(
      setManyCommand(entries, valueBytes),
      deadlineOf("write", options),
      (outcome, record) =>
        outcome._tag === "Done" ? Exit.succeed({ revision: outcome.revision }) : refusedOutcome(outcome, record),
      placeOf(options)
    ),
  delete: (key, options) =>
    calls.write(deleteCommand(key, options), deadlineOf("delete", options), deleteResultOf, placeOf(options)),
  deleteRange: (options) =>
    calls.write<DeleteRangeResult>(
      deleteRangeCommand(options),
      deadlineOf("deleteRange", options),
      (outcome, record) =>
        outcome._tag === "Deleted"
          ? Exit.succeed({ revision: outcome.revision, deleted: outcome.deleted })
          : refusedOutcome(outcome, record),
      placeOf(options)
    ),
  openSession: (options) =>
    calls.write(
      { _tag: "OpenSession", owner: null },
      deadlineOf("call", options),
      (outcome, record) =>
        outcome._tag === "SessionOpened"
          ? Exit.succeed({ session: `${outcome.session}` })
          : refusedOutcome(outcome, record)
    ),
  outcome: (session, sequence, options) =>
    calls.write(
      { _tag: "Seal" },
      deadlineOf("call", options),
      (outcome, record) =>
        outcome._tag === "SessionExpired" ? refusedOutcome(outcome, record) : writeOutcomeOf(outcome),
      keyPlaceOf({ session, sequence })
    )
})

/** The same for whoever serves thousands of calls a second; `get` lends the value. */
const directCallsOf = (node: RaftNode, calls: Calls, valueBytes: number): DirectCalls => ({
  get: (key, options, done) => {
    const checked = keyOf(key)
    if (checked instanceof InvalidRequest) return done(Exit.fail(checked))
    calls.beginRead(
      demandOf(options),
      deadlineOf("read", options),
      (consistency) => lookUp(node, checked, consistency),
      done
    )
  },
  set: (key, value, options, done) =>
    calls.beginWrite(
      setCommand(key, value, options, valueBytes),
      deadlineOf("set", options),
      setResultOf(options),
      placeOf(options),
      done
    ),
  delete: (key, options, done) =>
    calls.beginWrite(
      deleteCommand(key, options),
      deadlineOf("delete", options),
      deleteResultOf,
      placeOf(options),
      done
    ),
  standing: () => {
    const { clusterId, id, leader, machine, term } = node.state
    return { nodeId: id, clusterId, term, leader, revision: machine.revision }
  }
})

/** Makes the service of a running node. */
export const make = (node: RaftNode): DistKv["Service"] => {
  const calls = new Calls(node)
  const { state } = node
  const { valueBytes } = state.parts.limits
  const alive = whileOpen(node)
  const service: DistKv["Service"] = {
    get: (key, options) => {
      const checked = keyOf(key)
      if (checked instanceof InvalidRequest) return Effect.fail(checked)
      return calls.read(
        demandOf(options),
        deadlineOf("read", options),
        (consistency) => Exit.map(lookUp(node, checked, consistency), owned)
      )
    },
    ...writesOf(calls, valueBytes),
    list: (options) => {
      const page = pageOf(options)
      if (page instanceof InvalidRequest) return Effect.fail(page)
      const timeout = deadlineOf("list", options)
      return calls.read(demandOf(options), timeout, (consistency) => listPage(node, page, consistency))
    },
    status: alive(() => statusOf(state, node.address, node.refusal() !== null, node.isClosing())),
    metrics: alive(() => metricsOf(state, node.committer, node.checkpointer, node.snapshots.counters, calls.counters)),
    join: (address, options) => Administration.join(node, address, options),
    members: {
      list: alive(() => memberStatuses(state)),
      ...Administration.memberCalls(node)
    },
    transferLeadership: (to, options) => Administration.transfer(node, to, options),
    snapshot: (options) => backup(node, calls.applied(deadlineOf("call", options))),
    stopped: node.stopped
  }
  return withDirectCalls(service, directCallsOf(node, calls, valueBytes))
}

const lookUp = (node: RaftNode, key: Key, consistency: Consistency): Exit.Exit<ReadEntry, KeyNotFound> => {
  const { machine } = node.state
  const { revision } = machine
  const entry = machine.get(key)
  if (entry === undefined) return Exit.fail(answered(() => new KeyNotFound({ key, revision, consistency })))
  // Named one by one: that is faster than a spread, and every read comes here.
  const { createRevision, leaseId, modRevision, value, version } = entry
  return Exit.succeed({ key, value, createRevision, modRevision, version, leaseId, revision, consistency })
}

const listPage = (node: RaftNode, page: Page, consistency: Consistency): Exit.Exit<ListResult> => {
  const { machine } = node.state
  const entries: Array<Entry> = []
  let bytes = 0
  let more = false
  for (const entry of machine.scan(narrowed(page))) {
    if (entry.key === page.after) continue
    const weight = entry.key.length + entry.value.length
    if (entries.length === page.limit || (entries.length > 0 && bytes + weight > pageBytes)) {
      more = true
      break
    }
    bytes += weight
    entries.push(owned(entry))
  }
  return Exit.succeed({ entries, more, revision: machine.revision, consistency })
}

/** Begins a scan where the page before ended; `after` itself is skipped. */
const narrowed = ({ after, scan }: Page): Page["scan"] => {
  if (after === null) return scan
  if (scan.reverse) return scan.to === null || compareKeys(after, scan.to) < 0 ? { ...scan, to: after } : scan
  return scan.from === null || compareKeys(after, scan.from) > 0 ? { ...scan, from: after } : scan
}
