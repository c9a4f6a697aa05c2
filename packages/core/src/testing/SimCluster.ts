/**
 * A cluster of production nodes in one simulated world: simulated clocks, network and disks, everything else as it is
 * shipped. Drive it from an ordinary synchronous test:
 *
 * ```ts
 * const cluster = SimCluster.make({ nodes: 3, seed: 7 })
 * cluster.start()
 * cluster.isolate(cluster.leader()!)
 * cluster.call("n2", Effect.flatMap(DistKv, (kv) => kv.set("greeting", "hello")))
 * cluster.heal()
 * cluster.converge()
 * ```
 *
 * Every step checks Raft's invariants; each method that lets time pass throws `SimulationFailed`, with a timeline, as
 * soon as one is broken.
 */
import { Cause, type Effect, Exit, type Fiber } from "effect"
import type { DistKv } from "../DistKv.ts"
import type { SettingsInput } from "../DistKvSettings.ts"
import type { Address, NodeId } from "../domain/Identity.ts"
import type { LogEntry } from "../domain/LogEntry.ts"
import type { PeerMessage } from "../domain/PeerMessage.ts"
import type { Term } from "../domain/Position.ts"
import { addressOf, foundingEntry, identityOf } from "./Founding.ts"
import { GlobalView } from "./GlobalView.ts"
import { allInvariants } from "./invariants/index.ts"
import { SimDisk } from "./SimDisk.ts"
import { publicKeyOf } from "./SimEndpoint.ts"
import type { SimHostOptions } from "./SimHost.ts"
import { SimNetwork } from "./SimNetwork.ts"
import { type AppLayer, SimNode } from "./SimNode.ts"
import { SimulationFailed } from "./SimulationFailed.ts"
import { SimWorld } from "./SimWorld.ts"

export interface SimClusterOptions<App = never> {
  /** Default 1. */
  readonly seed?: number | undefined
  /** How many voters; default 3. They are called n1, n2, … */
  readonly nodes?: number | undefined
  /** Services of your own that run on each node over its store. */
  readonly app?: AppLayer<App> | undefined
  /** Default: an election time-out of 300 ms and a heartbeat of 60 ms. */
  readonly settings?: SettingsInput | undefined
  /** `founded` (default): the nodes begin as a cluster. `joined`: n1 founds one, and the others join it. */
  readonly begin?: "founded" | "joined" | undefined
  /** What all programs can do as far as they say, until `network.announced` is raised; default all that there is. */
  readonly features?: number | undefined
  /** Draws the order of runnable fibers, and preempts them about every so many operations. */
  readonly fuzz?: { readonly preemptEvery: number } | undefined
  /** Each node's clocks; default all alike and right. */
  readonly clocks?: ((node: string) => SimHostOptions) | undefined
  /** How many of the last events the timeline keeps; default 400. */
  readonly events?: number | undefined
  /** The command that runs this again, for the failure's message. */
  readonly replay?: string | undefined
}

export const defaultSimSettings = { electionTimeout: "300 millis", heartbeat: "60 millis" } as const

export class SimCluster<App = never> {
  readonly world: SimWorld
  readonly network: SimNetwork
  readonly view: GlobalView
  readonly nodes = new Map<string, SimNode<App>>()
  private readonly options: SimClusterOptions<App>

  private constructor(options: SimClusterOptions<App>) {
    this.options = options
    this.world = new SimWorld({
      seed: options.seed ?? 1,
      events: options.events,
      fuzz: options.fuzz !== undefined,
      preemptEvery: options.fuzz?.preemptEvery
    })
    this.view = new GlobalView(this.world)
    for (const invariant of allInvariants) this.view.add(invariant(this.view))
    this.network = new SimNetwork(this.world, this.view, options.features)
    const names = Array.from({ length: options.nodes ?? 3 }, (_, i) => `n${i + 1}`)
    const isFounded = options.begin !== "joined"
    for (const name of names) {
      const seed = addressOf(names[0]!)
      this.addNode(name, isFounded ? "await" : name === names[0] ? "bootstrap" : { join: [seed] })
    }
    if (isFounded) this.found(names)
  }

  static make<App = never>(options: SimClusterOptions<App> = {}): SimCluster<App> {
    return new SimCluster(options)
  }

  /** Simulated milliseconds since the start. */
  get now(): number {
    return this.world.now
  }

  get ids(): ReadonlyArray<NodeId> {
    return [...this.nodes.values()].map((node) => node.id)
  }

  node(id: string): SimNode<App> {
    const node = this.nodes.get(id)
    if (node === undefined) throw new Error(`there is no node ${id}`)
    return node
  }

  /** Where nodes are, but for this address. */
  private addressesBut(own: Address): ReadonlyArray<Address> {
    return [...new Set([...this.nodes.values()].map(({ address }) => address))].filter((address) => address !== own)
  }

  /**
   * Adds a node that is not started yet; it belongs to the cluster once it has joined or was added. It may be where
   * another one was.
   */
  addNode(
    id: string,
    start?: SettingsInput["start"],
    address: Address = addressOf(id)
  ): SimNode<App> {
    const disk = new SimDisk(this.world, id as NodeId, {
      hardState: this.view.hardStateDurable.bind(this.view),
      written: this.view.logDurable.bind(this.view),
      broken: this.world.violate.bind(this.world),
      snapshots: this.view.ledger,
      happened: this.view.coverage.happened.bind(this.view.coverage)
    })
    const { app, clocks, settings } = this.options
    const parts = {
      world: this.world,
      network: this.network,
      view: this.view,
      disk,
      settings: {
        ...defaultSimSettings,
        ...settings,
        nodeId: id,
        start: start ?? { join: this.addressesBut(address) }
      },
      clocks: clocks?.(id) ?? {},
      app: app ?? null
    }
    const node = new SimNode<App>(parts, address)
    node.onEnd = () => {
      if (node.condition !== "stopped" || disk.isLost || disk.logDevice.isFaulty || disk.stateDevice.isFaulty) return
      this.world.violate(
        "end of a node",
        `${id} ends itself: ${node.failure === null ? "?" : Cause.pretty(node.failure)}`
      )
    }
    this.view.addNode(disk)
    this.nodes.set(id, node)
    return node
  }

  /** Starts all nodes, and waits until a leader serves and every node is a voter. */
  start(limitMs = 60_000): void {
    for (const node of this.nodes.values()) node.start()
    const voters = this.nodes.size
    this.until(`a leader with ${voters} voters (I30)`, () => {
      const leader = this.leader()
      const record = leader === null ? null : this.view.node(leader)
      const config = record === null ? 0 : record.configs.at(-1) ?? 0
      return record !== null && record.log[config - 1]?.voters?.length === voters &&
        (record.last?.commit ?? 0) >= config &&
        record.log[(record.last?.commit ?? 0) - 1]?.term === record.last?.term
    }, limitMs)
  }

  /** The leader of the highest term among the nodes that run; null while there is none. */
  leader(): NodeId | null {
    let best: { readonly id: NodeId; readonly term: number } | null = null
    for (const { id, isUp, last } of this.view.nodes.values()) {
      if (isUp && last?.role === "Leader" && last.term > (best?.term ?? 0)) best = { id, term: last.term }
    }
    return best?.id ?? null
  }

  /** Lets time pass. */
  run(ms: number): void {
    this.world.run(ms)
    this.check()
  }

  /**
   * Lets time pass until something holds; fails when it does not within the limit, by the invariant that `what` names
   * in parentheses.
   */
  until(what: string, holds: () => boolean, limitMs = 10_000): void {
    if (!this.world.runWhile(this.now + limitMs, () => !holds())) {
      const [, invariant = "waiting"] = /\((I\d+)\)/.exec(what) ?? []
      this.world.violate(invariant, `${what} did not come within ${limitMs} ms`)
    }
    this.check()
  }

  /** Starts an effect on a node, with the node's services. */
  fork<A, E>(id: string, effect: Effect.Effect<A, E, DistKv | App>): Fiber.Fiber<A, E> {
    const fiber = this.node(id).fork(effect)
    if (fiber === null) throw new Error(`${id} does not serve`)
    this.check()
    return fiber
  }

  /** Runs an effect on a node and lets time pass until it ends; fails when it does not within the limit. */
  exit<A, E>(id: string, effect: Effect.Effect<A, E, DistKv | App>, limitMs = 70_000): Exit.Exit<A, E> {
    const fiber = this.fork(id, effect)
    this.until(`the end of a call on ${id}`, () => fiber.pollUnsafe() !== undefined, limitMs)
    return fiber.pollUnsafe()!
  }

  /** As `exit`, for an effect that must succeed: its value. */
  call<A, E>(id: string, effect: Effect.Effect<A, E, DistKv | App>, limitMs?: number): A {
    const exit = this.exit(id, effect, limitMs)
    if (Exit.isSuccess(exit)) return exit.value
    throw Cause.squash(exit.cause)
  }

  /** Power loss on one node. */
  crash(id: string): void {
    this.node(id).crash()
    this.check()
  }

  /** Starts a node that is down; waits until it serves unless told otherwise. */
  restart(id: string, wait = true): void {
    const node = this.node(id)
    node.start()
    if (wait) this.until(`${id} serving`, () => node.condition !== "starting")
    this.check()
  }

  /** Closes a node as its release does, and waits for it. */
  close(id: string): void {
    const node = this.node(id)
    node.close()
    this.until(`${id} closed`, () => !node.isRunning)
  }

  pause(id: string): void {
    this.node(id).pause()
  }

  resume(id: string): void {
    this.node(id).resume()
    this.check()
  }

  /** Cuts one node off from all others. */
  isolate(id: string): void {
    this.world.timeline.record(this.now, null, `${id} is cut off`)
    this.network.partition([id], this.ids.filter((other) => other !== id))
  }

  /** Cuts the links between groups of nodes. */
  partition(...groups: ReadonlyArray<ReadonlyArray<string>>): void {
    this.world.timeline.record(this.now, null, `partition ${groups.map((group) => group.join(" ")).join(" | ")}`)
    this.network.partition(...groups)
  }

  /** Mends all links. */
  heal(): void {
    this.world.timeline.record(this.now, null, "all links are whole")
    this.network.heal()
  }

  /**
   * Ends all faults, starts what is down, and waits until one leader serves and all nodes have applied the same: the
   * liveness half of every test. Fails when that takes longer than the limit.
   */
  converge(limitMs = 30_000): void {
    this.mend()
    this.until("one leader and equal nodes (I30)", () => this.isConverged(), limitMs)
  }

  /** Ends all faults at once, and starts what is down. */
  mend(): void {
    this.network.filter = null
    this.network.held = []
    this.heal()
    for (const node of this.nodes.values()) {
      node.resume()
      node.disk.logDevice.resume()
      node.disk.stateDevice.resume()
      node.disk.spaceLeft = node.disk.spaceLeft === null ? null : 1_000_000_000
      node.disk.logDevice.mend()
      node.disk.stateDevice.mend()
      node.keepUp()
    }
  }

  /** Whether there is a leader that has committed in its own term. */
  leaderServes(): boolean {
    const leader = this.leader()
    const record = leader === null ? null : this.view.node(leader)
    return record?.last != null && record.log[record.last.commit - 1]?.term === record.last.term
  }

  /** Whether one leader is known to all members, and everything it has in its log is applied everywhere. */
  isConverged(): boolean {
    const leader = this.leader()
    if (leader === null) return false
    const record = this.view.node(leader)
    const { last } = record
    if (last === null || last.commit < record.log.length || record.log.at(-1)?.term !== last.term) return false
    return [...this.view.nodes.values()].every((node) =>
      !this.isMember(node.id) || node.disk.isLost ||
      (node.isUp && node.last !== null && node.last.term === last.term && node.last.applied === last.commit)
    )
  }

  /** Whether the committed membership has this node. */
  isMember(id: string): boolean {
    return this.view.members.has(id as NodeId)
  }

  /** Throws the first violation, if there is one. */
  check(): void {
    const violation = this.world.violations[0]
    if (violation === undefined) return
    throw new SimulationFailed(violation, this.timeline(), this.options.replay ?? null)
  }

  /** Delivers a message from one member to another, at once and over all faults, as if it had been under way. */
  deliver(from: string, to: string, message: PeerMessage): void {
    const { id, disk } = this.node(from)
    const own = disk.identity ?? identityOf(from)
    const { clusterId, incarnation } = own
    this.network.inject(to, { from: id, incarnation, publicKey: publicKeyOf(from), clusterId, message })
    this.check()
  }

  /** Does several things at one instant, so that a node that hears of them all handles them in one turn. */
  together(action: () => void): void {
    this.world.schedule(this.world.root, action)
    this.world.drain()
    this.check()
  }

  /** The last events as text. */
  timeline(limit = 200): string {
    return this.world.timeline.render(this.ids, limit)
  }

  /** Puts a log of a test's own making on a node that is not running. */
  prepare(
    id: string,
    hardState: { readonly term: number; readonly votedFor?: string },
    entries: ReadonlyArray<LogEntry>
  ) {
    const { disk } = this.node(id)
    const { term, votedFor } = hardState
    disk.prepare(identityOf(id), { term: term as Term, votedFor: (votedFor ?? null) as NodeId | null }, entries)
  }

  /** The config entry that `founded` nodes begin with, as entry 1 of term 1. */
  foundingEntry(voters: ReadonlyArray<string>): LogEntry {
    return foundingEntry(voters, this.network.announced)
  }

  private found(names: ReadonlyArray<string>): void {
    const entry = this.foundingEntry(names)
    for (const name of names) this.prepare(name, { term: 1 }, [entry])
  }
}
