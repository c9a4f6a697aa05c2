/** What a node does for its callers: requests become messages of its inbox, settled requests become results. */
import { Effect, Exit, Result } from "effect"
import type { Done } from "../DirectCalls.ts"
import type { Consistency } from "../DistKv.ts"
import {
  InvalidRequest,
  NoLeader,
  Overloaded,
  type ReadError,
  Shutdown,
  StorageFailed,
  type WriteError
} from "../DistKvError.ts"
import type { Command } from "../domain/Command.ts"
import { encodeCommand } from "../domain/CommandCodec.ts"
import { refusalText } from "../domain/Identity.ts"
import { maxCommandBytes } from "../domain/LogEntry.ts"
import { hasFeature } from "../domain/Membership.ts"
import type { Outcome } from "../domain/Outcome.ts"
import type { LogIndex } from "../domain/Position.ts"
import { holdsLease } from "../roles/Leasing.ts"
import type { Admission } from "../state/Admission.ts"
import { type PendingRead, type ReadSettlement } from "../state/PendingReads.ts"
import { pendingWrite, type WriteSettlement } from "../state/PendingWrites.ts"
import { type CallCounters } from "./NodeStatus.ts"
import type { RaftNode } from "./RaftNode.ts"
import { type Checked, demandOf, type ReadDemand } from "./Requests.ts"
import type { Place } from "./SessionCalls.ts"

/** What a caller is told to wait when a bounded queue is full. */
const retryAfterMs = 100

export class Calls {
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
    return Effect.callback<A, WriteError>((resume) => this.beginWrite(command, timeout, resultOf, place, resume))
  }

  /** Proposes a command; `done` is told its outcome. */
  beginWrite<A>(
    command: Checked<Command>,
    timeout: Checked<number>,
    resultOf: (outcome: Outcome, record: Uint8Array) => Exit.Exit<A, WriteError>,
    place: Checked<Place | null>,
    done: Done<A, WriteError>
  ): void {
    if (command instanceof InvalidRequest) return done(Exit.fail(command))
    if (timeout instanceof InvalidRequest) return done(Exit.fail(timeout))
    const refusal = this.refuseWrite()
    if (refusal !== null) return done(Exit.fail(refusal))
    if (place instanceof InvalidRequest) return done(Exit.fail(place))
    const needsSessions = place !== null || command._tag === "OpenSession"
    if (needsSessions && !hasFeature(this.node.state.membership, "sessions")) {
      return done(Exit.fail(noSessionsYet()))
    }
    const record = encodeCommand(command, place?.session, place?.sequence)
    if (record.length > maxCommandBytes) {
      const message = `a command has at most ${maxCommandBytes} bytes`
      return done(Exit.fail(new InvalidRequest({ message, tooLarge: true })))
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
      done(exit)
    }
    const write = pendingWrite({ record, deadline: this.now() + timeout, origin: null, hops: 0, settle })
    this.node.offer({ _tag: "Propose", write })
  }

  /** Waits until this node's state may serve a read, then looks at it. */
  read<A, E>(
    demand: Checked<ReadDemand>,
    timeout: Checked<number>,
    look: (consistency: Consistency) => Exit.Exit<A, E>
  ): Effect.Effect<A, E | ReadError> {
    return Effect.callback<A, E | ReadError>((resume) => this.beginRead(demand, timeout, look, resume))
  }

  /** Tells `done` what is seen once this node's state may serve a read. */
  beginRead<A, E>(
    demand: Checked<ReadDemand>,
    timeout: Checked<number>,
    look: (consistency: Consistency) => Exit.Exit<A, E>,
    done: Done<A, E | ReadError>
  ): void {
    if (demand instanceof InvalidRequest) return done(Exit.fail(demand))
    if (timeout instanceof InvalidRequest) return done(Exit.fail(timeout))
    const refusal = this.refuseRead(demand.consistency === "stale")
    if (refusal !== null) return done(Exit.fail(refusal))
    this.counters.reads++
    const { state } = this.node
    const { consistency } = demand
    const stale = consistency === "stale"
    // Another level than `linearizable` needs nobody's word where this node's state is enough.
    if (
      consistency !== "linearizable" && demand.minRevision <= state.machine.revision &&
      (stale || holdsLease(state, this.now()))
    ) return done(this.lookNow(() => look(consistency)))
    this.admission.reads++
    const read: PendingRead = {
      deadline: this.now() + timeout,
      minRevision: demand.minRevision,
      readIndex: null,
      settled: false,
      local: stale,
      settle: (settlement: ReadSettlement) => {
        this.admission.reads--
        done(
          settlement === null
            ? this.lookNow(() => look(stale ? "stale" : "linearizable"))
            : Exit.fail(settlement)
        )
      }
    }
    this.node.offer({ _tag: "Read", read })
  }

  /** The index up to which this node has applied at least what was acknowledged before the call. */
  applied(timeout: Checked<number>): Effect.Effect<LogIndex, ReadError> {
    return this.read(demandOf({}), timeout, () => Exit.succeed(this.node.state.machine.applied))
  }

  private lookNow<A, E>(look: () => Exit.Exit<A, E>): Exit.Exit<A, E | StorageFailed> {
    const seen = Result.try(look)
    if (Result.isSuccess(seen)) return seen.success
    const { failure: cause } = seen
    const failure = cause instanceof StorageFailed
      ? cause
      : new StorageFailed({ message: "the stored state could not be read", cause })
    this.node.fail(failure)
    return Exit.fail(failure)
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
