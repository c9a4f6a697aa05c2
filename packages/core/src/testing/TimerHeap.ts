/** A binary heap of timers, ordered by time and then by when they were set. */

export interface Timer {
  readonly at: number
  readonly sequence: number
  /** Undefined once cancelled. */
  fire: (() => void) | undefined
}

const isBefore = (a: Timer, b: Timer): boolean => a.at < b.at || (a.at === b.at && a.sequence < b.sequence)

export class TimerHeap {
  private readonly timers: Array<Timer> = []
  private sequence = 0

  /** The earliest timer, cancelled ones included. */
  get top(): Timer | undefined {
    return this.timers[0]
  }

  push(at: number, fire: () => void): Timer {
    const timers = this.timers
    const timer: Timer = { at, sequence: this.sequence++, fire }
    let i = timers.length
    timers.push(timer)
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!isBefore(timer, timers[parent]!)) break
      timers[i] = timers[parent]!
      i = parent
    }
    timers[i] = timer
    return timer
  }

  pop(): Timer | undefined {
    const timers = this.timers
    const top = timers[0]
    const last = timers.pop()
    if (last === undefined || timers.length === 0) return top
    let i = 0
    while (true) {
      let child = 2 * i + 1
      if (child >= timers.length) break
      if (child + 1 < timers.length && isBefore(timers[child + 1]!, timers[child]!)) child++
      if (!isBefore(timers[child]!, last)) break
      timers[i] = timers[child]!
      i = child
    }
    timers[i] = last
    return top
  }
}
