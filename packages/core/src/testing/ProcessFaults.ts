/** Faults of processes and machines: pauses, stalls, crashes at chosen points, restarts in all orders, clocks. */
import { Effect } from "effect"
import { DistKv } from "../DistKv.ts"
import { ownFeatures } from "../domain/Features.ts"
import type { Acts, Adversary } from "./Adversary.ts"
import { type CrashPoint, crashPoints, rareCrashPoints, seldomPassed } from "./CrashPoint.ts"
import { FaultMaker } from "./FaultMaker.ts"

class ProcessFaults<App> extends FaultMaker<App> {
  readonly pause = () => {
    const node = this.adversary.anyNode()
    node.pause()
    this.adversary.later(this.random.between(0.5, 10) * this.electionTimeoutMs, () => node.resume())
    return node.isRunning
  }

  /** The event loop is blocked for a while after one of the next tasks, between two that belong together. */
  readonly stall = () => {
    const node = this.adversary.anyNode()
    const ms = this.random.between(0.05, 2) * this.electionTimeoutMs
    node.host?.stall(this.random.int(1, 200), ms)
    this.adversary.note(`the event loop of ${node.id} will block for ${ms.toFixed(0)} ms`)
    return node.isRunning
  }

  readonly crash = () => {
    const node = this.adversary.anyNode()
    const ran = node.isRunning
    node.crash()
    this.adversary.revive(node)
    return ran
  }

  /** Power fails at the very moment when something is written, done, sent or decided. */
  readonly crashPoint = () => this.arm(crashPoints)

  /** The same where only few nodes come by. */
  readonly crashRare = () => this.arm(rareCrashPoints)

  private arm(points: ReadonlyArray<CrashPoint>): boolean {
    const node = this.adversary.anyNode()
    const point = this.random.pick(points)
    const times = this.random.int(1, 4)
    const isSeldom = seldomPassed.has(point)
    this.adversary.note(`${isSeldom ? "whoever comes there" : node.id} will lose power at: ${point}`)
    const armed = isSeldom ? this.adversary.usefulNodes() : [node]
    for (const each of armed) {
      each.armCrash(point, isSeldom ? 1 : times, () => {
        this.adversary.count(`crash at ${point}`)
        this.adversary.revive(each)
      })
    }
    return armed.some((each) => each.isRunning)
  }

  /** Power fails everywhere, or on a majority. */
  readonly crashAll = () => {
    const part = this.random.chance(0.5) ? 1 : 0.6
    let crashed = 0
    for (const node of this.cluster.nodes.values()) {
      if (!this.random.chance(part)) continue
      if (node.isRunning) crashed++
      node.crash()
      this.adversary.revive(node)
    }
    return crashed > 0
  }

  readonly close = () => {
    const node = this.adversary.anyNode()
    const ran = node.isRunning
    node.close()
    this.adversary.revive(node)
    this.adversary.later(this.adversary.lasting() + 2 * this.electionTimeoutMs, () => {
      if (!this.adversary.lost.has(node.id)) node.start()
    })
    return ran
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
    return true
  }

  readonly clockJump = () => {
    const node = this.adversary.anyNode()
    node.host?.jumpWallClock(this.random.between(-3_600_000, 3_600_000))
    this.adversary.note(`the wall clock of ${node.id} jumps`)
    return node.isRunning
  }

  /** A wall clock goes to and fro for a while. */
  readonly strobe = () => {
    const node = this.adversary.anyNode()
    const { host } = node
    if (host === null) return false
    const ms = this.random.between(1, 10) * this.random.pick([10, 1000, 100_000])
    const every = this.random.between(0.01, 0.5) * this.electionTimeoutMs
    this.adversary.note(
      `the wall clock of ${node.id} jumps ${ms.toFixed(0)} ms to and fro every ${every.toFixed(0)} ms`
    )
    const jump = (left: number) => {
      host.jumpWallClock(left % 2 === 0 ? -ms : ms)
      if (left > 0) this.adversary.later(every, () => jump(left - 1))
    }
    jump(2 * this.random.int(2, 30) + 1)
    return true
  }

  /** More calls at once than ever. */
  readonly burst = () => {
    const node = this.adversary.anyNode()
    this.adversary.hooks.burst(node, this.random.int(10, 100))
    return node.services !== null
  }

  /** All programs are newer ones from here on, sooner or later. */
  readonly upgrade = () => {
    if (this.cluster.network.announced === ownFeatures || this.random.chance(0.7)) return false
    this.cluster.network.announced = ownFeatures
    this.adversary.note("all programs know everything now")
    return true
  }

  readonly transfer = () => {
    const leader = this.cluster.leader()
    if (leader === null) return false
    const to = this.random.chance(0.5) ? undefined : this.random.pick(this.cluster.ids)
    this.adversary.note(`leadership is asked to go from ${leader} to ${to ?? "anyone"}`)
    const ask = Effect.flatMap(DistKv, (kv) => kv.transferLeadership(to, { timeout: 2000 }))
    return this.adversary.anyNode().fork(Effect.ignore(ask)) !== null
  }
}

export const processFaults = <App>(adversary: Adversary<App>): Acts => {
  const faults = new ProcessFaults(adversary)
  const { burst, clockJump, close, crash, crashAll, crashPoint, crashRare } = faults
  const { pause, rolling, stall, strobe, transfer, upgrade } = faults
  return {
    pause,
    stall,
    crash,
    crashPoint,
    crashAll,
    close,
    rolling,
    clockJump,
    burst,
    transfer,
    upgrade,
    crashRare,
    strobe
  }
}
