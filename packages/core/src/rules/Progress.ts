/**
 * What a leader knows of one follower's log, and what to send it next (paper §5.3; etcd's probe and replicate states).
 *
 * Probe: where the logs agree is not known; one append at a time. Replicate: appends flow without waiting for answers,
 * within a window of bytes. Snapshot: it needs entries that are gone, and gets heartbeats only until it has a snapshot.
 *
 * Invariant: `match < next <= leader's last + 1`, and `match` never falls during a leader's term. What is on its way
 * lies between the two. A late or repeated rejection changes nothing.
 *
 * A follower that lacks what it has acknowledged (its directory was put back to an older state) breaks what the quorum
 * rests on: the leader that remembers sends it nothing and counts it nowhere.
 */
import type { LogId, LogIndex } from "../domain/Position.ts"

/** An append on its way: it ends at `last` and weighs `bytes`. */
interface Inflight {
  readonly last: LogIndex
  readonly bytes: number
}

export class Progress {
  state: "Probe" | "Replicate" | "Snapshot" = "Probe"
  match = 0 as LogIndex
  next: LogIndex
  /** In Probe: an append is out and no answer has come since, neither to it nor to a heartbeat. */
  paused = false
  /** The link took an append no more; nothing is tried until the follower answers or the next heartbeat is due. */
  refused = false
  /** The highest round of contact answered. */
  round = 0
  /** The leader's round when `match` was last raised: an answer to a later one was given after the acknowledgement. */
  private matchedInRound = 0
  /** It came back without entries that it had acknowledged. */
  forgot = false
  /**
   * Milliseconds (monotonic) at which it last answered what it had not answered before; until then, when it was added.
   * An answer is a sign of life when it comes: large entries on a slow link keep one busy for longer than a time-out.
   */
  contactAt: number
  /** When the newest answered round was begun: what a lease counts from. Negative infinity before the first. */
  answeredAt = Number.NEGATIVE_INFINITY
  /** Entries from `next` are being read from the log store for this follower. */
  reading = false
  /** The commit index of the last append that went out, and the highest index that the follower waits to hear of. */
  told = 0 as LogIndex
  awaited = 0 as LogIndex
  private inflight: Array<Inflight> = []
  private inflightBytes = 0

  constructor(next: LogIndex, contactAt: number) {
    this.next = next
    this.contactAt = contactAt
  }

  /** Bytes of entries on their way. */
  get bytesUnderWay(): number {
    return this.inflightBytes
  }

  /** The appends on their way, in order: each ends after `match` and before `next`. */
  get underWay(): ReadonlyArray<{ readonly last: LogIndex }> {
    return this.inflight
  }

  /** Whether an append may go out now, with `windowBytes` as the bound on what is unanswered. */
  maySend(windowBytes: number): boolean {
    if (this.refused || this.forgot) return false
    if (this.state === "Snapshot") return false
    return this.state === "Probe" ? !this.paused : this.inflightBytes < windowBytes
  }

  /** It has answered a round that was begun at `at`. */
  answered(at: number): void {
    if (at > this.answeredAt) this.answeredAt = at
  }

  /** Entries up to `last` have gone out. A probe's position stays until it is answered. */
  sent(last: LogIndex, bytes: number): void {
    if (this.state === "Probe") {
      this.paused = true
      return
    }
    this.next = (last + 1) as LogIndex
    this.inflight.push({ last, bytes })
    this.inflightBytes += bytes
  }

  /** The follower holds everything up to `index` durably; `round` is the leader's. Returns whether that was news. */
  matched(index: LogIndex, round = 0): boolean {
    const news = index > this.match
    if (news) {
      this.match = index
      this.matchedInRound = round
    }
    if (this.next <= this.match) this.next = (this.match + 1) as LogIndex
    let done = 0
    while (done < this.inflight.length && this.inflight[done]!.last <= this.match) {
      this.inflightBytes -= this.inflight[done]!.bytes
      done++
    }
    if (done > 0) this.inflight.splice(0, done)
    // While a snapshot is needed, only what it ends with, or more, is agreement enough.
    if (this.state === "Snapshot" && index < this.next - 1) return news
    if (this.state !== "Replicate") {
      // Any agreement tells where the logs meet: from here on appends may flow.
      this.state = "Replicate"
      this.next = (this.match + 1) as LogIndex
      this.paused = false
    }
    return news
  }

  /**
   * The follower rejected the append after `rejected`, and may agree up to `agreed` (already compared with the leader's
   * own log). Returns whether the rejection was about what was really outstanding.
   */
  rejected(rejected: LogIndex, agreed: LogId): boolean {
    if (rejected <= this.match || this.state === "Snapshot") return false
    if (this.state === "Probe" && rejected !== this.next - 1) return false
    this.probe(Math.max(this.match + 1, Math.min(rejected, agreed.index + 1)) as LogIndex)
    return true
  }

  /**
   * The entries up to `base` are gone from the leader's log, and this follower needs some of them: nothing but a
   * snapshot helps. `next` stays right after the base, which heartbeats name.
   */
  needSnapshot(base: LogIndex): void {
    if (this.state !== "Snapshot") this.probe((base + 1) as LogIndex)
    this.state = "Snapshot"
    this.next = (base + 1) as LogIndex
  }

  /** The follower has what a snapshot holds, or says that its log goes on after `index`: it is probed there. */
  helped(index: LogIndex): void {
    if (this.state === "Snapshot") this.probe(Math.max(index, this.match) + 1 as LogIndex)
  }

  /**
   * Takes note of where a follower that rejected an append says its log may agree. An intact one always names `match`
   * or more: what it acknowledged is in the leader's log, and terms do not fall along a log. One that names less, in
   * answer to a round that was begun after its acknowledgement had come, has lost what it acknowledged.
   */
  judge(hint: LogId, round: number): void {
    if (hint.index < this.match && round > this.matchedInRound) this.forgot = true
  }

  private probe(next: LogIndex): void {
    this.state = "Probe"
    this.paused = false
    this.next = next
    this.inflight = []
    this.inflightBytes = 0
  }
}
