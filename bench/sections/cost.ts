/**
 * What it costs to run, as it is published: memory and processor when idle, bytes on disk and on the wire, the time a
 * command takes.
 */
import { execFileSync } from "node:child_process"
import { rmSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { fromSources } from "../clusters/Bundle.ts"
import { etcd, etcdOf } from "../clusters/EtcdCluster.ts"
import { cpuMicros, end, start } from "../clusters/Processes.ts"
import { httpOf, ownProgram, servers } from "../clusters/Servers.ts"
import { memoryOf, wireBytes, writtenBytes } from "../clusters/Usage.ts"
import { type Cluster, type Contender, writesBy } from "../Contender.ts"
import type { Options } from "../Options.ts"
import { type Findings, reporter } from "../report/Report.ts"
import { median, whole } from "../report/Summary.ts"
import { atSite, measured, type Plan, planOf, type Site, steadily, warmUp } from "../Rounds.ts"
import type { Section } from "../Section.ts"
import { findTools, needWrk } from "../Tools.ts"

const keyBytes = 12
const valueBytes = 256

/** What a cluster without a load uses, once for each time it was looked at. */
interface Idle {
  readonly cluster: string
  readonly residentMb: number
  readonly anonymousMb: number
  /** Per cent of a processor, the median of the nodes. */
  readonly percent: number
}

const idle = async (site: Site, cluster: Cluster, seconds: number): Promise<Idle> => {
  await site.wake([cluster])
  const pids = cluster.processes().map(({ pid }) => pid)
  const before = pids.map(cpuMicros)
  await sleep(seconds * 1000)
  const used = pids.map((pid, i) => (cpuMicros(pid) - (before[i] ?? 0)) / seconds / 10_000)
  const memory = pids.map(memoryOf)
  return {
    cluster: cluster.name,
    residentMb: median(memory.map(({ resident }) => resident)) / 1e6,
    anonymousMb: median(memory.map(({ anonymous }) => anonymous)) / 1e6,
    percent: median(used)
  }
}

/** What a load at one number of clients wrote and sent, for each byte stored. */
interface Bytes {
  readonly clients: number
  readonly contender: string
  readonly perSecond: number
  /** To the disk, by node, the leader first. */
  readonly onDisk: ReadonlyArray<number>
  readonly onWire: number
}

/** One that is weighed while it writes. */
interface Weighed {
  readonly contender: Contender
  readonly ports: () => ReadonlyArray<number>
}

const bytesOf = async (
  site: Site,
  { contender, ports }: Weighed,
  clients: number,
  { seconds, warmUp: warmSeconds }: Pick<Plan, "seconds" | "warmUp">
): Promise<Bytes | undefined> => {
  const level = writesBy(clients)
  await site.wake(contender.clusters)
  await warmUp(contender, level, warmSeconds)
  return steadily(contender.clusters, async () => {
    const pids = contender.clusters.flatMap((cluster) => cluster.processes()).map(({ pid }) => pid)
    const [disk, wire] = [pids.map(writtenBytes), wireBytes(ports())]
    const { operations, perSecond } = await measured(contender, level, seconds * 1000)
    await sleep(1500) // what is written behind, such as a checkpoint, is written
    const stored = operations * (keyBytes + valueBytes)
    return {
      clients,
      contender: contender.name,
      perSecond,
      onDisk: pids.map((pid, i) => (writtenBytes(pid) - (disk[i] ?? 0)) / stored),
      onWire: (wireBytes(ports()) - wire) / stored
    }
  })
}

/** Groups in the order in which they first appear. */
const by = <A>(
  all: ReadonlyArray<A>,
  key: (one: A) => string
): ReadonlyArray<ReadonlyArray<A>> => [...Map.groupBy(all, key).values()]

const idleRow = (all: ReadonlyArray<Idle>) => [
  all[0]?.cluster ?? "",
  whole(median(all.map(({ residentMb }) => residentMb))),
  whole(median(all.map(({ anonymousMb }) => anonymousMb))),
  median(all.map(({ percent }) => percent)).toFixed(1)
]

const bytesRow = (all: ReadonlyArray<Bytes>) => {
  const wire = all.map(({ onWire }) => onWire)
  const disk = (all[0]?.onDisk ?? []).map((_, node) => median(all.map(({ onDisk }) => onDisk[node] ?? Number.NaN)))
  return [
    String(all[0]?.clients),
    all[0]?.contender ?? "",
    whole(median(all.map(({ perSecond }) => perSecond))),
    disk.map((ratio) => ratio.toFixed(1)).join(" / "),
    median(wire).toFixed(2),
    `${Math.min(...wire).toFixed(2)}–${Math.max(...wire).toFixed(2)}`
  ]
}

const timeOf = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}): number => {
  const began = performance.now()
  execFileSync(process.execPath, [...args], { stdio: "ignore", env: { ...process.env, ...env } })
  return performance.now() - began
}

/** From the start of a node on an empty directory, keys and all, until it has founded a cluster and is ready. */
const firstStart = async (folder: string): Promise<number> => {
  const began = performance.now()
  const listening = ["--raft", "127.0.0.1:0", "--http", "127.0.0.1:0"]
  const args = [ownProgram, "start", "--json", "--log-level", "none", "--bootstrap", "--data-dir", folder, ...listening]
  const child = start(process.execPath, args, { stdio: ["ignore", "pipe", "ignore"] })
  await new Promise((resolve, reject) => {
    child.stdout?.once("data", resolve) // its one line, when every check of readiness holds
    child.once("exit", (code) => reject(new Error(`distkv start ended with ${String(code)}`)))
  })
  const ms = performance.now() - began
  await end(child)
  rmSync(folder, { recursive: true, force: true })
  return ms
}

/** How long commands take, in turns, beside one that does nothing. */
const startUps = async (site: Site, endpoint: string, rounds: number) => {
  const status = [ownProgram, "status", "--endpoint", endpoint]
  const commands: ReadonlyArray<readonly [name: string, time: () => number | Promise<number>]> = [
    ["node, an empty program", () => timeOf(["-e", "0"])],
    ["distkv --version", () => timeOf([ownProgram, "--version"])],
    ["distkv status", () => timeOf(status)],
    ["distkv status, from the sources", () => timeOf(status, fromSources)],
    ["distkv start on an empty directory, until ready", () => firstStart(site.folderOf("first"))]
  ]
  const times = commands.map((): Array<number> => [])
  for (let round = -1; round < rounds; round++) { // in the first of them the compile cache fills
    for (const [i, [, time]] of commands.entries()) {
      const ms = await time()
      if (round >= 0) times[i]?.push(ms)
    }
  }
  return commands.map(([name], i) => ({ name, ms: times[i] ?? [] }))
}

const weighBytes = async (site: Site, all: ReadonlyArray<Weighed>, plan: Plan): Promise<ReadonlyArray<Bytes>> => {
  const found: Array<Bytes> = []
  for (const clients of plan.warmUp === 0 ? [64] : [1, 64, 256]) {
    for (let round = 0; round < plan.rounds; round++) {
      for (const position of all.keys()) {
        const one = all[(position + round) % all.length]
        const seconds = { seconds: plan.seconds, warmUp: round === 0 ? plan.warmUp : Math.min(1, plan.warmUp) }
        const bytes = one === undefined ? undefined : await bytesOf(site, one, clients, seconds)
        if (bytes === undefined) continue
        console.error(`round ${round + 1}, ${clients}, ${bytes.contender}: ${whole(bytes.perSecond)}/s`)
        found.push(bytes)
      }
    }
  }
  return found
}

const findingsOf = (
  rounds: number,
  idles: ReadonlyArray<Idle>,
  bytes: ReadonlyArray<Bytes>,
  starts: Awaited<ReturnType<typeof startUps>>
): Findings => ({
  notes: [
    "CPU per call is in the tables of each load; memory per million keys is in the growth of the data",
    `medians of ${rounds} rounds, in each of which everybody has a turn`,
    "stored are the 12 bytes of a key and the 256 of its value; the disk's bytes are those of each node, the " +
    "leader's first, the wire's are those of all connections between the nodes together, acknowledgements included",
    "distkv fills the append files of its log in advance, 16 MiB at a time, so its log is written twice, and in a " +
    "short measurement a whole file shows"
  ],
  tables: [
    {
      title: "Idle, without data",
      heads: ["", "resident MB a node", "of it in no file", "% of a processor a node"],
      rows: by(idles, ({ cluster }) => cluster).map(idleRow)
    },
    {
      title: "Bytes for each byte stored",
      heads: ["clients", "", "writes/s", "on disk, each node", "on the wire, all", "least–most"],
      rows: by(bytes, ({ clients, contender }) => `${clients} ${contender}`).map(bytesRow)
    },
    {
      title: "From call to end, ms",
      heads: ["", "median", "least", "most"],
      rows: starts.map(({ ms, name }) => [name, ...[median(ms), Math.min(...ms), Math.max(...ms)].map(whole)])
    }
  ],
  charts: [],
  raw: { idles, bytes, starts }
})

const weigh = async (site: Site, options: Options): Promise<void> => {
  const plan = planOf(options, { seconds: 4 })
  needWrk("cost")
  const { print, save } = reporter("cost", cost.title, options)
  const http = servers(site.folderOf("http"))
  const other = findTools().etcd ? etcd(site.folderOf("etcd")) : undefined
  const both: ReadonlyArray<Cluster> = other === undefined ? [http] : [http, other]
  for (const cluster of both) await site.start([cluster])
  const idles: Array<Idle> = []
  for (let round = 0; round < plan.rounds; round++) {
    for (const cluster of both) idles.push(await idle(site, cluster, options.quick ? 1 : 5))
  }
  const weighed: ReadonlyArray<Weighed> = [
    { contender: httpOf(http, "leader"), ports: http.peerPorts },
    ...other === undefined ? [] : [{ contender: etcdOf(other, "leader"), ports: other.peerPorts }]
  ]
  const bytes = await weighBytes(site, weighed, plan)
  await site.wake([http])
  const endpoint = `http://${http.addresses("leader")[0] ?? ""}`
  const starts = await startUps(site, endpoint, options.quick ? 3 : 15)
  print(save(findingsOf(plan.rounds, idles, bytes, starts)))
}

export const cost: Section = {
  name: "cost",
  title: "What it costs",
  about: "memory and processor when idle, bytes on disk and on the wire, start-up of a command",
  run: (options) => atSite(options, (site) => weigh(site, options))
}
