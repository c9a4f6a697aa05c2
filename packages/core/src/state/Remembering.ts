/**
 * Which reads of the store are worth remembering: one in a few, so that keys in use are remembered soon, and a walk
 * over all keys costs little.
 *
 * Where the keys in use are more than can be remembered, most of what is remembered is forgotten before it is read
 * again, and to remember it costs more than it saves. Then it is done more rarely, until it helps again.
 */

const leastReads = 4
const mostReads = 256
/** By how much rarer or more often, each time. */
const step = 4
/** What fewer have done says nothing. */
const enough = 1024

export class Remembering {
  /** One in so many reads of the store is remembered. */
  private every = leastReads
  private reads = 0
  /** Since the last change of pace, or since everything was forgotten: what was remembered, … */
  private taken = 0
  /** … and how many reads that has answered. */
  private hits = 0

  /** The store was read: whether that is to be remembered. */
  takes(): boolean {
    this.reads++
    return this.reads % this.every === 0
  }

  /** An entry was remembered. */
  remembered(): void {
    this.taken++
    if (this.taken >= enough && this.hits > step * this.taken) this.pace(Math.max(leastReads, this.every / step))
  }

  /** A read found what it asked for remembered. */
  answered(): void {
    this.hits++
  }

  /** There is no place for more, and all is forgotten. */
  forgets(): void {
    if (this.taken < enough) return
    this.pace(this.hits < this.taken ? Math.min(mostReads, this.every * step) : this.every)
  }

  private pace(every: number): void {
    this.every = every
    this.taken = 0
    this.hits = 0
  }
}
