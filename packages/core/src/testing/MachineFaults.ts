/**
 * Faults that come together, as they do when one machine is unwell: it is cut off while it stands still, or while its
 * disk hangs, or for so long that only a snapshot helps; or it comes back with an older disk.
 */
import type { Acts, Adversary } from "./Adversary.ts"
import { FaultMaker } from "./FaultMaker.ts"
import type { SimNode } from "./SimNode.ts"

class MachineFaults<App> extends FaultMaker<App> {
  /** The leader, mostly: it is what a machine that comes back may still take itself for. */
  private likelyLeader(): SimNode<App> {
    const leader = this.cluster.leader()
    return leader !== null && this.random.chance(0.7) ? this.cluster.node(leader) : this.adversary.anyNode()
  }

  private times(low: number, high: number): number {
    return this.random.between(low, high) * this.electionTimeoutMs
  }

  /** It stands still and is cut off, and goes on before it can hear or reach anybody again. */
  readonly freeze = () => {
    const node = this.likelyLeader()
    this.cluster.isolate(node.id)
    node.pause()
    const still = this.times(1.5, 6)
    this.adversary.later(still, () => node.resume())
    this.adversary.later(still + this.times(0.1, 1.5), () => this.cluster.heal())
    return node.isRunning
  }

  /**
   * Its disk hangs, then its links are gone, and both come back at about the same time: what it was about to write
   * meets what the next leader has in the same places.
   */
  readonly sick = () => {
    const node = this.likelyLeader()
    const { logDevice } = node.disk
    logDevice.hang()
    this.adversary.note(`the log disk of ${node.id} hangs, and its links are about to fail`)
    this.adversary.hooks.burst(node, this.random.int(2, 10))
    const cutAfter = this.times(0, 0.4)
    this.adversary.later(cutAfter, () => {
      this.cluster.isolate(node.id)
      this.adversary.hooks.burst(node, this.random.int(2, 20))
    })
    const healAfter = cutAfter + this.times(1.5, 4)
    this.adversary.later(healAfter, () => this.cluster.heal())
    this.adversary.later(healAfter + this.times(-0.2, 1.5), () => {
      logDevice.resume()
      if (!node.isRunning && !this.adversary.lost.has(node.id)) node.start()
    })
    this.adversary.reviveWhenStopped(node)
    return node.isRunning
  }

  /** It misses so much that the others drop what it lacks; and once more while it is being helped. */
  readonly lag = () => {
    const node = this.adversary.anyNode()
    this.adversary.note(`${node.id} is to fall behind`)
    const miss = (left: number) => {
      this.cluster.isolate(node.id)
      const away = this.times(2.2, 5)
      for (const part of [0.3, 0.6, 0.9]) this.adversary.later(part * away, () => this.writeElsewhere(node))
      this.adversary.later(away, () => {
        this.cluster.heal()
        if (left > 0) this.adversary.later(this.times(0.05, 0.8), () => miss(left - 1))
      })
    }
    miss(this.random.int(0, 2))
    return node.isRunning && this.cluster.ids.length > 1
  }

  private writeElsewhere(node: SimNode<App>): void {
    const others = [...this.cluster.nodes.values()].filter((other) => other !== node && other.isRunning)
    if (others.length > 0) this.adversary.hooks.burst(this.random.pick(others), this.random.int(5, 15))
  }

  /**
   * A copy of its disk is put back after a while, as somebody might who takes that for a repair. It has forgotten what
   * it promised, which nobody can survive where it votes before the leader that remembers has told it: so nobody asks
   * it. Whatever it acknowledges it still has to hold, and once it was told it takes part in nothing (D09).
   */
  readonly rollback = () => {
    const node = this.adversary.spareVoter()
    // The founder would found another cluster in an empty directory, to which its disk may come in the end.
    const isFounder = this.adversary.plan.begin === "joined" && node?.id === "n1"
    if (node === null || isFounder || this.cluster.leader() === node.id) return false
    const copy = node.disk.copy()
    this.adversary.later(this.adversary.lasting(), () => {
      const { disk } = node
      if (this.adversary.lost.size > 0 || node !== this.adversary.spareVoter(node) || disk.last <= copy.last) return
      this.adversary.lost.add(node.id)
      this.adversary.count("rollback")
      this.cluster.network.muteVotes(node.id)
      node.crash()
      disk.restore(copy)
      this.adversary.note(`the disk of ${node.id} is put back to ${copy.last}`)
      this.adversary.later(this.times(0.1, 2), () => node.keepUp())
    })
    return false
  }
}

export const machineFaults = <App>(adversary: Adversary<App>): Acts => {
  const { freeze, sick, lag, rollback } = new MachineFaults(adversary)
  return { freeze, sick, lag, rollback }
}
