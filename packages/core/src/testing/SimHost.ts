/**
 * One simulated computer: its scheduler, its wall clock and its monotonic clock, its randomness, and its power switch.
 *
 * `crash` cuts the power: the fibers are gone at once, no finaliser runs. `pause` stops the processor while clocks and
 * the world go on; what arrives in the meantime waits, expired timers before messages.
 */
import { Clock, Context, Duration, Effect, type Fiber, Logger, Random, Scheduler } from "effect"
import { SecureRandom, WebCrypto } from "effect/crypto"
import { CrashTrap } from "./CrashPoint.ts"
import type { Prng } from "./Prng.ts"
import type { SimWorld } from "./SimWorld.ts"

export interface SimHostOptions {
  /** Milliseconds that the wall clock is ahead. */
  readonly wallOffsetMs?: number | undefined
  /** Milliseconds since boot at the world's start: monotonic clocks have no common zero. */
  readonly monotonicOffsetMs?: number | undefined
  /** Local seconds that pass in one second of the world. */
  readonly rate?: number | undefined
}

/** 2026-01-01, so that wall-clock times look like ones. */
const epochMs = 1_767_225_600_000

export class SimHost {
  readonly label: string
  readonly world: SimWorld
  readonly random: Prng
  /** What fibers of this host run with: scheduler, clock, randomness. */
  readonly context: Context.Context<never>
  readonly clock: Clock.Clock
  isDead = false
  isPaused = false
  /** Where this host is to lose power. */
  readonly trap = new CrashTrap()
  private stallIn = 0
  private stallMs = 0
  private wallOffsetMs: number
  private readonly monotonicOffsetMs: number
  private readonly rate: number
  private preemptAfter: number
  private pausedSince: number | null = null
  private pausedMs = 0
  private heldTimers: Array<() => void> = []
  private heldTasks: Array<() => void> = []
  private heldArrivals: Array<() => void> = []

  constructor(world: SimWorld, label: string, random: Prng, options?: SimHostOptions) {
    this.world = world
    this.label = label
    this.random = random
    this.wallOffsetMs = epochMs + (options?.wallOffsetMs ?? 0)
    this.monotonicOffsetMs = options?.monotonicOffsetMs ?? 0
    this.rate = options?.rate ?? 1
    this.preemptAfter = 2048
    this.clock = this.makeClock()
    const crypto = seededCrypto(random.fork("crypto"))
    this.context = Context.empty().pipe(
      Context.add(Clock.Clock, this.clock),
      Context.add(Scheduler.Scheduler, this.makeScheduler()),
      Context.add(Random.Random, random.fork("effects")),
      Context.add(Logger.CurrentLoggers, new Set([this.makeLogger()])),
      Context.add(WebCrypto.WebCrypto, crypto),
      Context.add(SecureRandom.SecureRandom, SecureRandom.make((size) => crypto.getRandomValues(new Uint8Array(size))))
    )
  }

  /** Local milliseconds on the monotonic clock. */
  get monotonicMs(): number {
    return this.monotonicOffsetMs + this.world.now * this.rate
  }

  /** Local milliseconds during which this host ran: pauses do not count. */
  get runningMs(): number {
    const current = this.pausedSince === null ? 0 : this.world.now - this.pausedSince
    return this.monotonicMs - (this.pausedMs + current) * this.rate
  }

  /** Starts an effect on this host. */
  fork<A, E, R>(effect: Effect.Effect<A, E, R>, services?: Context.Context<R>): Fiber.Fiber<A, E> {
    const context = services === undefined ? this.context : Context.merge(services, this.context)
    const fiber = Effect.runForkWith(context as Context.Context<R>)(effect)
    this.world.drain()
    return fiber
  }

  /**
   * Calls `action` after so many world milliseconds, unless this host is dead by then; held back while it is paused.
   */
  after(ms: number, action: () => void): { cancel: () => void } {
    const timer = this.world.after(ms, () => this.timerFired(action))
    return { cancel: () => void (timer.fire = undefined) }
  }

  /** Something arrives from outside, a message or a completed write: at once, or in order when the pause ends. */
  arrive(action: () => void): void {
    if (this.isDead) return
    if (this.isPaused) this.heldArrivals.push(action)
    else this.run(action)
  }

  /** Runs a task of this host now. */
  run(task: () => void): void {
    task()
    if (this.stallIn === 0 || --this.stallIn > 0 || this.isPaused) return
    this.pause()
    this.world.after(this.stallMs, () => this.resume())
  }

  /** Pauses for so long after so many more tasks: between two that may belong together. */
  stall(tasks: number, ms: number): void {
    this.stallIn = tasks
    this.stallMs = ms
  }

  /** Keeps a task that may not run during the pause. */
  hold(task: () => void): void {
    this.heldTasks.push(task)
  }

  crash(): void {
    this.isDead = true
    this.heldTimers = []
    this.heldTasks = []
    this.heldArrivals = []
  }

  pause(): void {
    if (this.isPaused) return
    this.isPaused = true
    this.pausedSince = this.world.now
  }

  /** Ends the pause: tasks interrupted by it, then expired timers, then what arrived, in order. */
  resume(): void {
    if (!this.isPaused || this.isDead) return
    this.isPaused = false
    if (this.pausedSince !== null) this.pausedMs += this.world.now - this.pausedSince
    this.pausedSince = null
    const arrivals = this.heldArrivals
    for (const task of [...this.heldTasks, ...this.heldTimers]) this.world.schedule(this, task)
    if (arrivals.length > 0) this.world.schedule(this, () => arrivals.forEach((action) => action()))
    this.heldTasks = []
    this.heldTimers = []
    this.heldArrivals = []
    this.world.drain()
  }

  /** Moves the wall clock; the monotonic clock does not notice. */
  jumpWallClock(ms: number): void {
    this.wallOffsetMs += ms
  }

  private timerFired(action: () => void): void {
    if (this.isDead) return
    if (this.isPaused) this.heldTimers.push(action)
    else this.run(action)
  }

  /** What programs log becomes part of the timeline. */
  private makeLogger(): Logger.Logger<unknown, void> {
    return Logger.make(({ logLevel, message }) => {
      const parts = Array.isArray(message) ? message : [message]
      const text = parts.map((part) => typeof part === "string" ? part : JSON.stringify(part)).join(" ")
      this.world.timeline.record(this.world.now, this.label, `${logLevel}: ${text}`)
    })
  }

  private makeScheduler(): Scheduler.Scheduler {
    const dispatcher: Scheduler.SchedulerDispatcher = {
      scheduleTask: (task) => this.world.schedule(this, task),
      flush: () => this.world.drain()
    }
    return {
      executionMode: "async",
      shouldYield: (fiber) => {
        if (fiber.currentOpCount < this.preemptAfter) return false
        this.preemptAfter = this.world.nextPreemption()
        return true
      },
      makeDispatcher: () => dispatcher
    }
  }

  private makeClock(): Clock.Clock {
    const wall = () => this.wallOffsetMs + this.world.now * this.rate
    const nanos = (ms: number) => BigInt(Math.round(ms * 1000)) * 1000n
    return {
      currentTimeMillisUnsafe: wall,
      currentTimeMillis: Effect.sync(wall),
      currentTimeNanosUnsafe: () => nanos(wall()),
      currentTimeNanos: Effect.sync(() => nanos(wall())),
      monotonicTimeNanosUnsafe: () => nanos(this.monotonicMs),
      monotonicTimeNanos: Effect.sync(() => nanos(this.monotonicMs)),
      sleep: (duration) => {
        const ms = Duration.toMillis(duration)
        if (ms <= 0) return Effect.yieldNow
        if (!Number.isFinite(ms)) return Effect.never
        return Effect.callback<void>((resume) => {
          const timer = this.after(ms / this.rate, () => resume(Effect.void))
          return Effect.sync(timer.cancel)
        })
      }
    }
  }
}

/** Random bytes from the seed; simulated programs need nothing else of a browser's `crypto`. */
const seededCrypto = (random: Prng): Parameters<typeof WebCrypto.layer>[0] => ({
  getRandomValues: <T extends ArrayBufferView | null>(array: T): T => {
    if (array !== null) {
      const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
      for (let i = 0; i < bytes.length; i++) bytes[i] = random.bits() & 0xff
    }
    return array
  },
  randomUUID: () => {
    throw new Error("a simulated program draws its ids from effect/crypto/SecureRandom")
  },
  subtle: globalThis.crypto.subtle
})
