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

/**
 * With these a node that was away for some seconds needs a snapshot, which is then some seconds on its way, however
 * long a run lasts: history, which would let it grow, is short. The log, which may have 32 times its bounds for the
 * sake of a follower, holds what comes meanwhile; else the node would need the next one before it had this one, for
 * ever.
 */
export const smallLog: SettingsInput = {
  checkpointInterval: "100 millis",
  limits: { logEntries: 1000, logBytes: mebi, historyRevisions: 1000, snapshotBytesPerSecond: 4 * mebi }
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

const numberIn = (metrics: string, name: string): number =>
  Number(new RegExp(`^${name} (\\d+)$`, "m").exec(metrics)?.[1] ?? Number.NaN)

/** How far a node has committed, and before which index its log has nothing any more. */
const logOf = async (node: ChaosNode): Promise<{ readonly committed: number; readonly begins: number }> => {
  const { body } = await node.ask("GET", "/metrics")
  const committed = numberIn(body, "distkv_raft_proposals_committed_index")
  return { committed, begins: committed - numberIn(body, "distkv_raft_log_entries") }
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
    const { committed } = await logOf(leader)
    const needsOne = until(
      `${victim.id} needs a snapshot`,
      10_000,
      async () => (await logOf(leader)).begins > committed ? true : undefined
    )
    // Another may be behind as well, and the log be kept for its sake.
    const isBehind = await needsOne.catch(() => false)
    await cluster.launch(victim)
    if (!isBehind) return
    const begins = until("a snapshot is on its way", 10_000, () => isReceiving(victim) ? true : undefined, 2)
    if (!await begins.catch(() => false)) return
    await sleep(random.between(0, 1200))
    const isAmid = isReceiving(victim)
    await kill(site, victim, false)
    if (isAmid) tally.note(killed)
    await cluster.launch(victim)
  }
}
