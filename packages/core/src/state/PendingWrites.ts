/**
 * The writes that wait on this node, whatever role it plays.
 *
 * A write is parked while no leader can take it, then logged here (when this node leads) or forwarded. A logged write
 * succeeds when its entry is applied; it is `OutcomeUnknown` when another term takes its index, or when its deadline
 * comes. Losing leadership settles nothing: what a deposed leader had in flight normally commits under its successor.
 *
 * Invariant: each write is settled exactly once, at its deadline at the latest; `"no"` is never said of a write that
 * may have entered a log.
 */
import type { WriteError } from "../DistKvError.ts"
import { DeadlineExceeded, NoLeader, OutcomeUnknown } from "../DistKvError.ts"
import type { NodeId } from "../domain/Identity.ts"
import type { Outcome } from "../domain/Outcome.ts"
import type { LogIndex, Term } from "../domain/Position.ts"
import { Deadlines } from "./Deadlines.ts"

export type WriteSettlement =
  | { readonly _tag: "Applied"; readonly index: LogIndex; readonly outcome: Outcome }
  | { readonly _tag: "Failed"; readonly error: WriteError }
  /** Only of writes that another node forwarded: this node leads no more, and never logged it. */
  | { readonly _tag: "NotLeader" }

export interface PendingWrite {
  /** An unstamped log record. */
  readonly record: Uint8Array
  /** Milliseconds, monotonic. */
  readonly deadline: number
  /** The node that forwarded it, with its request's id; null for a caller on this node. */
  readonly origin: { readonly from: NodeId; readonly id: number } | null
  readonly hops: number
  readonly settle: (settlement: WriteSettlement) => void
  phase: "Parked" | "Logged" | "Forwarded" | "Answered" | "Settled"
  /** Where it was logged, or (Answered) the index that this node must apply before its caller is answered. */
  index: LogIndex
  term: Term
  /** The leader's answer to a forwarded write, kept until `index` is applied here. */
  outcome: Outcome | null
  /** The id under which it was forwarded last. */
  requestId: number
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
  requestId: 0
})

export class PendingWrites {
  private readonly deadlines = new Deadlines<PendingWrite>()
  private readonly logged = new Map<LogIndex, PendingWrite>()
  private readonly forwarded = new Map<number, PendingWrite>()
  private readonly answered = new Map<LogIndex, Array<PendingWrite>>()
  private parked: Array<PendingWrite> = []
  private done: Array<[PendingWrite, WriteSettlement]> = []
  count = 0
  bytes = 0

  get isIdle(): boolean {
    return this.count === 0
  }

  get parkedCount(): number {
    return this.parked.length
  }

  get loggedCount(): number {
    return this.logged.size
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
    const displaced = this.logged.get(index)
    // Only after this node lost and won leadership can an index be logged twice; the earlier entry is gone from here.
    if (displaced !== undefined) this.settle(displaced, unknown("another term has taken the place of its entry"))
    this.logged.set(index, write)
  }

  forward(write: PendingWrite, id: number): void {
    write.phase = "Forwarded"
    write.requestId = id
    this.forwarded.set(id, write)
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
    if (write.origin !== null || index <= applied) return this.settle(write, { _tag: "Applied", index, outcome })
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
      this.settle(
        write,
        write.term === term
          ? { _tag: "Applied", index, outcome }
          : unknown("another term has taken the place of its entry")
      )
    }
    if (this.answered.size === 0) return
    const answered = this.answered.get(index)
    if (answered === undefined) return
    this.answered.delete(index)
    for (const each of answered) this.settle(each, { _tag: "Applied", index, outcome: each.outcome! })
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
    if (write.phase === "Logged" && this.logged.get(write.index) === write) this.logged.delete(write.index)
    write.phase = "Settled"
    this.count--
    this.bytes -= write.record.length
    this.deadlines.remove(write)
    this.done.push([write, settlement])
  }

  /** Ends everything that waits, when the node stops: with `error` where no log can hold it, else unknown. */
  settleAll(error: WriteError): void {
    for (const write of this.deadlines.clear()) {
      const settlement = write.phase === "Parked"
        ? { _tag: "Failed" as const, error }
        : unknown(`the node stopped while the write was under way: ${error.message}`)
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
    for (const [write, settlement] of done) write.settle(settlement)
  }

  private expiryOf(write: PendingWrite, leaderless: boolean): WriteSettlement {
    switch (write.phase) {
      case "Parked":
        return leaderless
          ? failed(new NoLeader({ message: "no leader was found within the deadline; nothing was written" }))
          : failed(
            new DeadlineExceeded({ message: "the leader took no writes within the deadline; nothing was written" })
          )
      case "Answered":
        return unknown("the write is committed, but this node could not apply it within the deadline")
      default:
        this.forwarded.delete(write.requestId)
        return unknown("the deadline passed while the write was under way")
    }
  }
}

const failed = (error: WriteError): WriteSettlement => ({ _tag: "Failed", error })
const unknown = (message: string): WriteSettlement => failed(new OutcomeUnknown({ message }))
