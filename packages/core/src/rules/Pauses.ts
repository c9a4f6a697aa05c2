/**
 * Whether a leader's process is held up so often that another one should lead. A single pause is nobody's fault, and a
 * leader that is held up for an election time-out is replaced anyway (§5.2); one that comes back just in time, again
 * and again, keeps its office and makes everybody wait.
 *
 * Invariant: fewer than `pausesMost` pauses within `timeOuts` election time-outs say nothing; a pause is forgotten
 * after that long, and a new leader has that long to show itself: where every machine is too busy, the office must not
 * go round.
 */
const pausesMost = 3
const timeOuts = 10

export class Pauses {
  private readonly electionTimeout: number
  private readonly heartbeat: number
  private readonly since: number
  private readonly times: Array<number> = []

  /** Milliseconds, all of them; `since` is when the leader was elected. */
  constructor(electionTimeout: number, heartbeat: number, since: number) {
    this.electionTimeout = electionTimeout
    this.heartbeat = heartbeat
    this.since = since
  }

  /** A heartbeat that was due a heartbeat after `last` comes at `now`. Returns whether that was a pause. */
  beat(last: number, now: number): boolean {
    while (this.times.length > 0 && now - this.times[0]! > timeOuts * this.electionTimeout) this.times.shift()
    if (now - last - this.heartbeat <= this.electionTimeout / 2) return false
    this.times.push(now)
    return true
  }

  /** Whether there were too many of them up to now. */
  areMany(now: number): boolean {
    return this.times.length >= pausesMost && now - this.since > timeOuts * this.electionTimeout
  }
}
