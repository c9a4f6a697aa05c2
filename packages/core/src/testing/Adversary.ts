/** Makes things go wrong in a simulated cluster, at moments and places drawn from the seed. */
import { Effect } from "effect"
import { DistKv } from "../DistKv.ts"
import { forgeEnvelope } from "./Forger.ts"
import { Operator } from "./Operator.ts"
import type { Prng } from "./Prng.ts"
import type { SimCluster } from "./SimCluster.ts"
import type { SimNode } from "./SimNode.ts"
import { type FaultClass, isQuiet, type SimPlan } from "./SimPlan.ts"

export class Adversary<App = never> {
  /** How often each fault was made. */
  readonly counts = new Map<string, number>()
  private readonly cluster: SimCluster<App>
  private readonly plan: SimPlan
  private readonly random: Prng
  private active = false
  private beganAt = 0
  private readonly operator: Operator<App>

  /** `onStart` hears of each node that joins, before it starts. */
  constructor(cluster: SimCluster<App>, plan: SimPlan, onStart: (node: SimNode<App>) => void) {
    this.cluster = cluster
    this.plan = plan
    this.random = cluster.world.random.fork("adversary")
    this.operator = new Operator(cluster, plan, cluster.world.random.fork("operator"), (node) => {
      this.spoilDisk(node)
      onStart(node)
    })
  }

  /** Begins: the network and the disks become what the plan says, and events follow. */
  begin(): void {
    this.active = true
    this.beganAt = this.cluster.now
    Object.assign(this.cluster.network.faults, this.plan.network)
    for (const node of this.cluster.nodes.values()) this.spoilDisk(node)
    const acts = Object.entries(this.acts()).filter(([name]) => this.plan.classes.has(name as FaultClass))
    if (acts.length > 0) this.next(acts)
  }

  /** No more events; what is broken stays so until somebody mends it. */
  end(): void {
    this.active = false
  }

  /** The times a fault lasts are drawn around the election time-out. */
  private lasting(): number {
    return this.random.between(0.3, 6) * this.plan.electionTimeoutMs
  }

  private next(acts: ReadonlyArray<readonly [string, () => void]>): void {
    const { pace } = this.plan
    const mean = isQuiet(pace, this.cluster.now - this.beganAt) ? pace.quietEventMs : pace.stormEventMs
    this.cluster.world.after(this.random.exponential(mean), () => {
      if (!this.active) return
      const [name, act] = this.random.pick(acts)
      this.count(name)
      act()
      this.cluster.world.drain()
      this.next(acts)
    })
  }

  private count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1)
  }

  private note(text: string): void {
    this.cluster.world.timeline.record(this.cluster.now, null, text)
  }

  /** Later, unless everything was mended in the meantime. */
  private later(ms: number, action: () => void): void {
    this.cluster.world.after(ms, () => {
      if (this.active) action()
    })
  }

  /** A node; the leader more often than others. */
  private anyNode(): SimNode<App> {
    const leader = this.cluster.leader()
    if (leader !== null && this.random.chance(0.4)) return this.cluster.node(leader)
    return this.random.pick([...this.cluster.nodes.values()])
  }

  private spoilDisk(node: SimNode<App>): void {
    const { logDevice, stateDevice } = node.disk
    logDevice.faults.meanDelayMs = this.plan.diskMs
    stateDevice.faults.meanDelayMs = this.plan.diskMs
    logDevice.faults.onCrash = this.random.pick(["none", "all", "prefix"])
    stateDevice.faults.onCrash = this.random.pick(["none", "all", "prefix"])
  }

  private revive(node: SimNode<App>): void {
    this.later(this.lasting(), () => {
      node.disk.logDevice.resume()
      node.disk.stateDevice.resume()
      if (!node.isRunning) node.start()
    })
  }

  /** Mends all links; in some runs the leader dies at that very moment, so that whoever was cut off may win. */
  private healLater(): void {
    this.later(this.lasting(), () => {
      this.cluster.heal()
      const leader = this.cluster.leader()
      if (leader === null || !this.plan.classes.has("coup") || !this.random.chance(0.5)) return
      this.count("coup")
      const node = this.cluster.node(leader)
      node.crash()
      this.revive(node)
    })
  }

  private acts(): Partial<Record<FaultClass, () => void>> {
    return {
      isolate: () => this.isolate(),
      partition: () => this.partition(),
      oneWay: () => this.oneWay(),
      partial: () => this.partial(),
      flap: () => this.flap(),
      clog: () => this.clog(),
      pause: () => this.pause(),
      crash: () => this.crash(),
      crashAll: () => this.crashAll(),
      close: () => this.close(),
      slowDisk: () => this.slowDisk(),
      hangDisk: () => this.hangDisk(),
      failDisk: () => this.failDisk(),
      fullDisk: () => this.fullDisk(),
      clockJump: () => this.clockJump(),
      transfer: () => this.transfer(),
      forge: () => this.forge(),
      ...this.operator.acts()
    }
  }

  private isolate(): void {
    this.cluster.isolate(this.anyNode().id)
    this.healLater()
  }

  private partition(): void {
    const ids = this.random.shuffle(this.cluster.ids)
    const cut = this.random.int(1, Math.max(1, ids.length - 1))
    this.cluster.partition(ids.slice(0, cut), ids.slice(cut))
    this.healLater()
  }

  /** Some links lose everything in one direction. */
  private oneWay(): void {
    const node = this.anyNode().id
    const isDeaf = this.random.chance(0.5)
    const others = this.cluster.ids.filter((id) => id !== node && this.random.chance(0.7))
    this.note(`${node} ${isDeaf ? "hears" : "reaches"} none of ${others.join(" ")}`)
    for (const other of others) isDeaf ? this.cluster.network.cut(other, node) : this.cluster.network.cut(node, other)
    this.healLater()
  }

  /** Single links fail both ways, so that not everybody sees everybody. */
  private partial(): void {
    const ids = this.cluster.ids
    const pairs = ids.flatMap((a, i) => ids.slice(i + 1).map((b) => [a, b] as const)).filter(() =>
      this.random.chance(0.4)
    )
    this.note(`no link ${pairs.map(([a, b]) => `${a}-${b}`).join(" ")}`)
    for (const [a, b] of pairs) this.cluster.partition([a], [b])
    this.healLater()
  }

  /** A link comes and goes. */
  private flap(): void {
    const [a, b] = this.random.shuffle(this.cluster.ids)
    if (a === undefined || b === undefined) return
    const { network } = this.cluster
    const period = this.random.between(0.2, 3) * this.plan.electionTimeoutMs
    this.note(`link ${a}-${b} flaps every ${period.toFixed(0)} ms`)
    const toggle = (left: number, isUp: boolean) => {
      if (left === 0 || isUp) {
        network.heal(a, b)
        network.heal(b, a)
      } else network.partition([a], [b])
      if (left > 0) this.later(period, () => toggle(left - 1, !isUp))
    }
    toggle(this.random.int(2, 12), false)
  }

  private clog(): void {
    const ms = this.lasting()
    for (const from of this.cluster.ids) {
      for (const to of this.cluster.ids) {
        if (from !== to && this.random.chance(0.3)) this.cluster.network.clog(from, to, ms)
      }
    }
    this.note(`some links are clogged for ${ms.toFixed(0)} ms`)
  }

  private pause(): void {
    const node = this.anyNode()
    node.pause()
    this.later(this.random.between(0.5, 10) * this.plan.electionTimeoutMs, () => node.resume())
  }

  private crash(): void {
    const node = this.anyNode()
    node.crash()
    this.revive(node)
  }

  /** Power fails everywhere, or on a majority. */
  private crashAll(): void {
    const part = this.random.chance(0.5) ? 1 : 0.6
    for (const node of this.cluster.nodes.values()) {
      if (!this.random.chance(part)) continue
      node.crash()
      this.revive(node)
    }
  }

  private close(): void {
    const node = this.anyNode()
    node.close()
    this.revive(node)
    this.later(this.lasting() + 2 * this.plan.electionTimeoutMs, () => node.start())
  }

  private slowDisk(): void {
    const { logDevice } = this.anyNode().disk
    const before = logDevice.faults.meanDelayMs
    logDevice.faults.meanDelayMs = this.random.between(0.1, 1.5) * this.plan.electionTimeoutMs
    this.later(this.lasting(), () => void (logDevice.faults.meanDelayMs = before))
  }

  private hangDisk(): void {
    const node = this.anyNode()
    const device = this.random.chance(0.7) ? node.disk.logDevice : node.disk.stateDevice
    device.hang()
    this.note(`the ${device === node.disk.logDevice ? "log" : "state"} disk of ${node.id} hangs`)
    this.later(this.lasting() * 2, () => {
      // What hung that long goes on only after a power cycle, or by itself.
      if (this.random.chance(0.5)) node.crash()
      device.resume()
      if (!node.isRunning) node.start()
    })
    this.reviveWhenStopped(node)
  }

  private failDisk(): void {
    const node = this.anyNode()
    const device = this.random.chance(0.7) ? node.disk.logDevice : node.disk.stateDevice
    device.faults.failNext = 1
    this.reviveWhenStopped(node)
  }

  private fullDisk(): void {
    const node = this.anyNode()
    node.disk.spaceLeft = -1
    this.note(`the disk of ${node.id} is full`)
    this.later(this.lasting() * 2, () => void (node.disk.spaceLeft = 1_000_000))
  }

  private clockJump(): void {
    const node = this.anyNode()
    node.host?.jumpWallClock(this.random.between(-3_600_000, 3_600_000))
    this.note(`the wall clock of ${node.id} jumps`)
  }

  private transfer(): void {
    const leader = this.cluster.leader()
    if (leader === null) return
    const to = this.random.chance(0.5) ? undefined : this.random.pick(this.cluster.ids)
    this.note(`leadership is asked to go from ${leader} to ${to ?? "anyone"}`)
    const ask = Effect.flatMap(DistKv, (kv) => kv.transferLeadership(to, { timeout: 2000 }))
    this.anyNode().fork(Effect.ignore(ask))
  }

  /** Somebody who may not says something that would matter. */
  private forge(): void {
    const target = this.anyNode()
    const { identity } = target.disk
    if (!target.isRunning || identity?.clusterId == null || !this.cluster.isMember(target.id)) return
    // Only of members that it knows can it tell who is who.
    const { configs, log } = this.cluster.view.node(target.id)
    const known = log[(configs.at(-1) ?? 0) - 1]?.members ?? []
    if (known.length === 0) return
    const other = this.cluster.node(this.random.pick(known))
    this.cluster.network.inject(target.id, forgeEnvelope(this.random, identity.clusterId, other.disk))
  }

  /** Restarts a node that ends itself, as somebody who watches it would. */
  private reviveWhenStopped(node: SimNode<App>, tries = 20): void {
    this.later(this.lasting(), () => {
      if (!node.isRunning) {
        node.disk.logDevice.resume()
        node.disk.stateDevice.resume()
        node.start()
      } else if (tries > 0) this.reviveWhenStopped(node, tries - 1)
    })
  }
}
