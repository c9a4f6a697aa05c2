/** Keeps trying to reach one member while there is no connection with it, less and less often. */

export interface MemberDialerSettings {
  /** The wait before the first try after the connection went away, in milliseconds. */
  readonly firstMs: number
  /** The wait after the first failed try; it doubles with each further one … */
  readonly baseMs: number
  /** … up to this. */
  readonly mostMs: number
}

export class MemberDialer {
  private readonly settings: MemberDialerSettings
  private readonly isConnected: () => boolean
  /** Begins a try, and says whether it led to a connection. The function returned gives it up. */
  private readonly attempt: (done: (reached: boolean) => void) => () => void
  private timer: NodeJS.Timeout | null = null
  private giveUp: (() => void) | null = null
  private failures = 0
  private stopped = false

  constructor(
    settings: MemberDialerSettings,
    isConnected: () => boolean,
    attempt: (done: (reached: boolean) => void) => () => void
  ) {
    this.settings = settings
    this.isConnected = isConnected
    this.attempt = attempt
  }

  /** To be called whenever the connection may have gone. */
  kick(): void {
    if (this.failures === 0) this.schedule(this.settings.firstMs)
    else this.schedule(Math.min(this.settings.mostMs, this.settings.baseMs * 2 ** Math.min(this.failures - 1, 16)))
  }

  /** The connection is there: the next loss is met with a quick try again. */
  connected(): void {
    this.failures = 0
  }

  stop(): void {
    this.stopped = true
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    this.giveUp?.()
    this.giveUp = null
  }

  private schedule(delay: number): void {
    if (this.stopped || this.timer !== null || this.giveUp !== null || this.isConnected()) return
    // Spread, so that two nodes that lost each other do not keep meeting halfway.
    this.timer = setTimeout(() => {
      this.timer = null
      this.begin()
    }, delay * (0.75 + Math.random() / 2))
  }

  private begin(): void {
    if (this.stopped || this.isConnected()) return
    this.giveUp = this.attempt((reached) => {
      this.giveUp = null
      this.failures += 1
      // A connection that is up resets this at its hello; one that the other side ends before that counts as a failure.
      if (!reached) this.kick()
    })
  }
}
