/** Faults of processes and machines: pauses, stalls, crashes at chosen points, restarts in all orders, clocks. */
import { Effect } from "effect"
import { DistKv } from "../DistKv.ts"
import { ownFeatures } from "../domain/Features.ts"
import type { Acts, Adversary } from "./Adversary.ts"
import { crashPoints, seldomPassed } from "./CrashPoint.ts"
import { FaultMaker } from "./FaultMaker.ts"

class ProcessFaults<App> extends FaultMaker<App> {
  readonly pause = () => {
    const node = this.adversary.anyNode()
    node.pause()
    this.adversary.later(this.random.between(0.5, 10) * this.electionTimeoutMs, () => node.resume())
  }

  /** The event loop is blocked for a while after one of the next tasks, between two that belong together. */
  readonly stall = () => {
    const node = this.adversary.anyNode()
    const ms = this.random.between(0.05, 2) * this.electionTimeoutMs
    node.host?.stall(this.random.int(1, 200), ms)
    this.adversary.note(`the event loop of ${node.id} will block for ${ms.toFixed(0)} ms`)
  }

  readonly crash = () => {
    const node = this.adversary.anyNode()
    node.crash()
    this.adversary.revive(node)
  }

  /** Power fails at the very moment when something is written, done, sent or decided. */
  readonly crashPoint = () => {
    const node = this.adversary.anyNode()
    const point = this.random.pick(crashPoints)
    const times = this.random.int(1, 4)
    const isSeldom = seldomPassed.has(point)
    this.adversary.note(`${isSeldom ? "whoever comes there" : node.id} will lose power at: ${point}`)
    for (const each of isSeldom ? this.adversary.usefulNodes() : [node]) {
      each.armCrash(point, isSeldom ? 1 : times, () => {
        this.adversary.count(`crash at ${point}`)
        this.adversary.revive(each)
      })
    }
  }

  /** Power fails everywhere, or on a majority. */
  readonly crashAll = () => {
    const part = this.random.chance(0.5) ? 1 : 0.6
    for (const node of this.cluster.nodes.values()) {
      if (!this.random.chance(part)) continue
      node.crash()
      this.adversary.revive(node)
    }
  }

  readonly close = () => {
    const node = this.adversary.anyNode()
    node.close()
    this.adversary.revive(node)
    this.adversary.later(this.adversary.lasting() + 2 * this.electionTimeoutMs, () => {
      if (!this.adversary.lost.has(node.id)) node.start()
    })
  }

  /** One node after the other is closed, or killed, and started again. */
  readonly rolling = () => {
    const isGraceful = this.random.chance(0.5)
    const every = this.random.between(1, 4) * this.electionTimeoutMs
    this.adversary.note(
      `all nodes are ${isGraceful ? "closed" : "killed"} one after the other, every ${every.toFixed(0)} ms`
    )
    this.random.shuffle(this.cluster.nodes.values()).forEach((node, i) => {
      this.adversary.later(i * every, () => {
        if (isGraceful) node.close()
        else node.crash()
      })
      this.adversary.later((i + 0.5) * every, () => {
        if (!this.adversary.lost.has(node.id)) node.keepUp()
      })
    })
  }

  readonly clockJump = () => {
    const node = this.adversary.anyNode()
    node.host?.jumpWallClock(this.random.between(-3_600_000, 3_600_000))
    this.adversary.note(`the wall clock of ${node.id} jumps`)
  }

  /** More calls at once than ever. */
  readonly burst = () => this.adversary.hooks.burst(this.adversary.anyNode(), this.random.int(10, 100))

  /** All programs are newer ones from here on, sooner or later. */
  readonly upgrade = () => {
    if (this.cluster.network.announced === ownFeatures || this.random.chance(0.7)) return
    this.cluster.network.announced = ownFeatures
    this.adversary.count("upgraded")
    this.adversary.note("all programs know everything now")
  }

  readonly transfer = () => {
    const leader = this.cluster.leader()
    if (leader === null) return
    const to = this.random.chance(0.5) ? undefined : this.random.pick(this.cluster.ids)
    this.adversary.note(`leadership is asked to go from ${leader} to ${to ?? "anyone"}`)
    const ask = Effect.flatMap(DistKv, (kv) => kv.transferLeadership(to, { timeout: 2000 }))
    this.adversary.anyNode().fork(Effect.ignore(ask))
  }
}

export const processFaults = <App>(adversary: Adversary<App>): Acts => {
  const { pause, stall, crash, crashPoint, crashAll, close, rolling, clockJump, burst, transfer, upgrade } =
    new ProcessFaults(adversary)
  return { pause, stall, crash, crashPoint, crashAll, close, rolling, clockJump, burst, transfer, upgrade }
}
