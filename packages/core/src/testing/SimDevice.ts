/**
 * A simulated storage device with one queue: writes take time, are done in the order in which they were issued, and
 * are durable when they are done. A crash keeps a drawn prefix of the unfinished ones; each write is atomic.
 *
 * That is all that the real stores can show after a loss of power, and no less. The log's segments take one frame at a
 * time, the next one when that is durable, and a frame (hard state, base and entries of one step) fits its checksums or
 * is left out as a torn end; so sectors that are lost, torn or late make no other log than a prefix
 * (`storage-lmdb/src/segments/SegmentRecovery.ts`, and its `PowerLoss.test.ts` with every such subset of sectors).
 * An identity takes several steps, the file that names it last; before that the others count for nothing. A checkpoint
 * and an installation are one commit of LMDB each, one after the other. Log and state are devices of their own, and any
 * prefix of the one meets any of the other.
 */
import { Effect } from "effect"
import { StorageFailed } from "../DistKvError.ts"
import type { Prng } from "./Prng.ts"
import type { DiskObserver } from "./SimDisk.ts"
import type { SimHost } from "./SimHost.ts"
import type { SimWorld } from "./SimWorld.ts"

/** How a device treats writes from now on; drawn anew, or set by a test, at any time. */
export interface DeviceFaults {
  /** Milliseconds that every write takes at least. */
  minDelayMs: number
  /** Mean of the exponential part of a write's time, in milliseconds. */
  meanDelayMs: number
  /** Writes are taken but never end. */
  hangs: boolean
  /** This many of the next writes fail; whether they reached the disk is drawn. */
  failNext: number
  /** All writes fail, and nothing of them reaches the disk. */
  refuses: boolean
  /** What a crash leaves of unfinished writes: nothing, all, or a drawn prefix. */
  onCrash: "none" | "all" | "prefix"
}

/**
 * A write that takes longer, with its wait for those before it, may be taken for stuck: simulated commit time-outs are
 * at least one second, by clocks that run up to twice as fast.
 */
const stuckAfterMs = 480

/** In how many milliseconds of its own, in which it runs, a process that has to end has ended. */
const endsWithinMs = 5000

/** The points at which power may fail around a write, by what is written. */
const pointsOf = {
  log: { issued: "log write issued", done: "log write done", told: "log write told" },
  vote: { issued: "log write issued", done: "term or vote written", told: "log write told" },
  checkpoint: { issued: "checkpoint issued", done: "checkpoint done", told: null },
  snapshot: { issued: "snapshot issued", done: "snapshot done", told: null },
  install: { issued: "install issued", done: "install done", told: null }
} as const

/** What a write of the log may be beside: each has points of its own. */
export type Moment = "truncation" | "compaction" | "identity"

interface PendingWrite {
  readonly what: keyof typeof pointsOf
  readonly moment: Moment | null
  readonly issuedAt: number
  readonly apply: () => void
  readonly settle: (exit: Effect.Effect<void, StorageFailed>) => void
}

export class SimDevice {
  readonly faults: DeviceFaults = {
    minDelayMs: 0.05,
    meanDelayMs: 0.5,
    hangs: false,
    failNext: 0,
    refuses: false,
    onCrash: "prefix"
  }
  /** Writes that have ended well since the start of the world. */
  writes = 0
  private readonly observer: DiskObserver | null
  private readonly world: SimWorld
  private readonly name: string
  private readonly random: Prng
  private queue: Array<PendingWrite> = []
  private host: SimHost | null = null
  private busy = false
  private failed = false
  /** Whether the process has heard of the failure: it may be held up. */
  private told = false
  private hung = false
  private run = 0

  constructor(world: SimWorld, name: string, random: Prng, observer: DiskObserver | null = null) {
    this.observer = observer
    this.world = world
    this.name = name
    this.random = random
  }

  /** Whether a write of this run has failed: from then on nothing may be written before the next start. */
  get hasFailed(): boolean {
    return this.failed
  }

  /** Whether this run's process may rightly give up: a write has failed, or hung. */
  get isFaulty(): boolean {
    return this.failed || this.hung || this.faults.hangs
  }

  /** A process of `host` uses the device from now on. */
  attach(host: SimHost): void {
    this.host = host
    this.failed = false
    this.told = false
    // A hang that ends while this run lasts may have been long enough for it to give up.
    this.hung = this.faults.hangs
  }

  /** Writes are taken but never end, until `resume`. */
  hang(): void {
    this.faults.hangs = true
    this.hung = true
  }

  /** Issues a write; `apply` is what it makes durable. Settles when it is done, whoever still waits. */
  write(
    what: keyof typeof pointsOf,
    apply: () => void,
    moment: Moment | null = null
  ): Effect.Effect<void, StorageFailed> {
    return Effect.callback<void, StorageFailed>((resume) => {
      const host = this.host
      if (host === null || host.isDead) return
      if (this.failed && !this.told) {
        // A store takes nothing after a failure, whether or not its process has heard of it yet.
        host.arrive(() => resume(Effect.fail(new StorageFailed({ message: `${this.name}: a write has failed` }))))
        return
      }
      if (this.failed) this.observer?.broken("D01", `${this.name} is written to after a write has failed: ${what}`)
      const issuedAt = this.world.now
      this.queue.push({ what, moment, issuedAt, apply, settle: (exit) => host.arrive(() => resume(exit)) })
      host.trap.pass(pointsOf[what].issued)
      if (moment !== null) host.trap.pass(`${moment} issued`)
      this.next()
    })
  }

  /** Reads after a short while; the value is taken when the reading ends. */
  read<A>(take: () => A): Effect.Effect<A, StorageFailed> {
    return Effect.callback<A, StorageFailed>((resume) => {
      const host = this.host
      if (host === null) return
      host.after(this.random.exponential(this.faults.minDelayMs), () => {
        try {
          resume(Effect.succeed(take()))
        } catch (error) {
          resume(Effect.fail(storageFailed(error)))
        }
      })
    })
  }

  /** Its process has just read what is damaged: it has to end. */
  mustEnd(what: string): void {
    const { host, world } = this
    if (host === null) return
    const began = host.runningMs
    const look = () => {
      if (host.isDead || this.isFaulty) return
      if (host.runningMs - began < endsWithinMs) world.after(endsWithinMs, look)
      else this.observer?.broken("D02", `${this.name}: its process goes on although it has read ${what}`)
    }
    world.after(endsWithinMs, look)
  }

  /** Ends a hang: what waits goes on. */
  resume(): void {
    this.faults.hangs = false
    this.next()
  }

  /** Ends what makes writes fail. */
  mend(): void {
    this.faults.failNext = 0
    this.faults.refuses = false
  }

  /** The power fails: what was unfinished is partly kept, as `onCrash` says, and nobody is told. */
  crash(): void {
    const unfinished = this.queue
    this.queue = []
    this.busy = false
    this.run++
    this.host = null
    const kept = this.faults.onCrash === "none" || unfinished.length === 0
      ? 0
      : this.faults.onCrash === "all"
      ? unfinished.length
      : this.random.int(0, unfinished.length)
    for (const write of unfinished.slice(0, kept)) write.apply()
    if (unfinished.length > 0) {
      this.world.timeline.record(this.world.now, null, `${this.name}: ${kept} of ${unfinished.length} writes survive`)
    }
  }

  private next(): void {
    if (this.busy || this.faults.hangs) return
    const write = this.queue[0]
    if (write === undefined) return
    this.busy = true
    const run = this.run
    const delay = this.faults.minDelayMs + this.random.exponential(this.faults.meanDelayMs)
    if (this.world.now + delay - write.issuedAt > stuckAfterMs) this.hung = true
    this.world.after(delay, () => {
      if (run !== this.run) return
      this.busy = false
      if (this.faults.hangs) return
      this.queue.shift()
      this.finish(write)
      this.next()
    })
  }

  private fail(write: PendingWrite, error: StorageFailed): void {
    this.failed = true
    this.host?.arrive(() => void (this.told = true))
    write.settle(Effect.fail(error))
  }

  private finish(write: PendingWrite): void {
    if (this.faults.refuses) {
      this.world.timeline.record(this.world.now, null, `${this.name}: write finds no space`)
      this.fail(write, new StorageFailed({ message: `${this.name}: no space left on device (simulated)` }))
      return
    }
    if (this.faults.failNext > 0) {
      this.faults.failNext--
      const reached = this.random.chance(0.5)
      if (reached) write.apply()
      this.world.timeline.record(this.world.now, null, `${this.name}: write fails, ${reached ? "" : "not "}on disk`)
      this.fail(write, new StorageFailed({ message: `${this.name}: input/output error (simulated)` }))
      return
    }
    try {
      write.apply()
    } catch (error) {
      this.fail(write, storageFailed(error))
      return
    }
    this.writes++
    this.world.timeline.mixText(write.what)
    const points = pointsOf[write.what]
    const { host } = this
    if (host?.trap.pass(points.done) === true) return
    if (write.moment !== null && host?.trap.pass(`${write.moment} done`) === true) return
    write.settle(Effect.void)
    if (points.told !== null) host?.trap.pass(points.told)
  }
}

const storageFailed = (error: unknown): StorageFailed =>
  error instanceof StorageFailed ? error : new StorageFailed({ message: String(error), cause: error })
