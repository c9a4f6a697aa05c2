/**
 * When a leader's rounds of contact were begun (thesis §6.4): an answer to a round proves contact at that time.
 *
 * Invariant: `beganBy(round)` is never later than the beginning of `round`, and at most `grainMs` earlier, however many
 * rounds there were; beyond `marksKept` grains ago nothing is remembered.
 */
const marksKept = 256

export class ContactRounds {
  private readonly grainMs: number
  private readonly rounds = new Float64Array(marksKept)
  private readonly times = new Float64Array(marksKept)
  private marks = 0

  /** Times are remembered to within so many milliseconds. */
  constructor(grainMs: number) {
    this.grainMs = grainMs
  }

  /** Round `round` begins at `now`; rounds rise, and time does not fall. */
  begin(round: number, now: number): void {
    if (this.marks > 0 && now - this.times[(this.marks - 1) % marksKept]! < this.grainMs) return
    this.rounds[this.marks % marksKept] = round
    this.times[this.marks % marksKept] = now
    this.marks++
  }

  /** A time not after the beginning of `round`, as close to it as is remembered; negative infinity where it is not. */
  beganBy(round: number): number {
    const oldest = Math.max(0, this.marks - marksKept)
    for (let mark = this.marks - 1; mark >= oldest; mark--) {
      if (this.rounds[mark % marksKept]! <= round) return this.times[mark % marksKept]!
    }
    return Number.NEGATIVE_INFINITY
  }
}
