/** Makes things go wrong in a simulated cluster, at moments and places drawn from the seed. */
import { diskFaults } from "./DiskFaults.ts"
import { majority } from "./GlobalView.ts"
import { linkFaults } from "./LinkFaults.ts"
import { machineFaults } from "./MachineFaults.ts"
import { Operator } from "./Operator.ts"
import type { Prng } from "./Prng.ts"
import { processFaults } from "./ProcessFaults.ts"
import { rotFaults } from "./RotFaults.ts"
import type { SimCluster } from "./SimCluster.ts"
import type { SimNode } from "./SimNode.ts"
import { type FaultClass, isQuiet, type SimPlan } from "./SimPlan.ts"
import { votersOf } from "./Voters.ts"

/**
 * Something that the adversary may do, by the class of faults that it belongs to. Returns whether anything came of it:
 * only that counts. What takes effect later, or under another name, is counted when it does.
 */
export type Acts = Partial<Record<FaultClass, () => boolean>>

/** What a run offers its adversary beside the cluster. */
export interface AdversaryHooks<App> {
  /** Hears of each node that joins, before it starts. */
  readonly onStart: (node: SimNode<App>) => void
  /** Has so many writes called on a node at once. */
  readonly burst: (node: SimNode<App>, calls: number) => void
}

export class Adversary<App = never> {
  /** How often each fault was made. */
  readonly counts = new Map<string, number>()
  readonly cluster: SimCluster<App>
  readonly plan: SimPlan
  readonly random: Prng
  readonly hooks: AdversaryHooks<App>
  /** Nodes whose disk is lost or damaged in this run. They stay out of it, and never so many that a quorum is gone. */
  readonly lost = new Set<string>()
  private readonly operator: Operator<App>
  private active = false
  private beganAt = 0

  constructor(cluster: SimCluster<App>, plan: SimPlan, hooks: AdversaryHooks<App>) {
    this.cluster = cluster
    this.plan = plan
    this.hooks = hooks
    this.random = cluster.world.random.fork("adversary")
    this.operator = new Operator(cluster, plan, cluster.world.random.fork("operator"), (node) => {
      this.spoilDisk(node)
      hooks.onStart(node)
    })
  }

  /** Begins: the network and the disks become what the plan says, and events follow. */
  begin(): void {
    this.active = true
    this.beganAt = this.cluster.now
    Object.assign(this.cluster.network.faults, this.plan.network)
    for (const node of this.cluster.nodes.values()) this.spoilDisk(node)
    const all: Acts = {
      ...linkFaults(this),
      ...processFaults(this),
      ...diskFaults(this),
      ...rotFaults(this),
      ...machineFaults(this),
      ...this.operator.acts()
    }
    const acts = Object.entries(all).filter(([name]) => this.plan.classes.has(name as FaultClass))
    if (acts.length > 0) this.next(acts)
  }

  /** No more events; what is broken stays so until somebody mends it. */
  end(): void {
    this.active = false
    for (const id of this.lost) this.retire(this.cluster.node(id))
    for (const { disk, host } of this.cluster.nodes.values()) {
      host?.trap.disarm()
      disk.state.keepPieces()
    }
    this.operator.tell((name) => this.count(name))
  }

  /** The times a fault lasts are drawn around the election time-out. */
  lasting(): number {
    return this.random.between(0.3, 6) * this.plan.electionTimeoutMs
  }

  count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1)
  }

  note(text: string): void {
    this.cluster.world.timeline.record(this.cluster.now, null, text)
  }

  /** Later, unless everything was mended in the meantime. */
  later(ms: number, action: () => void): void {
    this.cluster.world.after(ms, () => {
      if (!this.active) return
      action()
      this.cluster.world.drain()
    })
  }

  /** A node that may still be of use; the leader more often than others. */
  anyNode(): SimNode<App> {
    const leader = this.cluster.leader()
    if (leader !== null && this.random.chance(0.4)) return this.cluster.node(leader)
    return this.random.pick(this.usefulNodes())
  }

  /** All that are not out of the run for good. */
  usefulNodes(): ReadonlyArray<SimNode<App>> {
    return [...this.cluster.nodes.values()].filter(({ id }) => !this.lost.has(id))
  }

  /**
   * A voter that the others can do without for good: they are a quorum of every configuration. Null where the one that
   * was drawn, or given, is none.
   */
  spareVoter(node: SimNode<App> = this.anyNode()): SimNode<App> | null {
    const { membership } = node.disk
    if (membership === null || this.lost.size > 0) return null
    const voters = votersOf(membership)
    return voters.includes(node.id) && voters.length - 1 >= majority(voters) ? node : null
  }

  /** The operator gives an order to this very node, which may be the last to know that it leads no more. */
  misdirect(node: SimNode<App>): void {
    if (this.random.chance(0.5)) this.operator.order(node)
  }

  /**
   * A node whose disk was put back, and whom nobody has told so, would vote again: it goes for good. So does one with a
   * damaged row, which would end whenever somebody asks for that.
   */
  private retire(node: SimNode<App>): void {
    if (node.disk.state.isRotten) node.retire()
    if (!node.disk.isRolledBack) return
    this.cluster.network.muteVotes(node.id, false)
    if (node.disk.identity?.refused !== undefined) return this.count("told that it was rolled back")
    node.crash()
    node.disk.wipe()
  }

  spoilDisk(node: SimNode<App>): void {
    const { logDevice, stateDevice } = node.disk
    logDevice.faults.meanDelayMs = this.plan.diskMs
    stateDevice.faults.meanDelayMs = this.plan.diskMs
    logDevice.faults.onCrash = this.random.pick(["none", "all", "prefix"])
    stateDevice.faults.onCrash = this.random.pick(["none", "all", "prefix"])
  }

  /** Starts a node again after a while, unless something else did. */
  revive(node: SimNode<App>): void {
    this.later(this.lasting(), () => {
      node.disk.logDevice.resume()
      node.disk.stateDevice.resume()
      if (!node.isRunning && !this.lost.has(node.id)) node.start()
    })
  }

  /** Restarts a node that ends itself, as somebody who watches it would. */
  reviveWhenStopped(node: SimNode<App>, tries = 20): void {
    this.later(this.lasting(), () => {
      if (!node.isRunning && !this.lost.has(node.id)) {
        node.disk.logDevice.resume()
        node.disk.stateDevice.resume()
        node.start()
      } else if (tries > 0) this.reviveWhenStopped(node, tries - 1)
    })
  }

  private next(acts: ReadonlyArray<readonly [string, () => boolean]>): void {
    const { pace } = this.plan
    const mean = isQuiet(pace, this.cluster.now - this.beganAt) ? pace.quietEventMs : pace.stormEventMs
    this.cluster.world.after(this.random.exponential(mean), () => {
      if (!this.active) return
      const [name, act] = this.random.pick(acts)
      if (act()) this.count(name)
      this.cluster.world.drain()
      this.next(acts)
    })
  }
}
