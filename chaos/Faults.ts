/**
 * What is done to a cluster, one fault at a time or one on top of another; each one cleans up after itself.
 *
 * scenario: K01 K02 P01 P03 P04 P08 P10 P14 D01 D02 D03 D12
 */
import type { Prng } from "@distkv/core/testing"
import { setTimeout as sleep } from "node:timers/promises"
import type { ChaosNode, Cluster } from "./Cluster.ts"
import { fill, tamperWithSyncs } from "./Disks.ts"
import { end, pidOf } from "./Processes.ts"

/** How often what was done. */
export class Tally {
  readonly counts = new Map<string, number>()
  kills = 0
  killsOfLeaders = 0

  note(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1)
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
  /** What a second fault on top of another waits for: so many more acknowledged writes, or a while. */
  readonly tell: (text: string) => void
}

export interface Fault {
  readonly name: string
  readonly weight: (site: Site) => number
  readonly run: (site: Site) => Promise<void>
}

const anyOf = (site: Site): ChaosNode => {
  const running = site.cluster.nodes.filter((node) => node.serves)
  return site.random.pick(running.length > 0 ? running : site.cluster.nodes)
}

const leaderOf = async (site: Site): Promise<ChaosNode> => (await site.cluster.someLeader(30_000)).node

/** A time between half an election time-out and eight of them. */
const someTime = ({ electionTimeoutMs, random }: Site): Promise<void> =>
  sleep(electionTimeoutMs * random.between(0.5, 8))

const kill = async (site: Site, victim: ChaosNode, isLeader: boolean): Promise<void> => {
  site.tell(`${victim.id}${isLeader ? ", the leader," : ""} is killed`)
  await victim.kill()
  site.tally.noteKill(isLeader)
}

/** Kills a node, lets it rest for a while, and starts it again. */
const killAndStart = async (site: Site, victim: ChaosNode, isLeader: boolean): Promise<void> => {
  await kill(site, victim, isLeader)
  await sleep(site.random.between(0, 400))
  await site.cluster.launch(victim)
}

const killLeader: Fault = {
  name: "kill the leader",
  weight: () => 10,
  run: async (site) => killAndStart(site, await leaderOf(site), true)
}

const killAny: Fault = {
  name: "kill any node",
  weight: () => 4,
  run: async (site) => {
    const leader = await site.cluster.leader()
    const victim = anyOf(site)
    await killAndStart(site, victim, victim === leader?.node)
  }
}

const killAtStart: Fault = {
  name: "kill a node while it starts",
  weight: () => 2,
  run: async (site) => {
    const victim = anyOf(site)
    const leader = await site.cluster.leader()
    await kill(site, victim, victim === leader?.node)
    for (let round = 0; round < 2; round++) {
      const child = site.cluster.spawn(victim, `${victim.directory}.ready.json`)
      await sleep(site.random.between(20, 700))
      await end(child, "SIGKILL")
      site.tally.noteKill(false)
    }
    await site.cluster.launch(victim)
  }
}

const killAll: Fault = {
  name: "kill all nodes at once",
  weight: () => 1,
  run: async (site) => {
    const leader = await site.cluster.leader()
    await Promise.all(site.cluster.nodes.map((node) => kill(site, node, node === leader?.node)))
    await Promise.all(site.random.shuffle(site.cluster.nodes).map((node) => site.cluster.launch(node)))
  }
}

const pause: Fault = {
  name: "stop a node and let it go on",
  weight: () => 3,
  run: async (site) => {
    const victim = site.random.chance(0.6) ? await leaderOf(site) : anyOf(site)
    site.tell(`${victim.id} is stopped`)
    victim.signal("SIGSTOP")
    await someTime(site)
    victim.signal("SIGCONT")
  }
}

/** Pairs of nodes that do not hear each other (or only one the other), by shape. */
const shapes: Readonly<Record<string, (site: Site) => Promise<ReadonlyArray<readonly [from: number, to: number]>>>> = {
  "isolate the leader": async (site) => around(site, (await leaderOf(site)).index),
  "isolate any node": async (site) => around(site, anyOf(site).index),
  "the leader hears nobody": async (site) => {
    const { index } = await leaderOf(site)
    return around(site, index).filter(([, to]) => to === index)
  },
  "nobody hears the leader": async (site) => {
    const { index } = await leaderOf(site)
    return around(site, index).filter(([from]) => from === index)
  },
  "cut one link": async (site) => {
    const [a, b] = site.random.shuffle(site.cluster.nodes)
    return a === undefined || b === undefined ? [] : [[a.index, b.index], [b.index, a.index]]
  },
  "halves": async (site) => {
    const order = site.random.shuffle(site.cluster.nodes).map(({ index }) => index)
    const few = order.slice(0, Math.floor(order.length / 2))
    const many = order.slice(few.length)
    return few.flatMap((one) => many.flatMap((other) => [[one, other], [other, one]] as const))
  }
}

const around = (site: Site, center: number): ReadonlyArray<readonly [number, number]> =>
  site.cluster.nodes.filter(({ index }) => index !== center)
    .flatMap(({ index }) => [[center, index], [index, center]] as const)

const partition: Fault = {
  name: "partition",
  weight: () => 4,
  run: async (site) => {
    const name = site.random.pick(Object.keys(shapes))
    const pairs = await shapes[name]?.(site) ?? []
    site.tally.note(`partition: ${name}`)
    site.tell(`partition: ${name}`)
    for (const [from, to] of pairs) site.cluster.network.silence(from, to)
    await someTime(site)
    if (site.random.chance(0.3)) await killDuring(site)
    site.cluster.network.heal()
  }
}

/** One fault on top of another. */
const killDuring = async (site: Site): Promise<void> => {
  const leader = await site.cluster.leader()
  const victim = site.random.chance(0.5) && leader !== undefined ? leader.node : anyOf(site)
  await killAndStart(site, victim, victim === leader?.node)
}

const flap: Fault = {
  name: "flapping links",
  weight: () => 1,
  run: async (site) => {
    for (let round = 0; round < 6; round++) {
      const [a, b] = site.random.shuffle(site.cluster.nodes)
      if (a === undefined || b === undefined) return
      site.cluster.network.silence(a.index, b.index)
      if (site.random.chance(0.5)) site.cluster.network.silence(b.index, a.index)
      await sleep(site.electionTimeoutMs * site.random.between(0.3, 2))
      site.cluster.network.heal()
      await sleep(site.electionTimeoutMs * site.random.between(0.1, 1))
    }
  }
}

const reset: Fault = {
  name: "end connections",
  weight: ({ cluster }) => cluster.network.reset === null ? 0 : 3,
  run: async (site) => {
    for (let round = 0; round < 10; round++) {
      const [a, b] = site.random.shuffle(site.cluster.nodes)
      if (a !== undefined && b !== undefined) site.cluster.network.reset?.(a.index, b.index)
      await sleep(site.random.between(0, 300))
    }
  }
}

const fullDisk: Fault = {
  name: "a full disk",
  weight: ({ small }) => small === undefined ? 0 : 1,
  run: async (site) => {
    const { small } = site
    if (small === undefined) return
    site.tell(`the disk of ${small.id} is full`)
    const empty = fill(small.directory)
    await someTime(site)
    await sleep(1500)
    empty()
    await restartIfEnded(site, small)
  }
}

/** A node may end itself, as one whose sync failed does; it is started again as a supervisor would. */
const restartIfEnded = async (site: Site, node: ChaosNode): Promise<void> => {
  await sleep(500)
  if (node.alive) return
  site.tally.note("nodes that ended themselves")
  site.tell(`${node.id} ended itself and is started again`)
  await site.cluster.launch(node)
}

const slowSync: Fault = {
  name: "slow syncs",
  weight: ({ tracing }) => tracing ? 1 : 0,
  run: async (site) => {
    const victim = site.random.chance(0.5) ? await leaderOf(site) : anyOf(site)
    const ms = Math.round(site.random.between(5, site.electionTimeoutMs))
    site.tell(`each sync of ${victim.id} takes ${ms} ms more`)
    const mend = await tamperWithSyncs(pidOf(victim.process!), `delay_enter=${ms}ms`)
    await someTime(site)
    await mend()
    await restartIfEnded(site, victim)
  }
}

const failingSync: Fault = {
  name: "a failing sync",
  weight: ({ tracing }) => tracing ? 1 : 0,
  run: async (site) => {
    const victim = site.random.chance(0.5) ? await leaderOf(site) : anyOf(site)
    site.tell(`a sync of ${victim.id} fails`)
    const mend = await tamperWithSyncs(pidOf(victim.process!), "error=EIO:when=1")
    await sleep(site.electionTimeoutMs)
    await mend()
    await restartIfEnded(site, victim)
  }
}

/** Every fault there is. */
export const faults: ReadonlyArray<Fault> = [
  killLeader,
  killAny,
  killAtStart,
  killAll,
  pause,
  partition,
  flap,
  reset,
  fullDisk,
  slowSync,
  failingSync
]

/** One of them, by weight. */
export const drawFault = (site: Site, among: ReadonlyArray<Fault>): Fault => {
  const weights = among.map((fault) => fault.weight(site))
  let left = site.random.next() * weights.reduce((sum, weight) => sum + weight, 0)
  for (const [i, fault] of among.entries()) {
    left -= weights[i] ?? 0
    if (left < 0) return fault
  }
  return killLeader
}
