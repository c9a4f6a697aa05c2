/** The `DistKv` service over a running node: requests become messages of its inbox, settled requests become results. */
import { Effect, Exit } from "effect"
import type {
  Consistency,
  DeleteRangeResult,
  DeleteResult,
  DistKv,
  ListResult,
  ReadEntry,
  SetResult
} from "../DistKv.ts"
import {
  CompareFailed,
  InvalidRequest,
  KeyNotFound,
  NoLeader,
  Overloaded,
  type ReadError,
  Shutdown,
  StorageFailed,
  type WriteError
} from "../DistKvError.ts"
import type { Command } from "../domain/Command.ts"
import { encodeCommand } from "../domain/CommandCodec.ts"
import { compareKeys, type Entry, type Key } from "../domain/Entry.ts"
import { refusalText } from "../domain/Identity.ts"
import { maxCommandBytes } from "../domain/LogEntry.ts"
import { hasFeature } from "../domain/Membership.ts"
import type { Outcome } from "../domain/Outcome.ts"
import type { LogIndex } from "../domain/Position.ts"
import { holdsLease } from "../roles/Leasing.ts"
import type { Admission } from "../state/Admission.ts"
import { type PendingRead, type ReadSettlement } from "../state/PendingReads.ts"
import { pendingWrite, type WriteSettlement } from "../state/PendingWrites.ts"
import * as Administration from "./Administration.ts"
import { backup } from "./Backup.ts"
import { type CallCounters, memberStatuses, metricsOf, statusOf } from "./NodeStatus.ts"
import type { RaftNode } from "./RaftNode.ts"
import {
  type Checked,
  deadlineOf,
  deleteCommand,
  deleteRangeCommand,
  demandOf,
  keyOf,
  type Page,
  pageOf,
  type ReadDemand,
  setCommand,
  setManyCommand
} from "./Requests.ts"
import { keyPlaceOf, type Place, placeOf, sessionFailure, writeOutcomeOf } from "./SessionCalls.ts"

/** A page of a list ends when its keys and values weigh this much. */
const pageBytes = 4 * 1024 * 1024
/** What a caller is told to wait when a bounded queue is full. */
const retryAfterMs = 100

class Calls {
  readonly counters: CallCounters = { proposals: 0, proposalsFailed: 0, reads: 0, overloaded: 0 }
  private readonly node: RaftNode
  private readonly admission: Admission

  constructor(node: RaftNode) {
    this.node = node
    this.admission = node.state.parts.admission
  }

  private now(): number {
    return this.node.state.parts.clock()
  }

  /** Proposes a command and waits for its outcome. */
  write<A>(
    command: Checked<Command>,
    timeout: Checked<number>,
    resultOf: (outcome: Outcome, record: Uint8Array) => Exit.Exit<A, WriteError>,
    place: Checked<Place | null> = null
  ): Effect.Effect<A, WriteError> {
    return Effect.callback<A, WriteError>((resume) => {
      if (command instanceof InvalidRequest) return resume(Exit.fail(command))
      if (timeout instanceof InvalidRequest) return resume(Exit.fail(timeout))
      const refusal = this.refuseWrite()
      if (refusal !== null) return resume(Exit.fail(refusal))
      if (place instanceof InvalidRequest) return resume(Exit.fail(place))
      const needsSessions = place !== null || command._tag === "OpenSession"
      if (needsSessions && !hasFeature(this.node.state.membership, "sessions")) {
        return resume(Exit.fail(noSessionsYet()))
      }
      const record = encodeCommand(command, place?.session, place?.sequence)
      if (record.length > maxCommandBytes) {
        const message = `a command has at most ${maxCommandBytes} bytes`
        return resume(Exit.fail(new InvalidRequest({ message, tooLarge: true })))
      }
      this.admission.writes++
      this.admission.writeBytes += record.length
      this.counters.proposals++
      const settle = (settlement: WriteSettlement) => {
        this.admission.writes--
        this.admission.writeBytes -= record.length
        const exit = settlement._tag === "Applied"
          ? resultOf(settlement.outcome, record)
          : Exit.fail(failureOf(settlement))
        if (Exit.isFailure(exit)) this.counters.proposalsFailed++
        resume(exit)
      }
      const write = pendingWrite({ record, deadline: this.now() + timeout, origin: null, hops: 0, settle })
      this.node.offer({ _tag: "Propose", write })
    })
  }

  /** Waits until this node's state may serve a read, then looks at it. */
  read<A, E>(
    demand: Checked<ReadDemand>,
    timeout: Checked<number>,
    look: (consistency: Consistency) => Exit.Exit<A, E>
  ): Effect.Effect<A, E | ReadError> {
    return Effect.callback<A, E | ReadError>((resume) => {
      if (demand instanceof InvalidRequest) return resume(Exit.fail(demand))
      if (timeout instanceof InvalidRequest) return resume(Exit.fail(timeout))
      const refusal = this.refuseRead(demand.consistency === "stale")
      if (refusal !== null) return resume(Exit.fail(refusal))
      this.counters.reads++
      const { state } = this.node
      const { consistency } = demand
      const stale = consistency === "stale"
      const now = this.now()
      // Another level than `linearizable` needs nobody's word where this node's state is enough.
      if (
        consistency !== "linearizable" && demand.minRevision <= state.machine.revision &&
        (stale || holdsLease(state, now))
      ) return resume(this.lookNow(() => look(consistency)))
      this.admission.reads++
      const read: PendingRead = {
        deadline: now + timeout,
        minRevision: demand.minRevision,
        readIndex: null,
        settled: false,
        local: stale,
        settle: (settlement: ReadSettlement) => {
          this.admission.reads--
          resume(
            settlement === null
              ? this.lookNow(() => look(stale ? "stale" : "linearizable"))
              : Exit.fail(settlement)
          )
        }
      }
      this.node.offer({ _tag: "Read", read })
    })
  }

  /** The index up to which this node has applied at least what was acknowledged before the call. */
  applied(timeout: Checked<number>): Effect.Effect<LogIndex, ReadError> {
    return this.read(demandOf({}), timeout, () => Exit.succeed(this.node.state.machine.applied))
  }

  private lookNow<A, E>(look: () => Exit.Exit<A, E>): Effect.Effect<A, E | StorageFailed> {
    return Effect.flatten(Effect.try({
      try: look,
      catch: (cause) => {
        const failure = cause instanceof StorageFailed
          ? cause
          : new StorageFailed({ message: "the stored state could not be read", cause })
        this.node.fail(failure)
        return failure
      }
    }))
  }

  private refuseWrite(): NoLeader | Overloaded | Shutdown | StorageFailed | null {
    const refusal = this.refusal()
    if (refusal !== null) return refusal
    return this.admission.takesWrite ? null : this.overloaded("writes")
  }

  private refuseRead(stale: boolean): NoLeader | Overloaded | Shutdown | StorageFailed | null {
    const refusal = this.refusal()
    // What it has, a node shows, whoever refuses it.
    if (refusal !== null && !(stale && refusal._tag === "NoLeader")) return refusal
    return this.admission.takesRead ? null : this.overloaded("reads")
  }

  private refusal(): Shutdown | StorageFailed | NoLeader | null {
    const { refused } = this.node.state.belonging
    return this.node.refusal() ?? (this.node.isClosing() ? new Shutdown() : null) ??
      (refused === null ? null : new NoLeader({ message: refusalText[refused] }))
  }

  private overloaded(what: string): Overloaded {
    this.counters.overloaded++
    return new Overloaded({ message: `this node has too many ${what} under way`, retryAfterMs })
  }
}

const failureOf = (settlement: Exclude<WriteSettlement, { readonly _tag: "Applied" }>): WriteError =>
  settlement._tag === "Failed"
    ? settlement.error
    : new StorageFailed({ message: "a write of this node was answered like a forwarded one" })

const noSessionsYet = () =>
  new InvalidRequest({ message: "there are no sessions until every member runs a program that knows them" })

const refusedOutcome = (outcome: Outcome, record: Uint8Array): Exit.Exit<never, WriteError> => {
  const failure = sessionFailure(outcome, record)
  if (failure !== null) return Exit.fail(failure)
  switch (outcome._tag) {
    case "CompareFailed":
      return Exit.fail(new CompareFailed({ current: outcome.current, revision: outcome.revision }))
    case "TooManyEntries":
      return Exit.fail(
        new InvalidRequest({ message: `more than ${outcome.limit} entries are in the range; nothing was deleted` })
      )
    default:
      return Exit.die(new Error(`a ${outcome._tag} answered another command`))
  }
}

/** Copies a value, so that what a caller does with it changes neither the log nor the state. */
const owned = (entry: Entry): Entry => ({ ...entry, value: entry.value.slice() })

/** Looks at a node unless it is closed; one that has failed still says what it knows. */
const whileOpen = (node: RaftNode) => <A>(look: () => A): Effect.Effect<A, Shutdown> =>
  Effect.suspend(() => {
    const refusal = node.refusal()
    return refusal?._tag === "Shutdown" ? Effect.fail(refusal) : Effect.succeed(look())
  })

type Writes = Pick<DistKv["Service"], "set" | "setMany" | "delete" | "deleteRange" | "openSession" | "outcome">

/** The calls that become entries of the log. */
const writesOf = (calls: Calls, valueBytes: number): Writes => ({
  set: (key, value, options) =>
    calls.write<SetResult>(
      setCommand(key, value, options, valueBytes),
      deadlineOf("set", options),
      (outcome, record) => {
        if (outcome._tag !== "Put") return refusedOutcome(outcome, record)
        const { created, previous, revision } = outcome
        return Exit.succeed(
          options?.previous === true
            ? { revision, created, previous: previous === null ? null : owned(previous) }
            : { revision, created }
        )
      },
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
    calls.write<DeleteResult>(
      deleteCommand(key, options),
      deadlineOf("delete", options),
      (outcome, record) =>
        outcome._tag === "Deleted"
          ? Exit.succeed({ revision: outcome.revision, deleted: outcome.deleted > 0 })
          : refusedOutcome(outcome, record),
      placeOf(options)
    ),
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

/** Makes the service of a running node. */
export const make = (node: RaftNode): DistKv["Service"] => {
  const calls = new Calls(node)
  const { state } = node
  const { valueBytes } = state.parts.limits
  const alive = whileOpen(node)
  return {
    get: (key, options) => {
      const checked = keyOf(key)
      if (checked instanceof InvalidRequest) return Effect.fail(checked)
      return calls.read(
        demandOf(options),
        deadlineOf("read", options),
        (consistency) => lookUp(node, checked, consistency)
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
}

const lookUp = (node: RaftNode, key: Key, consistency: Consistency): Exit.Exit<ReadEntry, KeyNotFound> => {
  const { machine } = node.state
  const entry = machine.get(key)
  return entry === undefined
    ? Exit.fail(new KeyNotFound({ key, revision: machine.revision, consistency }))
    : Exit.succeed({ ...owned(entry), revision: machine.revision, consistency })
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
