/**
 * This node's own session (thesis §6.3): it numbers the writes that the node forwards, so that one whose answer is lost
 * may be forwarded again and is still executed once.
 *
 * Only forwarded writes are numbered. One that this node logs itself as leader has no other copy than its entry, and
 * whether that is committed is seen here: it needs no row in the replicated state, and gets none.
 *
 * Invariant: a number is given once in the life of the process; `lowest` passes a number only when its write was
 * answered, was held for `holdMs` after its outcome could not be told, or when more than a window lies above it.
 */
import type { SessionId } from "../domain/Position.ts"

/** Numbers that may be outstanding at once; the replicated window is as long. */
const outstandingMost = 65_536
/** How long the result of a write stays to be asked for when its caller was told that its outcome is unknown. */
const holdMs = 60_000
const heldMost = 1024

export class MemberSession {
  /** 0 while none is open. */
  id = 0 as SessionId
  /** The lowest number without an answer. */
  lowest = 1
  /** Whether this node is asking for its session. */
  isOpening = false
  /** Milliseconds (monotonic): until then writes wait for the session that was asked for, … */
  waitUntil = Number.NEGATIVE_INFINITY
  /** … and not before then it is asked for again. */
  askAgainAt = Number.NEGATIVE_INFINITY
  private next = 1
  private readonly settled = new Uint8Array(outstandingMost)
  private held: Array<{ readonly sequence: number; readonly until: number }> = []

  /** The number of the next write. */
  assign(): number {
    const sequence = this.next++
    if (sequence - this.lowest >= outstandingMost) this.pass(sequence - outstandingMost + 1)
    this.settled[sequence % outstandingMost] = 0
    return sequence
  }

  /** Whether a write of this number may be forwarded again: below the window its copies would find nothing. */
  remembers(sequence: number): boolean {
    return sequence >= this.lowest
  }

  /** The write's caller has its answer. */
  settle(sequence: number): void {
    if (sequence < this.lowest) return
    this.settled[sequence % outstandingMost] = 1
    if (sequence === this.lowest) this.pass(sequence + 1)
  }

  /** The write's caller was told at `now` that its outcome is unknown, and may ask for it. */
  hold(sequence: number, now: number): void {
    this.held.push({ sequence, until: now + holdMs })
  }

  /** Lets go of results that were held for long enough. */
  release(now: number): void {
    while (this.held.length > 0 && (this.held.length > heldMost || this.held[0]!.until <= now)) {
      this.settle(this.held.shift()!.sequence)
    }
  }

  private pass(to: number): void {
    this.lowest = to
    while (this.lowest < this.next && this.settled[this.lowest % outstandingMost] === 1) this.lowest++
  }
}
