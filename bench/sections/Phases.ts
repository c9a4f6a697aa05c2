/** What else goes on in a cluster under a load: phases, each of one part or several that follow each other. */
import { setTimeout as sleep } from "node:timers/promises"
import type { Servers } from "../clusters/Servers.ts"
import { longLimitMs, until } from "../clusters/Waiting.ts"

export interface Phase {
  readonly name: string
  /** What each part is called in the table. */
  readonly parts: ReadonlyArray<string>
  /** Before the load begins. */
  readonly prepare?: (cluster: Servers) => Promise<void>
  /** Goes on beside the load, `ms` long where nothing else decides it; `next` begins the next part. */
  readonly besides: (cluster: Servers, ms: number, next: () => Promise<void>) => Promise<void>
}

/** A node's metrics by their names, without `distkv_`. */
export const metricsOf = async (address: string): Promise<ReadonlyMap<string, number>> => {
  const text = await (await fetch(`http://${address}/metrics`)).text()
  return new Map([...text.matchAll(/^distkv_(\S+) (\S+)$/gm)].map(([, name = "", value]) => [name, Number(value)]))
}

const download = async (address: string): Promise<void> => {
  const response = await fetch(`http://${address}/v1/snapshot`)
  if (!response.ok || response.body === null) throw new Error(`no snapshot: ${response.status}`)
  const pieces = response.body.getReader()
  while (!(await pieces.read()).done);
}

/** Fewer entries than a follower under load is behind anyway. */
const littleLag = 500

const lagOf = async (leader: string, id: string): Promise<number> => {
  const response = await fetch(`http://${leader}/v1/cluster`)
  const { members } = await response.json() as {
    readonly members: ReadonlyArray<{ readonly id: string; readonly lag: number | null }>
  }
  return members.find((member) => member.id === id)?.lag ?? Number.POSITIVE_INFINITY
}

/** Starts a follower that was killed, and answers when it has what it missed. */
const bringBack = async (cluster: Servers, id: string): Promise<void> => {
  await cluster.again(id)
  const leader = cluster.addresses("leader")[0] ?? ""
  const behind = async () => await lagOf(leader, id) < littleLag ? true : undefined
  await until(`${id} catches up`, behind, { limitMs: longLimitMs })
}

export const alone: Phase = { name: "alone", parts: ["nothing besides"], besides: (_, ms) => sleep(ms) }

export const snapshots: Phase = {
  name: "snapshots",
  parts: ["snapshots of the leader, one after the other"],
  besides: async (cluster, ms) => {
    const ends = performance.now() + ms
    while (performance.now() < ends) await download(cluster.addresses("leader")[0] ?? "")
  }
}

const lastOf = (cluster: Servers) => cluster.ids().at(-1) ?? ""

export const catchUp: Phase = {
  name: "catch-up",
  parts: ["two of three nodes", "the third starts and catches up from the log", "all three again"],
  besides: async (cluster, ms, next) => {
    const follower = lastOf(cluster)
    await cluster.kill(follower)
    await sleep(ms / 2)
    await next()
    await bringBack(cluster, follower)
    await next()
    await sleep(ms / 2)
  }
}

/** What the large values of a state are made of. */
const bulkBytes = 256 * 1024

/** More than the log keeps, so that who missed it needs a snapshot. */
export const leastMissed = 96 * 2 ** 20

/**
 * A follower is away while so many bytes are written, and gets a snapshot of the state. The bytes are in keys beyond
 * the first `keys`; only what has to be missed is written again where they are there already.
 */
export const install = (keys: number, stateBytes: number): Phase => {
  let isThere = false
  return {
    name: "install",
    parts: [
      "two of three nodes, with that state",
      "the third installs a snapshot of it",
      "all three again, with that state"
    ],
    prepare: async (cluster) => {
      await cluster.kill(lastOf(cluster))
      await cluster.fill(keys + Math.ceil((isThere ? leastMissed : stateBytes) / bulkBytes), bulkBytes, keys)
      isThere = true
    },
    besides: async (cluster, ms, next) => {
      const follower = lastOf(cluster)
      await sleep(ms / 2)
      await next()
      await bringBack(cluster, follower)
      await next()
      const address = cluster.addresses("all").at(-1) ?? ""
      const installed = (await metricsOf(address)).get("snapshots_installed_total") ?? 0
      if (installed === 0) throw new Error(`${follower} caught up without a snapshot`)
      await sleep(ms / 2)
    }
  }
}
