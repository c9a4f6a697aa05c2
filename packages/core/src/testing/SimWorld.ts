/**
 * A world of its own: simulated time, one list of runnable tasks for all fibers, and the seed from which everything
 * that could vary is drawn.
 *
 * A run is synchronous: no real timer, no microtask, no I/O. It is a function of its seed (and of the program and the
 * effect version, since yields are counted in operations), so a seed replays a run on any machine. With `fuzz` the next
 * runnable task is drawn from the seed, and fibers are preempted at drawn operations.
 */
import type { Effect } from "effect"
import { makePrng, type Prng } from "./Prng.ts"
import { SimHost, type SimHostOptions } from "./SimHost.ts"
import { Timeline } from "./Timeline.ts"
import { type Timer, TimerHeap } from "./TimerHeap.ts"

/** Something that must never happen has happened: the first one found ends a run. */
export interface Violation {
  /** The invariant's id, `I1` and so on, or the name of another check. */
  readonly invariant: string
  readonly message: string
  /** Simulated milliseconds since the start. */
  readonly at: number
}

export interface SimWorldOptions {
  readonly seed: number
  /** Draw the order of runnable fibers from the seed. */
  readonly fuzz?: boolean | undefined
  /** With `fuzz`: the mean number of operations after which a fiber is preempted; 0 leaves it at effect's 2,048. */
  readonly preemptEvery?: number | undefined
  /** How many of the last events the timeline keeps; default 400. */
  readonly events?: number | undefined
}

/** Tasks at one instant after which the run is taken to be a loop that would never end. */
const maxTasksPerInstant = 500_000

/** Milliseconds that a task takes: hardly anything, but who waits by yielding until it is later must come to an end. */
const taskMs = 0.0002

export class SimWorld {
  readonly seed: number
  readonly random: Prng
  readonly timeline: Timeline
  readonly violations: Array<Violation> = []
  /** Where effects run that belong to no node: the test's own. */
  readonly root: SimHost
  /** Number of tasks run. */
  steps = 0
  /** Simulated milliseconds since the start. */
  now = 0
  private readonly timers = new TimerHeap()
  private readonly order: Prng
  private readonly fuzz: boolean
  private readonly preemptEvery: number
  private ready: Array<() => void> = []
  private owners: Array<SimHost> = []
  private head = 0
  private draining = false
  /** Whether timers follow as soon as the tasks are done. */
  private inRun = false

  constructor(options: SimWorldOptions) {
    this.seed = options.seed
    this.timeline = new Timeline(options.events)
    this.random = makePrng(options.seed)
    this.order = this.random.fork("order")
    this.fuzz = options.fuzz ?? false
    this.preemptEvery = this.fuzz ? options.preemptEvery ?? 0 : 0
    this.root = this.host("root")
  }

  /** A computer of its own in this world, with its own clocks; `stream` tells apart those with one label. */
  host(label: string, options?: SimHostOptions, stream = ""): SimHost {
    return new SimHost(this, label, this.random.fork(`host ${label} ${stream}`), options)
  }

  /** Calls `action` after so many milliseconds, whatever happens to the nodes. */
  after(ms: number, action: () => void): Timer {
    return this.timers.push(this.now + Math.max(0, ms), action)
  }

  /** Adds a task to those that may run now. */
  schedule(owner: SimHost, task: () => void): void {
    this.ready.push(task)
    this.owners.push(owner)
  }

  /** After how many operations the next fiber is preempted. */
  nextPreemption(): number {
    return this.preemptEvery === 0 ? 2048 : 1 + Math.floor(this.order.exponential(this.preemptEvery))
  }

  /** Notes a violation; the caller goes on, and whoever drives the world stops. */
  violate(invariant: string, message: string): void {
    this.violations.push({ invariant, message, at: this.now })
    this.timeline.record(this.now, null, `VIOLATION ${invariant}: ${message}`)
  }

  /** Runs until the given instant, or until the first violation. */
  runUntil(instant: number): void {
    this.runWhile(instant, () => true)
  }

  /** Runs for so many milliseconds more, or until the first violation. */
  run(ms: number): void {
    this.runUntil(this.now + ms)
  }

  /**
   * Runs while `pending` holds, at most until `instant`, and tells whether it ended because `pending` no longer held.
   * `pending` is asked between instants' events, and never in the middle of a task.
   */
  runWhile(instant: number, pending: () => boolean): boolean {
    const outer = this.inRun
    this.inRun = true
    this.advance(instant, pending)
    this.inRun = outer
    return !pending()
  }

  /** Runs an effect on a host of this world for at most `limitMs`, and returns its exit. */
  runEffect<A, E>(effect: Effect.Effect<A, E>, limitMs: number, host: SimHost = this.root) {
    const fiber = host.fork(effect)
    this.runWhile(this.now + limitMs, () => fiber.pollUnsafe() === undefined)
    const exit = fiber.pollUnsafe()
    if (exit === undefined) fiber.interruptUnsafe()
    return exit
  }

  /**
   * Runs all tasks that can run at this instant. Called from within a task it does nothing: the loop goes on anyway.
   */
  drain(): void {
    if (this.draining) return
    this.draining = true
    let tasks = 0
    while (this.head < this.ready.length && this.violations.length === 0) {
      if (this.fuzz) this.shuffleNext()
      const task = this.ready[this.head]!
      const owner = this.owners[this.head]!
      this.head++
      if (owner.isDead) continue
      if (owner.isPaused) {
        owner.hold(task)
        continue
      }
      this.steps++
      if (++tasks > maxTasksPerInstant) {
        this.violate("endless loop", `more than ${maxTasksPerInstant} tasks at one instant; the last on ${owner.label}`)
      }
      owner.run(task)
      this.now += taskMs
      // Who only yields must not keep the world's timers waiting.
      const timer = this.timers.top
      if (this.inRun && timer !== undefined && timer.at <= this.now) break
      if (this.head > 1024) this.compact()
    }
    if (this.violations.length === 0) this.compact()
    this.draining = false
  }

  private advance(instant: number, pending: () => boolean): void {
    this.drain()
    while (this.violations.length === 0 && pending()) {
      const next = this.timers.top
      if (next === undefined || next.at > instant) {
        this.now = Math.max(this.now, instant)
        return
      }
      this.timers.pop()
      const fire = next.fire
      if (fire === undefined) continue
      next.fire = undefined
      this.now = Math.max(this.now, next.at)
      fire()
      this.drain()
    }
  }

  private shuffleNext(): void {
    const waiting = this.ready.length - this.head
    if (waiting < 2) return
    const other = this.head + (this.order.bits() % waiting)
    const task = this.ready[other]!
    const owner = this.owners[other]!
    this.ready[other] = this.ready[this.head]!
    this.owners[other] = this.owners[this.head]!
    this.ready[this.head] = task
    this.owners[this.head] = owner
    this.timeline.mix(other - this.head)
  }

  private compact(): void {
    this.ready = this.ready.slice(this.head)
    this.owners = this.owners.slice(this.head)
    this.head = 0
  }
}
