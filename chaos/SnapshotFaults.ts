/**
 * Nodes that need a snapshot, since the others' logs begin after what they have: how many they took, and what becomes
 * of one that is killed while it takes one.
 *
 * scenario: S02 S06
 */
import type { SettingsInput } from "@distkv/core"
import { existsSync, statSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import type { ChaosNode, Cluster } from "./Cluster.ts"
import { type Fault, kill } from "./Fault.ts"
import { until } from "./Waiting.ts"

const mebi = 1024 * 1024

/** With these a node that was away for a second needs a snapshot, which is then some seconds on its way. */
export const smallLog: SettingsInput = {
  checkpointInterval: "100 millis",
  limits: { logEntries: 10, logBytes: mebi, snapshotBytesPerSecond: 4 * mebi }
}

/** What the snapshots hold at least: so many values of so many bytes. */
export const ballast = { keys: 64, bytes: 128 * 1024 }

/** Counts the snapshots that nodes install; one whose node ends within a look after it is missed. */
export class Installs {
  total = 0
  private readonly seen = new Map<string, { readonly pid: number | undefined; readonly count: number }>()
  private readonly cluster: Cluster

  constructor(cluster: Cluster) {
    this.cluster = cluster
  }

  async look(): Promise<void> {
    await Promise.all(
      this.cluster.nodes.filter((node) => node.serves).map(async (node) => {
        const pid = node.process?.pid
        const { body, status } = await node.ask("GET", "/metrics")
        const [, text] = /^distkv_snapshots_installed_total (\d+)$/m.exec(body) ?? []
        if (status !== 200 || text === undefined || node.process?.pid !== pid) return
        const before = this.seen.get(node.id)
        const count = Number(text)
        this.total += count - (before?.pid === pid ? before?.count ?? 0 : 0)
        this.seen.set(node.id, { pid, count })
      })
    )
  }
}

const isReceiving = (node: ChaosNode): boolean => {
  const file = join(node.directory, "incoming.snapshot")
  return existsSync(file) && (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 0
}

/** The count of nodes that were seen to receive or install a snapshot when they were killed. */
const killed = "nodes killed while they took a snapshot"

export const killAtInstall: Fault = {
  name: "kill a node while it takes a snapshot",
  weight: ({ smallLogs }) => smallLogs ? 3 : 0,
  needs: "the logs have their usual bounds (see --log)",
  effect: killed,
  run: async (site) => {
    const { cluster, random, tally } = site
    const { node: leader } = await cluster.someLeader(30_000)
    const victim = random.pick(cluster.nodes.filter((node) => node !== leader))
    await kill(site, victim, false)
    await sleep(random.between(1000, 2500))
    await cluster.launch(victim)
    const begins = until("a snapshot is on its way", 10_000, () => isReceiving(victim) ? true : undefined, 2)
    if (!await begins.catch(() => false)) return
    await sleep(random.between(0, 1200))
    const isAmid = isReceiving(victim)
    await kill(site, victim, false)
    if (isAmid) tally.note(killed)
    await cluster.launch(victim)
  }
}
