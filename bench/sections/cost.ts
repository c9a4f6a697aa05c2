/**
 * What it costs to run, as it is published: memory and processor when idle, bytes on disk and on the wire, the time a
 * command takes.
 */
import { execFileSync } from "node:child_process"
import { setTimeout as sleep } from "node:timers/promises"
import { withBundle } from "../clusters/Bundle.ts"
import { etcd, etcdOf } from "../clusters/EtcdCluster.ts"
import { cpuMicros } from "../clusters/Processes.ts"
import { httpOf, ownProgram, servers } from "../clusters/Servers.ts"
import { memoryOf, wireBytes, writtenBytes } from "../clusters/Usage.ts"
import { type Cluster, type Contender, writesBy } from "../Contender.ts"
import type { Options } from "../Options.ts"
import { reporter } from "../report/Report.ts"
import { median, whole } from "../report/Summary.ts"
import { atSite, measured, type Plan, planOf, type Site, steadily, warmUp } from "../Rounds.ts"
import type { Section } from "../Section.ts"
import { findTools } from "../Tools.ts"

const keyBytes = 12
const valueBytes = 256

const idle = async (site: Site, cluster: Cluster, seconds: number): Promise<ReadonlyArray<string>> => {
  await site.wake([cluster])
  const pids = cluster.processes().map(({ pid }) => pid)
  const before = pids.map(cpuMicros)
  await sleep(seconds * 1000)
  const used = pids.map((pid, i) => (cpuMicros(pid) - (before[i] ?? 0)) / seconds / 10_000)
  const memory = pids.map(memoryOf)
  return [
    cluster.name,
    whole(median(memory.map(({ resident }) => resident)) / 1e6),
    whole(median(memory.map(({ anonymous }) => anonymous)) / 1e6),
    median(used).toFixed(1)
  ]
}

const bytesOf = async (site: Site, contender: Contender, ports: () => ReadonlyArray<number>, plan: Plan) => {
  const rows: Array<ReadonlyArray<string>> = []
  for (const clients of plan.warmUp === 0 ? [64] : [1, 64, 256]) {
    const level = writesBy(clients)
    await site.wake(contender.clusters)
    await warmUp(contender, level, plan.warmUp)
    const row = await steadily(contender.clusters, async () => {
      const pids = contender.clusters.flatMap((cluster) => cluster.processes()).map(({ pid }) => pid)
      const [disk, wire] = [pids.map(writtenBytes), wireBytes(ports())]
      const { operations, perSecond } = await measured(contender, level, plan.seconds * 1000)
      await sleep(1500) // what is written behind, such as a checkpoint, is written
      const stored = operations * (keyBytes + valueBytes)
      const onDisk = pids.map((pid, i) => (writtenBytes(pid) - (disk[i] ?? 0)) / stored)
      return [
        String(clients),
        contender.name,
        whole(perSecond),
        onDisk.map((ratio) => ratio.toFixed(1)).join(" / "),
        ((wireBytes(ports()) - wire) / stored).toFixed(2)
      ]
    })
    if (row !== undefined) rows.push(row)
  }
  return rows
}

const timesOf = (count: number, args: ReadonlyArray<string>): ReadonlyArray<number> =>
  Array.from({ length: count }, () => {
    const began = performance.now()
    execFileSync(process.execPath, [...args], { stdio: "ignore" })
    return performance.now() - began
  })

/** How long a command takes, beside one that does nothing. */
const startUps = (endpoint: string, count: number): ReadonlyArray<ReadonlyArray<string>> => {
  const row = (name: string, args: ReadonlyArray<string>) => {
    timesOf(2, args) // the compile cache fills
    const times = timesOf(count, args)
    return [name, whole(median(times)), whole(Math.min(...times)), whole(Math.max(...times))]
  }
  return [
    row("node, an empty program", ["-e", "0"]),
    row("distkv --version", [ownProgram, "--version"]),
    row("distkv status", [ownProgram, "status", "--endpoint", endpoint])
  ]
}

const weigh = async (site: Site, options: Options): Promise<void> => {
  const plan = planOf(options, { seconds: 10 })
  const { print, save } = reporter("cost", cost.title, options)
  const http = servers(site.folderOf("http"))
  const other = findTools().etcd ? etcd(site.folderOf("etcd")) : undefined
  const both: ReadonlyArray<Cluster> = other === undefined ? [http] : [http, other]
  for (const cluster of both) await site.start([cluster])
  const idles: Array<ReadonlyArray<string>> = []
  for (const cluster of both) idles.push(await idle(site, cluster, options.quick ? 1 : 10))
  const bytes = [
    ...await bytesOf(site, httpOf(http, "leader"), http.peerPorts, plan),
    ...other === undefined ? [] : await bytesOf(site, etcdOf(other, "leader"), other.peerPorts, plan)
  ]
  await site.wake([http])
  const starts = startUps(`http://${http.addresses("leader")[0] ?? ""}`, options.quick ? 3 : 20)
  const report = save({
    notes: [
      "CPU per call is in the tables of each load; memory per million keys is in the growth of the data",
      "stored are the 12 bytes of a key and the 256 of its value; the disk's bytes are those of each node, the " +
      "leader's first, the wire's are those of all connections between the nodes together, acknowledgements included",
      "distkv fills the append files of its log in advance, 16 MiB at a time, so its log is written twice, and in a " +
      "short measurement a whole file shows"
    ],
    tables: [
      {
        title: "Idle, without data",
        heads: ["", "resident MB a node", "of it in no file", "% of a processor a node"],
        rows: idles
      },
      {
        title: "Bytes for each byte stored",
        heads: ["clients", "", "writes/s", "on disk, each node", "on the wire, all"],
        rows: bytes
      },
      { title: "From call to end, ms", heads: ["", "median", "least", "most"], rows: starts }
    ],
    charts: [],
    raw: { idles, bytes, starts }
  })
  print(report)
}

export const cost: Section = {
  name: "cost",
  title: "What it costs",
  about: "memory and processor when idle, bytes on disk and on the wire, start-up of a command",
  run: (options) => withBundle(() => atSite(options, (site) => weigh(site, options)))
}
