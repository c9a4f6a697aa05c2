/** Keeps long work from holding up the event loop: it goes on in the next turn once it has used its time. */

/** How long one turn may take, in milliseconds. */
const turnMs = 1
/** The clock is looked at once in so many steps; one with bytes to copy and check counts more. */
const steps = 32
const bytesPerStep = 2048

export class Turns {
  private left = steps
  private began = performance.now()

  /** Whether the work should wait for the next turn; to be asked after each step, which took so many bytes. */
  isOver(bytes = 0): boolean {
    this.left -= 1 + bytes / bytesPerStep
    if (this.left > 0) return false
    this.left = steps
    return performance.now() - this.began > turnMs
  }

  /** Resolves in the next turn of the event loop. */
  async next(): Promise<void> {
    await new Promise<void>((resolve) => {
      setImmediate(resolve)
    })
    this.began = performance.now()
  }

  /** Resolves after `meanwhile`, and a rest as long as the turn was: the work takes half of the event loop at most. */
  async rest(meanwhile: () => Promise<void>): Promise<void> {
    const ms = performance.now() - this.began
    const rested = new Promise<void>((resolve) => {
      setTimeout(resolve, ms)
    })
    await meanwhile()
    await rested
    this.began = performance.now()
  }
}
