/**
 * The writes that wait on this node, whatever role it plays.
 *
 * A write is parked while no leader can take it, then logged here (when this node leads) or forwarded. A logged write
 * succeeds when its entry is applied. When another term takes its index it never will be, and the write is parked
 * again. Losing leadership settles nothing: what a deposed leader had in flight normally commits under its successor.
 *
 * A forwarded write whose answer stays away is parked again as well, where it is numbered in a session. From then on it
 * is in doubt: whatever becomes of the new attempt, an earlier one may have taken effect.
 *
 * Invariant: each write is settled exactly once, at its deadline at the latest; `"no"` is never said of a write that
 * may have entered a log and be committed there.
 */
import type { WriteError } from "../DistKvError.ts"
import { DeadlineExceeded, NoLeader, OutcomeUnknown } from "../DistKvError.ts"
import { putSession } from "../domain/CommandCodec.ts"
import type { NodeId } from "../domain/Identity.ts"
import type { Outcome } from "../domain/Outcome.ts"
import type { LogIndex, Term } from "../domain/Position.ts"
import { sequenceOf, sessionOf, unstamped } from "../domain/RecordCodec.ts"
import { Deadlines } from "./Deadlines.ts"
import type { MemberSession } from "./MemberSession.ts"

export type WriteSettlement =
  | { readonly _tag: "Applied"; readonly index: LogIndex; readonly outcome: Outcome }
  | { readonly _tag: "Failed"; readonly error: WriteError }
  /** Only of writes that another node forwarded: this node leads no more, and never logged it. */
  | { readonly _tag: "NotLeader" }

export interface PendingWrite {
  /** A log record, unstamped until it is logged; then the log holds on to its bytes, and another attempt is a copy. */
  record: Uint8Array
  /** Milliseconds, monotonic. */
  readonly deadline: number
  /** The node that forwarded it, with its request's id; null for a caller on this node. */
  readonly origin: { readonly from: NodeId; readonly id: number } | null
  readonly hops: number
  /** Called once; let go of then, and with it all that waits for it. */
  settle: (settlement: WriteSettlement) => void
  phase: "Parked" | "Logged" | "Forwarded" | "Answered" | "Settled"
  /** Where it was logged, or (Answered) the index that this node must apply before its caller is answered. */
  index: LogIndex
  term: Term
  /** The leader's answer to a forwarded write, kept until `index` is applied here. */
  outcome: Outcome | null
  /** The id under which it was forwarded last. */
  requestId: number
  /** Its number in this node's own session; 0 where it has none. */
  sequence: number
  /** Whether another copy of it does no harm: it is in a session, or opens one. */
  retryable: boolean
  /** Whether an attempt went out whose fate is not known. */
  isInDoubt: boolean
  /** How often it was forwarded, and when that is done again (milliseconds, monotonic). */
  attempts: number
  retryAt: number
  /** What its caller is told at the end of the turn; null until it is settled. */
  settlement: WriteSettlement | null
  /** A write that was logged at the same index in an earlier term, whose entry may still be the one committed. */
  displaced: PendingWrite | null
}

/** A write as its caller hands it over. */
export const pendingWrite = (
  given: Pick<PendingWrite, "record" | "deadline" | "origin" | "hops" | "settle">
): PendingWrite => ({
  record: given.record,
  deadline: given.deadline,
  origin: given.origin,
  hops: given.hops,
  settle: given.settle,
  phase: "Parked",
  index: 0 as LogIndex,
  term: 0 as Term,
  outcome: null,
  requestId: 0,
  sequence: 0,
  retryable: false,
  isInDoubt: false,
  attempts: 0,
  retryAt: Number.POSITIVE_INFINITY,
  settlement: null,
  displaced: null
})

export class PendingWrites {
  private readonly deadlines = new Deadlines<PendingWrite>()
  private readonly logged = new Map<LogIndex, PendingWrite>()
  private readonly forwarded = new Map<number, PendingWrite>()
  private readonly answered = new Map<LogIndex, Array<PendingWrite>>()
  private parked: Array<PendingWrite> = []
  private done: Array<PendingWrite> = []
  private readonly session: MemberSession
  count = 0
  bytes = 0

  /** `session` numbers the writes that are forwarded. */
  constructor(session: MemberSession) {
    this.session = session
  }

  get isIdle(): boolean {
    return this.count === 0
  }

  get parkedCount(): number {
    return this.parked.length
  }

  get loggedCount(): number {
    return this.logged.size
  }

  /** Places where writes lie. */
  get places(): number {
    return this.logged.size + this.forwarded.size + this.answered.size + this.parked.length + this.done.length
  }

  /** Takes responsibility for a new write. */
  admit(write: PendingWrite): void {
    this.count++
    this.bytes += write.record.length
    this.deadlines.add(write)
  }

  park(write: PendingWrite): void {
    write.phase = "Parked"
    this.parked.push(write)
  }

  takeParked(): ReadonlyArray<PendingWrite> {
    const parked = this.parked
    if (parked.length > 0) this.parked = []
    return parked
  }

  log(write: PendingWrite, index: LogIndex, term: Term): void {
    write.phase = "Logged"
    write.index = index
    write.term = term
    // Only after this node lost and won leadership can an index be logged twice. The earlier entry is gone from here,
    // but others may have it still.
    const displaced = this.logged.get(index)
    if (displaced !== undefined) write.displaced = displaced
    this.logged.set(index, write)
  }

  /** Waits for the leader's answer, for `patience` milliseconds at first and longer each time. */
  forward(write: PendingWrite, id: number, now: number, patience: number): void {
    write.phase = "Forwarded"
    write.requestId = id
    write.retryAt = now + patience * 2 ** Math.min(write.attempts, 3)
    write.attempts++
    this.forwarded.set(id, write)
  }

  /** The answer to a forwarded write may never come: it is sent again, and settled by whichever attempt is executed. */
  retry(write: PendingWrite): void {
    if (write.sequence !== 0 && !this.session.remembers(write.sequence)) {
      // Its session has no place for it any more; only an answer that is under way can still tell.
      write.retryable = false
      return
    }
    this.forwarded.delete(write.requestId)
    write.isInDoubt = true
    this.park(write)
  }

  /** Takes back what was forwarded and may be sent again: somebody else leads. */
  retryAll(): void {
    for (const write of this.forwarded.values()) if (write.retryable) this.retry(write)
  }

  /** The same for what has waited for too long. */
  retryLate(now: number): void {
    if (this.forwarded.size === 0) return
    for (const write of this.forwarded.values()) if (write.retryable && write.retryAt <= now) this.retry(write)
  }

  /** Takes the forwarded write with this id, for its answer. */
  takeForwarded(id: number): PendingWrite | undefined {
    const write = this.forwarded.get(id)
    if (write !== undefined) this.forwarded.delete(id)
    return write
  }

  /**
   * The leader applied it at `index`: a caller on this node is answered when this node, at `applied`, has done so too;
   * one on another node waits for that one, whatever becomes of this.
   */
  answer(write: PendingWrite, index: LogIndex, outcome: Outcome, applied: LogIndex): void {
    if (write.origin !== null || index <= applied) return this.finish(write, index, outcome)
    write.phase = "Answered"
    write.index = index
    write.outcome = outcome
    const others = this.answered.get(index)
    if (others === undefined) this.answered.set(index, [write])
    else others.push(write)
  }

  /** The entry of `term` at `index` was applied with `outcome`. */
  applied(index: LogIndex, term: Term, outcome: Outcome): void {
    const write = this.logged.get(index)
    if (write !== undefined) {
      this.logged.delete(index)
      this.decide(write, index, term, outcome)
    }
    if (this.answered.size === 0) return
    const answered = this.answered.get(index)
    if (answered === undefined) return
    this.answered.delete(index)
    for (const each of answered) if (each.phase === "Answered") this.finish(each, index, each.outcome!)
  }

  /** The leader does not take it, or not any more, and this copy never enters a log. */
  turnBack(write: PendingWrite): void {
    if (write.isInDoubt) this.loseTrack(write, "an earlier attempt to write may have succeeded")
    else this.settle(write, { _tag: "NotLeader" })
  }

  /** It is refused for certain, unless an earlier attempt may have been taken. */
  refuse(write: PendingWrite, error: WriteError): void {
    if (write.isInDoubt) this.loseTrack(write, `${error.message}; an earlier attempt to write may have succeeded`)
    else this.settle(write, failed(error))
  }

  /** What became of it cannot be told. */
  loseTrack(write: PendingWrite, message: string): void {
    this.settle(write, unknown(write, message))
  }

  /** A snapshot holds everything up to `index`: what was answered is to be seen here now, the rest is asked for. */
  passed(index: LogIndex): void {
    for (const [at, first] of this.logged) {
      if (at > index) continue
      this.logged.delete(at)
      for (let write: PendingWrite | null = first; write !== null;) {
        const { displaced }: PendingWrite = write
        write.displaced = null
        if (write.phase === "Logged") this.askAfter(write)
        write = displaced
      }
    }
    for (const [at, writes] of this.answered) {
      if (at > index) continue
      this.answered.delete(at)
      for (const each of writes) this.settle(each, { _tag: "Applied", index: at, outcome: each.outcome! })
    }
  }

  /** Settles what has reached its deadline; `leaderless` says why a write never got into a log. */
  expire(now: number, leaderless: boolean): void {
    for (const write of this.deadlines.expire(now)) this.settle(write, this.expiryOf(write, leaderless))
    if (this.parked.some((write) => write.phase === "Settled")) {
      this.parked = this.parked.filter((write) => write.phase !== "Settled")
    }
  }

  settle(write: PendingWrite, settlement: WriteSettlement): void {
    if (write.phase === "Settled") return
    if (write.phase === "Logged" && this.logged.get(write.index) === write) {
      if (write.displaced === null) this.logged.delete(write.index)
      else this.logged.set(write.index, write.displaced)
    }
    write.phase = "Settled"
    if (write.sequence !== 0) this.freeNumber(write, settlement)
    this.count--
    this.bytes -= write.record.length
    this.deadlines.remove(write)
    write.settlement = settlement
    this.done.push(write)
  }

  /** Ends everything that waits, when the node stops: with `error` where no log can hold it, else unknown. */
  settleAll(error: WriteError): void {
    for (const write of this.deadlines.clear()) {
      const settlement = write.phase === "Parked" && !write.isInDoubt
        ? failed(error)
        : unknown(write, `the node stopped while the write was under way: ${error.message}`)
      this.settle(write, settlement)
    }
    this.parked = []
    this.forwarded.clear()
    this.answered.clear()
  }

  /** Answers the callers of all that was settled since the last call; done last in a turn, when all is consistent. */
  release(): void {
    if (this.done.length === 0) return
    const { done } = this
    this.done = []
    for (const write of done) {
      const { settle, settlement } = write
      // What still refers to the write, a table that a map has left behind perhaps, must not keep its caller's whole
      // request from young collections: with this, half as many bytes outlive one.
      write.settle = settled
      write.settlement = null
      settle(settlement!)
    }
  }

  /** The entry of `term` at `index` is the committed one: of the writes that were logged there, at most one is its. */
  private decide(first: PendingWrite, index: LogIndex, term: Term, outcome: Outcome): void {
    let write: PendingWrite | null = first
    while (write !== null) {
      const { displaced }: PendingWrite = write
      write.displaced = null
      if (write.phase === "Logged") {
        if (write.term === term) this.finish(write, index, outcome)
        else this.again(write)
      }
      write = displaced
    }
  }

  /** Its entry is not the committed one and never will be, so it may be logged once more. */
  private again(write: PendingWrite): void {
    if (write.origin !== null) return this.turnBack(write)
    write.record = unstamped(write.record)
    this.park(write)
  }

  /** A snapshot has passed it, and only its session, if it is in one, can say whether it was executed. */
  private askAfter(write: PendingWrite): void {
    const isRemembered = write.sequence === 0 ? sessionOf(write.record) !== 0 : this.session.remembers(write.sequence)
    if (write.origin !== null || !isRemembered) {
      return this.loseTrack(write, "a snapshot has passed it, and does not say what became of it")
    }
    write.isInDoubt = true
    write.record = unstamped(write.record)
    this.park(write)
  }

  private finish(write: PendingWrite, index: LogIndex, outcome: Outcome): void {
    if (outcome._tag !== "SessionExpired" || write.sequence === 0) {
      return this.settle(write, { _tag: "Applied", index, outcome })
    }
    // The own session was ended. This attempt did nothing; if it was the only one, the write begins anew.
    if (write.isInDoubt) return this.loseTrack(write, "this node's session has ended while the write was under way")
    this.session.settle(write.sequence)
    write.sequence = 0
    write.retryable = false
    write.record = unstamped(write.record)
    putSession(write.record, 0, 0, 0)
    this.park(write)
  }

  /** Whoever does not know the outcome may still ask the session for it. */
  private freeNumber(write: PendingWrite, settlement: WriteSettlement): void {
    const isUnknown = settlement._tag === "Failed" && settlement.error._tag === "OutcomeUnknown"
    if (isUnknown) this.session.hold(write.sequence, write.deadline)
    else this.session.settle(write.sequence)
  }

  /** Nobody waits for the index of an answered write any more, however long this node takes to apply it. */
  private forget(write: PendingWrite): void {
    const left = this.answered.get(write.index)?.filter((other) => other !== write) ?? []
    if (left.length > 0) this.answered.set(write.index, left)
    else this.answered.delete(write.index)
  }

  private expiryOf(write: PendingWrite, leaderless: boolean): WriteSettlement {
    switch (write.phase) {
      case "Parked":
        if (write.isInDoubt) return unknown(write, "the deadline passed before the write could be sent again")
        return leaderless
          ? failed(new NoLeader({ message: "no leader was found within the deadline; nothing was written" }))
          : failed(
            new DeadlineExceeded({ message: "the leader took no writes within the deadline; nothing was written" })
          )
      case "Answered":
        this.forget(write)
        return unknown(write, "the write is committed, but this node could not apply it within the deadline")
      default:
        this.forwarded.delete(write.requestId)
        return unknown(write, "the deadline passed while the write was under way")
    }
  }
}

const settled = (): void => undefined

const failed = (error: WriteError): WriteSettlement => ({ _tag: "Failed", error })

/** With what it takes to ask for the outcome later, where the write is in a session. */
const unknown = ({ record }: PendingWrite, message: string): WriteSettlement => {
  const session = sessionOf(record)
  if (session === 0) return failed(new OutcomeUnknown({ message }))
  return failed(new OutcomeUnknown({ message, session: `${session}`, sequence: `${sequenceOf(record)}` }))
}
