/**
 * The memberships of the log: the last committed one, and those appended since.
 *
 * Invariant: the membership in force is that of the last config entry in the log, else the committed one; truncating
 * the log takes it back (thesis §4.1).
 */
import type { Membership } from "../domain/Membership.ts"
import type { LogIndex } from "../domain/Position.ts"

interface Placed {
  readonly index: LogIndex
  readonly membership: Membership
}

export class MembershipLog {
  private committed: Placed
  private appended: Array<Placed> = []

  /** `index` is that of the committed entry, 0 when there is none. */
  constructor(index: LogIndex, membership: Membership) {
    this.committed = { index, membership }
  }

  /** The membership in force. */
  get current(): Membership {
    return (this.appended.at(-1) ?? this.committed).membership
  }

  /** The index of the entry that holds the membership in force. */
  get index(): LogIndex {
    return (this.appended.at(-1) ?? this.committed).index
  }

  get lastCommitted(): Membership {
    return this.committed.membership
  }

  /** Whether the membership in force is not committed yet. */
  get isChanging(): boolean {
    return this.appended.length > 0
  }

  /** The last committed membership and those appended since: what may still be committed is among them. */
  get possible(): ReadonlyArray<Membership> {
    return [this.committed, ...this.appended].map(({ membership }) => membership)
  }

  /** A snapshot that ends at `index` holds this committed membership; the log before and after it is gone. */
  reset(index: LogIndex, membership: Membership): void {
    this.committed = { index, membership }
    this.appended = []
  }

  append(index: LogIndex, membership: Membership): void {
    this.appended.push({ index, membership })
  }

  /** The entry at `index` and all after it are gone. Returns whether that changed the membership in force. */
  truncateFrom(index: LogIndex): boolean {
    const before = this.appended.length
    while (this.appended.length > 0 && this.appended.at(-1)!.index >= index) this.appended.pop()
    return this.appended.length !== before
  }

  /** Everything up to `index` is committed. Returns whether a membership was among it. */
  commitTo(index: LogIndex): boolean {
    let news = false
    while (this.appended.length > 0 && this.appended[0]!.index <= index) {
      this.committed = this.appended.shift()!
      news = true
    }
    return news
  }
}
