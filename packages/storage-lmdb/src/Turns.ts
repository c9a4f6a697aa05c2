/** Keeps long work from holding up the event loop: it goes on in the next turn once it has used its time. */

/** How long one turn may take, in milliseconds. */
const turnMs = 4
/** The clock is looked at once in so many steps. */
const steps = 32

export class Turns {
  private left = steps
  private began = performance.now()

  /** Whether the work should wait for the next turn; to be asked after each step. */
  isOver(): boolean {
    if (--this.left > 0) return false
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
}
