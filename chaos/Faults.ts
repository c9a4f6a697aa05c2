/**
 * What is done to a cluster, one fault at a time or one on top of another; each one cleans up after itself.
 *
 * scenario: K01 K02 P01 P03 P04 P08 P10 P14
 */
import { setTimeout as sleep } from "node:timers/promises"
import type { ChaosNode } from "./Cluster.ts"
import { diskFaults } from "./DiskFaults.ts"
import { anyOf, type Fault, kill, leaderOf, type Site, someTime } from "./Fault.ts"
import { end } from "./Processes.ts"
import { killAtInstall } from "./SnapshotFaults.ts"

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
  effect: "connections that were ended",
  run: async (site) => {
    const { reset } = site.cluster.network
    for (let round = 0; round < 10; round++) {
      const [a, b] = site.random.shuffle(site.cluster.nodes)
      if (a !== undefined && b !== undefined && reset !== null) {
        site.tally.note("connections that were ended", reset(a.index, b.index))
      }
      await sleep(site.random.between(0, 300))
    }
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
  killAtInstall,
  ...diskFaults
]

/**
 * One of them, by weight; every other time, one that has not been drawn before while there is one. Undefined where none
 * can be made.
 */
export const drawFault = (site: Site, among: ReadonlyArray<Fault>): Fault | undefined => {
  const possible = among.filter((fault) => fault.weight(site) > 0)
  const fresh = possible.filter(({ name }) => site.tally.of(name) === 0)
  const drawn = fresh.length > 0 && site.random.chance(0.5) ? fresh : possible
  let left = site.random.next() * drawn.reduce((sum, fault) => sum + fault.weight(site), 0)
  return drawn.find((fault) => (left -= fault.weight(site)) < 0) ?? drawn.at(-1)
}
