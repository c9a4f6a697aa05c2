/** What a fault is, where it is made, and how often what was done. */
import type { Prng } from "@distkv/core/testing"
import { setTimeout as sleep } from "node:timers/promises"
import type { ChaosNode, Cluster } from "./Cluster.ts"

/** How often what was done, and how often it was seen to take effect. */
export class Tally {
  readonly counts = new Map<string, number>()
  kills = 0
  killsOfLeaders = 0

  note(what: string, times = 1): void {
    if (times > 0) this.counts.set(what, this.of(what) + times)
  }

  of(what: string): number {
    return this.counts.get(what) ?? 0
  }

  noteKill(isLeader: boolean): void {
    this.kills++
    if (isLeader) this.killsOfLeaders++
  }
}

export interface Site {
  readonly cluster: Cluster
  readonly random: Prng
  readonly tally: Tally
  readonly electionTimeoutMs: number
  /** The node whose disk can be filled, where there is one. */
  readonly small: ChaosNode | undefined
  readonly tracing: boolean
  /** Whether the nodes' logs are so short that one that was away needs a snapshot. */
  readonly smallLogs: boolean
  readonly tell: (text: string) => void
}

export interface Fault {
  readonly name: string
  /** How often it is drawn beside the others; 0 where it cannot be made. */
  readonly weight: (site: Site) => number
  /** Why it cannot be made where it cannot; absent where it is the machine. */
  readonly needs?: string
  /** The count that shows that it took effect; absent where its run fails if it does not. */
  readonly effect?: string
  readonly run: (site: Site) => Promise<void>
}

export const anyOf = (site: Site): ChaosNode => {
  const running = site.cluster.nodes.filter((node) => node.serves)
  return site.random.pick(running.length > 0 ? running : site.cluster.nodes)
}

export const leaderOf = async (site: Site): Promise<ChaosNode> => (await site.cluster.someLeader(30_000)).node

/** A time between half an election time-out and eight of them. */
export const someTime = ({ electionTimeoutMs, random }: Site): Promise<void> =>
  sleep(electionTimeoutMs * random.between(0.5, 8))

export const kill = async (site: Site, victim: ChaosNode, isLeader: boolean): Promise<void> => {
  site.tell(`${victim.id}${isLeader ? ", the leader," : ""} is killed`)
  await victim.kill()
  site.tally.noteKill(isLeader)
}

/** A node may end itself, as one whose sync failed does; it is started again as a supervisor would. */
export const restartIfEnded = async (site: Site, node: ChaosNode): Promise<void> => {
  await sleep(500)
  if (node.alive) return
  site.tally.note("nodes that ended themselves")
  site.tell(`${node.id} ended itself and is started again`)
  await site.cluster.launch(node)
}
