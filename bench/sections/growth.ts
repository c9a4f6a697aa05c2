/** What becomes of speed, memory and restart as the data grow. */
import { withBundle } from "../clusters/Bundle.ts"
import { etcd, etcdOf } from "../clusters/EtcdCluster.ts"
import { httpOf, type Servers, servers } from "../clusters/Servers.ts"
import { memoryOf, sizeOf } from "../clusters/Usage.ts"
import { type Cluster, readsBy, writesBy } from "../Contender.ts"
import type { Options } from "../Options.ts"
import { reporter } from "../report/Report.ts"
import { chartsOver, median, type Over, summarize, summaryTable, whole } from "../report/Summary.ts"
import { atSite, type Group, type Measurement, planOf, run, type Site } from "../Rounds.ts"
import type { Section } from "../Section.ts"
import { findTools } from "../Tools.ts"

/** What one size of the data costs, per node. */
interface Size {
  readonly name: string
  readonly keys: number
  readonly fillSeconds: number
  readonly residentMb: number
  readonly anonymousMb: number
  readonly diskMb: number
  /** From the start of all nodes, killed at once, until they listen, and until they agree on a leader. */
  readonly restart: { readonly listensSeconds: number; readonly servesSeconds: number } | null
}

const mb = 1_000_000

const weigh = (cluster: Cluster & { readonly folders: () => ReadonlyArray<string> }) => {
  const memory = cluster.processes().map(({ pid }) => memoryOf(pid))
  return {
    residentMb: median(memory.map(({ resident }) => resident)) / mb,
    anonymousMb: median(memory.map(({ anonymous }) => anonymous)) / mb,
    diskMb: median(cluster.folders().map(sizeOf)) / mb
  }
}

const restart = async (cluster: Servers): Promise<Size["restart"]> => {
  const ids = cluster.ids()
  await Promise.all(ids.map(cluster.kill))
  const began = performance.now()
  await Promise.all(ids.map(cluster.again))
  const listensSeconds = (performance.now() - began) / 1000
  await cluster.ready()
  return { listensSeconds, servesSeconds: (performance.now() - began) / 1000 }
}

const sizeRow = ({ anonymousMb, diskMb, fillSeconds, keys, name, residentMb, restart }: Size) => [
  whole(keys),
  name,
  whole(fillSeconds),
  whole(residentMb),
  whole(anonymousMb),
  whole(diskMb),
  restart === null ? "" : restart.listensSeconds.toFixed(1),
  restart === null ? "" : restart.servesSeconds.toFixed(1)
]

const sizeHeads = [
  "keys",
  "",
  "filled in s",
  "resident MB a node",
  "of it in no file",
  "on disk MB a node",
  "restart: listens s",
  "serves s"
]

const overKeys: Over = {
  label: "keys",
  scale: "log",
  x: ({ label }) => Number(label.split(" ")[0]?.replaceAll(",", "")),
  series: ({ contender }) => contender
}

const grow = async (site: Site, options: Options): Promise<void> => {
  const plan = planOf(options, { rounds: 3, seconds: 3 })
  const { print, save } = reporter("growth", growth.title, options)
  const [small, large] = [
    servers(site.folderOf("small"), { name: "10,000 keys" }),
    servers(site.folderOf("large"), { name: "http" })
  ]
  const other = findTools().etcd ? etcd(site.folderOf("etcd")) : undefined
  const sizes: Array<Size> = []
  const measurements: Array<Measurement> = []
  await site.start([small])
  await small.fill(10_000, 256)
  const report = () => {
    const summaries = summarize(measurements, (name) => name === "etcd" ? "etcd" : small.name)
    const kind = (word: string) => summaries.filter(({ label }) => label.includes(word))
    return save({
      notes: [
        "256-byte values, 64 clients at the leader; ratio: to a cluster of 10,000 keys in the same round",
        "a restart kills all nodes at once; a new leader needs an election time-out of 1 s"
      ],
      tables: [
        summaryTable("Speed", "keys", summaries),
        { title: "Memory, disk and restart", heads: sizeHeads, rows: sizes.map(sizeRow) }
      ],
      charts: [
        ...chartsOver("growth-writes", "Writes by 64 clients", overKeys, kind("writing")),
        ...chartsOver("growth-reads", "Linearizable reads by 64 clients", overKeys, kind("reading"))
      ],
      raw: { sizes, measurements }
    })
  }
  let before = 0
  for (const keys of options.keys ?? (options.quick ? [20_000] : [10_000, 100_000, 1_000_000, 3_000_000])) {
    const filled = other === undefined ? [large] : [large, other]
    for (const cluster of filled) {
      await site.start([cluster])
      await site.wake([cluster])
      const began = performance.now()
      await cluster.fill(keys, 256, before)
      const fillSeconds = (performance.now() - began) / 1000
      console.error(`${cluster.name}: ${keys} keys after ${fillSeconds.toFixed(1)} s`)
      sizes.push({ name: cluster.name, keys, fillSeconds, ...weigh(cluster), restart: null })
    }
    const contenders = [
      httpOf(large, "leader"),
      httpOf(small, "leader"),
      ...other === undefined ? [] : [etcdOf(other, "leader")]
    ]
    const label = (what: string) => `${whole(keys)} ${what}`
    const groups: ReadonlyArray<Group> = [
      { label: label("writing"), level: { ...writesBy(64), keys }, contenders },
      { label: label("reading"), level: { ...readsBy(64, "linearizable"), keys }, contenders }
    ]
    // The small cluster has its own keys whatever the others hold.
    const own = contenders.map((one) =>
      one.clusters.includes(small)
        ? { ...one, load: (level: Group["level"], ms: number) => one.load({ ...level, keys: 10_000 }, ms) }
        : one
    )
    measurements.push(
      ...await run(site, groups.map((group) => ({ ...group, contenders: own })), plan, () => undefined)
    )
    await site.wake([large])
    sizes.push({ name: "http, used", keys, fillSeconds: 0, ...weigh(large), restart: await restart(large) })
    before = keys
    report()
  }
  print(report())
}

export const growth: Section = {
  name: "growth",
  title: "Growth of the data",
  about: "10 thousand to 3 million keys: speed, memory, disk, restart",
  run: (options) => withBundle(() => atSite(options, (site) => grow(site, options)))
}
