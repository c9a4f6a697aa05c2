/**
 * Everything at once: under load nodes are killed, stopped, cut off and given sick disks, one drawn fault after the
 * other; after each the cluster has to take writes again. At the end the history of all clients is audited.
 */
import { makePrng } from "@distkv/core/testing"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { audit, finalState } from "./Audit.ts"
import { checkBulk } from "./Bulk.ts"
import { Cluster } from "./Cluster.ts"
import { faultsMade, leftOut, uncovered } from "./Coverage.ts"
import { diskFaults } from "./DiskFaults.ts"
import { mountSmall, mountsWork } from "./Disks.ts"
import { type Fault, type Site, Tally } from "./Fault.ts"
import { drawFault, faults } from "./Faults.ts"
import { atLeast, conclude, told } from "./Report.ts"
import { commonHelp, makePlace, numberOf, type Place, readOptions, UsageError } from "./Site.ts"
import { ballast, Installs, smallLog } from "./SnapshotFaults.ts"
import { tracingWorks } from "./Tampering.ts"
import { Violation } from "./Waiting.ts"

const help = `npm run chaos -- [options]: drawn faults under load, then an audit of what the clients saw

  --minutes N            how long faults are made (default 2)
  --kills N              end earlier, when so many kills were made
  --writes N             writes a second that the clients aim at (default 2000)
  --log KIND             small: logs so short that a node that was away for some seconds needs a snapshot; usual: as
                         the program keeps them; drawn from the seed unless told
  --only TEXT            only faults whose name contains it, such as "kill"
${commonHelp}`

const options = {
  minutes: { type: "string", default: "2" },
  kills: { type: "string" },
  writes: { type: "string", default: "2000" },
  log: { type: "string" },
  only: { type: "string", default: "" }
} as const

const timeoutMs = 1000
/** A client waits a little longer than its call's deadline; a busy machine a little more. */
const settledWithinMs = timeoutMs + 4000
const fewestKeptPerSecond = 500
const smallDiskMebibytes = 1024
/** After so many faults a node must have needed a snapshot where logs are small. */
const manyFaults = 20

/** Whether the logs are short: as told, else in half of the runs. */
const wantsSmallLogs = (kind: string | undefined, { seed }: Place): boolean => {
  if (kind !== undefined && kind !== "small" && kind !== "usual") throw new UsageError("--log is small or usual")
  return kind === undefined ? makePrng(seed).chance(0.5) : kind === "small"
}

const prepare = async (place: Place, smallLogs: boolean): Promise<Site> => {
  const mounts = mountsWork(place.directory)
  const smallId = `n${place.nodes}`
  if (mounts) mountSmall(join(place.directory, smallId), smallDiskMebibytes)
  // The whole disk would otherwise have to have the reserve that is the default.
  const flags = ["--disk-reserve", String(16 * 1024 * 1024)]
  const cluster = await Cluster.start({ ...place, flags, settings: smallLogs ? smallLog : undefined })
  return {
    cluster,
    random: makePrng(place.seed),
    tally: new Tally(),
    electionTimeoutMs: place.electionTimeoutMs,
    small: mounts ? cluster.nodes.find(({ id }) => id === smallId) : undefined,
    tracing: tracingWorks(),
    smallLogs,
    tell: (text) => process.env["CHAOS_QUIET"] === undefined && console.log(`  ${text}`)
  }
}

/** Waits until so many writes more are acknowledged. */
const writesGoOn = (cluster: Cluster, count: number, limitMs: number): Promise<void> =>
  new Promise((resolve, reject) => {
    let left = count
    const done = cluster.listen(({ input, outcome }) => {
      if (input.op === "get" || outcome._tag !== "Answered" || --left > 0) return
      clearTimeout(timer)
      done()
      resolve()
    })
    const timer = setTimeout(() => {
      done()
      reject(new Violation(`no ${count} writes are acknowledged within ${limitMs / 1000} s after the fault`))
    }, limitMs)
  })

const acknowledged = (cluster: Cluster): number =>
  cluster.calls.filter(({ input, outcome }) => input.op !== "get" && outcome._tag === "Answered").length

/** Makes faults until the time or the number of kills is reached. */
const misbehave = async (
  site: Site,
  among: ReadonlyArray<Fault>,
  untilMs: number,
  kills: number
): Promise<void> => {
  const { cluster, random, tally } = site
  let epoch = 0
  while (performance.now() < untilMs && tally.kills < kills) {
    const fault = drawFault(site, among)
    if (fault === undefined) throw new Violation("no fault that was asked for can be made on this machine")
    tally.note(fault.name)
    await fault.run(site)
    await writesGoOn(cluster, 50, 30_000)
    await sleep(random.between(0, 500))
    // A shared key's history stays short, or the search for its order would not end.
    epoch++
    for (const node of cluster.nodes) node.tell({ _tag: "Epoch", epoch })
  }
}

/** What is wrong with what the nodes hold in the end, and with what the clients saw. */
const settle = async ({ cluster, smallLogs }: Site): Promise<ReadonlyArray<string>> => {
  const final = await finalState(cluster, "bulk0")
  const { bytes, keys } = smallLogs ? ballast : { keys: 0, bytes: 0 }
  const bulk = await Promise.all(cluster.nodes.map((node) => checkBulk(node, keys, bytes)))
  const besides = bulk[0]?.revisions
  return [
    ...bulk.flatMap(({ problems }) => problems),
    ...audit(cluster.calls, { ...final, besides }, settledWithinMs)
  ]
}

export const mixed = async (args: ReadonlyArray<string>): Promise<void> => {
  const values = readOptions(args, options, help)
  if (values === undefined) return
  const among = faults.filter(({ name }) => name.includes(values.only))
  if (among.length === 0) {
    throw new UsageError(
      `no fault's name contains ${values.only}: there are ${faults.map(({ name }) => name).join(", ")}`
    )
  }
  const place = makePlace(values)
  const smallLogs = wantsSmallLogs(values.log, place)
  console.log(`  logs: ${smallLogs ? "small" : "usual"}`)
  const site = await prepare(place, smallLogs)
  const missing = leftOut(site, among)
  for (const one of missing) console.log(`  left out: ${one}`)
  const { cluster, tally } = site
  const installs = new Installs(cluster)
  if (smallLogs) await cluster.nodes[0]?.fill(ballast.keys, ballast.bytes)
  const looking = setInterval(() => void installs.look(), 500)
  const began = performance.now()
  const perNode = numberOf(values.writes, "writes") / place.nodes
  cluster.load({ clients: 24, writesPerSecond: perNode, shared: 0.4, timeoutMs, seed: place.seed })
  const problems: Array<string> = []
  try {
    await writesGoOn(cluster, 200, 30_000)
    const kills = values.kills === undefined ? Infinity : numberOf(values.kills, "kills")
    await misbehave(site, among, began + numberOf(values.minutes, "minutes") * 60_000, kills)
    problems.push(...uncovered(site, among))
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error))
  }
  const seconds = (performance.now() - began) / 1000
  const isHard = smallLogs || among.some((fault) => diskFaults.includes(fault))
  const writes = acknowledged(cluster)
  cluster.network.heal()
  try {
    for (const node of cluster.nodes) if (!node.alive) await cluster.launch(node)
    await cluster.rest()
    await cluster.allVote(60_000)
    problems.push(...await settle(site))
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error))
  }
  clearInterval(looking)
  if (problems.length > 0) place.keep()
  const of = (tag: string) => cluster.calls.filter(({ outcome }) => outcome._tag === tag).length
  conclude({
    command: "mixed",
    seed: place.seed,
    seconds,
    figures: [
      told("nodes", place.nodes, ""),
      told("kills", tally.kills, ""),
      told("of them of the leader", tally.kills === 0 ? 0 : 100 * tally.killsOfLeaders / tally.kills, "%"),
      // With sick disks a cluster is meant to stop now and then, and snapshots take their time.
      isHard
        ? told("acknowledged writes", writes / seconds, "/s")
        : atLeast("acknowledged writes", writes / seconds, fewestKeptPerSecond, "/s"),
      told("acknowledged writes", writes, ""),
      told("calls answered", of("Answered"), ""),
      told("calls refused for sure", of("Refused"), ""),
      told("writes of unknown outcome", of("Unknown"), ""),
      smallLogs && faultsMade(site, among) >= manyFaults
        ? atLeast("snapshots installed", installs.total, 1, "")
        : told("snapshots installed", installs.total, "")
    ],
    counts: Object.fromEntries(tally.counts),
    problems,
    leftOut: missing
  })
}
