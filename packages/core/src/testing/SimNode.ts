/** One node of a simulated cluster through all its runs: its disk stays, its processes come and go. */
import { Cause, Context, Effect, Exit, type Fiber, Layer } from "effect"
import { DistKv } from "../DistKv.ts"
import { DistKvLayer } from "../DistKvLayer.ts"
import type { SettingsInput } from "../DistKvSettings.ts"
import type { Address, NodeId } from "../domain/Identity.ts"
import { commandKind } from "../domain/LogEntry.ts"
import { LogStore } from "../LogStore.ts"
import { type NodeObserver, Observer } from "../state/Observer.ts"
import { StateStore } from "../StateStore.ts"
import { Transport } from "../Transport.ts"
import type { CrashPoint } from "./CrashPoint.ts"
import type { GlobalView } from "./GlobalView.ts"
import type { SimDisk } from "./SimDisk.ts"
import type { SimHost, SimHostOptions } from "./SimHost.ts"
import type { SimNetwork } from "./SimNetwork.ts"
import type { SimWorld } from "./SimWorld.ts"

/** What runs on each node over its store: a user's own services. */
export type AppLayer<App> = Layer.Layer<App, unknown, DistKv>

export interface SimNodeParts<App> {
  readonly world: SimWorld
  readonly network: SimNetwork
  readonly view: GlobalView
  readonly disk: SimDisk
  readonly settings: SettingsInput
  readonly clocks: SimHostOptions
  readonly app: AppLayer<App> | null
}

/**
 * `down`: never started, crashed, or closed. `starting`: it recovers. `up`: it serves. `stopped`: it ended itself, and
 * `failure` says why.
 */
export type Condition = "down" | "starting" | "up" | "stopped"

interface Run<App> {
  readonly host: SimHost
  readonly fiber: Fiber.Fiber<void, unknown>
  services: Context.Context<DistKv | App> | null
}

export class SimNode<App = never> {
  readonly id: NodeId
  readonly address: Address
  readonly disk: SimDisk
  condition: Condition = "down"
  /** Why the node ended itself. */
  failure: Cause.Cause<unknown> | null = null
  /** Whether it was taken away for good. */
  isGone = false
  /** How often it was started. */
  runs = 0
  /** How often power failed while it ran. */
  powerCuts = 0
  /** Called when a run ends, however. */
  onEnd: (node: SimNode<App>) => void = () => {}
  /** Called when it begins to serve. */
  onUp: (node: SimNode<App>) => void = () => {}
  private startsAgain = false
  private readonly parts: SimNodeParts<App>
  private run: Run<App> | null = null

  constructor(parts: SimNodeParts<App>, address: Address) {
    this.parts = parts
    this.disk = parts.disk
    this.id = parts.disk.node
    this.address = address
  }

  /** The computer that it runs on; null while it does not run. */
  get host(): SimHost | null {
    return this.run?.host ?? null
  }

  get isPaused(): boolean {
    return this.run?.host.isPaused ?? false
  }

  /** Whether a process runs, in whatever state. */
  get isRunning(): boolean {
    return this.condition === "starting" || this.condition === "up"
  }

  /** Its services; null unless it serves. */
  get services(): Context.Context<DistKv | App> | null {
    return this.run?.services ?? null
  }

  /** Starts a process, unless one runs. */
  start(): void {
    if (this.isRunning || this.isGone) return
    const { clocks, disk, view, world } = this.parts
    this.runs++
    this.condition = "starting"
    this.failure = null
    const host = world.host(this.id, clocks, `run ${this.runs}`)
    world.timeline.record(world.now, this.id, `starts (run ${this.runs})`)
    const stores = disk.attach(host)
    view.started(this.id)
    const ports = Layer.mergeAll(
      Layer.succeed(Transport, this.parts.network.transport(this.id, this.address, host)),
      Layer.succeed(LogStore, stores.log),
      Layer.succeed(StateStore, stores.state)
    )
    const store = DistKvLayer(this.parts.settings).pipe(Layer.provide(ports))
    const all = (this.parts.app === null ? store : Layer.provideMerge(this.parts.app, store)) as Layer.Layer<
      DistKv | App,
      unknown
    >
    const observer = this.observer(host)
    const life = Effect.scoped(Effect.gen({ self: this }, function*() {
      const services = yield* Layer.build(all)
      if (this.run?.host === host) {
        this.run.services = services
        this.condition = "up"
        const { damaged } = this.disk
        if (damaged !== null) world.violate("D04", `${this.id} serves, although its ${damaged} is damaged`)
        this.onUp(this)
      }
      yield* Context.get(services, DistKv).stopped
    }))
    const begin = Effect.yieldNow.pipe(Effect.andThen(life))
    const fiber = host.fork(Effect.provideService(begin, Observer, observer))
    this.run = { host, fiber, services: null }
    fiber.addObserver((exit) => this.ended(host, exit))
    world.drain()
  }

  /** Starts a process now, or as soon as the one that runs has ended by itself. */
  keepUp(): void {
    this.startsAgain = this.isRunning
    this.start()
  }

  /** Power loss: everything in memory is gone, and unfinished writes are as the disk's faults say. */
  crash(): void {
    const host = this.run?.host
    if (host === undefined) return
    this.startsAgain = false
    this.powerCuts++
    this.parts.world.timeline.record(this.parts.world.now, this.id, "loses power")
    host.crash()
    this.disk.crash()
    this.finish("down")
  }

  /** It is taken away: nobody starts it again. */
  retire(): void {
    this.isGone = true
    this.crash()
  }

  /** Lets power fail when the process that runs now passes this point for the so-manieth time. */
  armCrash(point: CrashPoint, times: number, then: () => void): void {
    this.run?.host.trap.arm(point, times, () => {
      this.crash()
      then()
    })
  }

  /** Asks it to close gracefully, as the release of its Layer does; takes simulated time. */
  close(): void {
    if (this.run === null) return
    this.parts.world.timeline.record(this.parts.world.now, this.id, "closes")
    this.startsAgain = false
    this.run.fiber.interruptUnsafe()
    this.parts.world.drain()
  }

  pause(): void {
    if (this.run === null || this.run.host.isPaused) return
    this.parts.world.timeline.record(this.parts.world.now, this.id, "is paused")
    this.run.host.pause()
  }

  resume(): void {
    if (this.run === null || !this.run.host.isPaused) return
    this.parts.world.timeline.record(this.parts.world.now, this.id, "goes on")
    this.run.host.resume()
  }

  /** Runs an effect on this node, with its services. Null while the node does not serve. */
  fork<A, E>(effect: Effect.Effect<A, E, DistKv | App>): Fiber.Fiber<A, E> | null {
    const run = this.run
    if (run === null || run.services === null) return null
    return run.host.fork(effect, run.services)
  }

  /** What the node shows of itself goes to the view, until it is dead; each step is also a point to die at. */
  private observer(host: SimHost): NodeObserver {
    const { view } = this.parts
    let commit = 0
    let role = ""
    return {
      appended: (node, entries) => {
        if (host.isDead) return
        view.appended(node, entries)
        const isChange = entries.some((entry) => entry.kind === commandKind.Configure)
        host.trap.pass(isChange ? "configuration appended" : "entries appended")
      },
      installed: (node, last, keepsLog) => {
        if (!host.isDead) view.installed(node, last, keepsLog)
      },
      applied: (node, entry, outcome) => {
        if (host.isDead) return
        view.appliedEntry(node, entry, outcome)
        host.trap.pass("entry applied")
      },
      stepped: (node) => {
        if (host.isDead) return
        view.stepped(node)
        if (node.commit > commit) host.trap.pass("commit advanced")
        if (node.role === "Leader" && role !== "Leader") host.trap.pass("elected")
        commit = node.commit
        role = node.role
      }
    }
  }

  private ended(host: SimHost, exit: Exit.Exit<void, unknown>): void {
    if (this.run?.host !== host || host.isDead) return
    const { world } = this.parts
    const isClosed = Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)
    if (!isClosed) this.failure = exit.cause
    const why = isClosed ? "is closed" : `stops: ${String(Cause.squash(exit.cause))}`
    world.timeline.record(world.now, this.id, why)
    host.crash()
    this.disk.crash()
    this.finish(isClosed ? "down" : "stopped")
  }

  private finish(condition: Condition): void {
    this.run = null
    this.condition = condition
    this.parts.view.ended(this.id)
    this.onEnd(this)
    const { startsAgain } = this
    this.startsAgain = false
    if (startsAgain) this.start()
  }
}
