/**
 * A stretch of a simulated run in which a leader is well, and at most one member is not: it is cut off and comes back
 * again and again, hears or reaches nobody, is partly connected, stands still, or is slow. A hundred election time-outs
 * must pass without another leader, and nobody may notice the slow one (I31, I32, I34).
 */
import type { NodeId } from "../domain/Identity.ts"
import type { Term } from "../domain/Position.ts"
import { type Ailment, ailments } from "./Ailment.ts"
import { majority } from "./GlobalView.ts"
import type { Prng } from "./Prng.ts"
import type { SimCluster } from "./SimCluster.ts"

/** What holds while a cluster is calm. */
export interface Calm {
  readonly leader: NodeId
  readonly term: Term
  /** Members that nothing is wrong with, the leader among them. */
  readonly healthy: ReadonlySet<NodeId>
  /** World milliseconds in which what the leader appends is committed, … */
  readonly commitWithinMs: number
  /** … and a commit is known to all that are healthy. */
  readonly knownWithinMs: number
}

export interface CalmOptions {
  readonly electionTimeoutMs: number
  readonly heartbeatMs: number
  /** World milliseconds in which all nodes must be equal before it begins. */
  readonly equalWithinMs: number
  /** The rates of the slowest and of the fastest clock. */
  readonly slowestRate: number
  readonly fastestRate: number
  /** Members that are out of the run: they are what is wrong with it. */
  readonly lost: ReadonlySet<string>
}

const lastingTimeouts = 100

/** A round trip and what the nodes do with it, with nothing in its way, in milliseconds. */
const roundTripMs = 40

export class CalmPhase<App> {
  private readonly cluster: SimCluster<App>
  private readonly options: CalmOptions
  private readonly random: Prng
  private isOver = false

  constructor(cluster: SimCluster<App>, random: Prng, options: CalmOptions) {
    this.cluster = cluster
    this.random = random
    this.options = options
  }

  /** Returns what was wrong, for the coverage. */
  run(): string {
    const { cluster, options } = this
    const { electionTimeoutMs, equalWithinMs, heartbeatMs, lost, slowestRate } = options
    cluster.until("one leader and equal nodes (I30)", () => cluster.isConverged(), equalWithinMs)
    const leader = cluster.leader()!
    const record = cluster.view.node(leader)
    const voters = record.log[(record.configs.at(-1) ?? 0) - 1]?.voters ?? []
    const spare = voters.filter((id) => id !== leader)
    const mayAil = lost.size === 0 && voters.length - 1 >= majority(voters)
    const ailing = mayAil && spare.length > 0 ? this.random.pick(spare) : null
    const ailment = ailing === null ? "none" : this.random.pick(ailments)
    const isWell = (id: NodeId) => cluster.isMember(id) && !lost.has(id) && (ailment === "none" || id !== ailing)
    cluster.view.calm = {
      leader,
      term: record.last!.term,
      healthy: new Set(cluster.ids.filter(isWell)),
      commitWithinMs: electionTimeoutMs / 2,
      knownWithinMs: heartbeatMs / slowestRate + roundTripMs
    }
    cluster.world.timeline.record(cluster.now, null, `calm: ${ailing ?? "nobody"} ${ailment}`)
    if (ailing !== null) this.afflict(ailing, ailment, leader)
    cluster.run(lastingTimeouts * electionTimeoutMs)
    this.isOver = true
    cluster.view.calm = null
    if (ailing !== null) this.relieve(ailing)
    return `calm, ${ailment}`
  }

  private afflict(id: NodeId, ailment: Ailment, leader: NodeId): void {
    const { cluster } = this
    const { network } = cluster
    const node = cluster.node(id)
    const others = cluster.ids.filter((other) => other !== id)
    switch (ailment) {
      case "none":
        return
      case "comesAndGoes":
        return this.alternate(() => cluster.isolate(id), () => cluster.heal())
      case "deaf":
        return others.forEach((other) => network.cut(other, id))
      case "mute":
        return others.forEach((other) => network.cut(id, other))
      case "unseenByLeader":
        return cluster.partition([id], [leader])
      case "standsStill":
        return this.alternate(() => node.pause(), () => node.resume())
      case "slowDisk":
        // As slow as can be without being taken for stuck, which is after a second on the node's own clock.
        node.disk.logDevice.faults.minDelayMs = Math.min(500, 900 / this.options.fastestRate)
        return
      case "slowLink":
        for (const other of others) {
          network.slow(id, other, this.options.electionTimeoutMs / 4)
          network.slow(other, id, this.options.electionTimeoutMs / 4)
        }
    }
  }

  private alternate(begin: () => void, end: () => void): void {
    const turn = (isBad: boolean) => {
      if (this.isOver) return
      if (isBad) begin()
      else end()
      this.cluster.world.after(this.random.between(0.5, 6) * this.options.electionTimeoutMs, () => {
        turn(!isBad)
        this.cluster.world.drain()
      })
    }
    turn(true)
  }

  private relieve(id: NodeId): void {
    const node = this.cluster.node(id)
    node.disk.logDevice.faults.minDelayMs = 0.05
    node.resume()
    this.cluster.heal()
  }
}
