/** What becomes of speed, memory and restart as the data grow. */
import { etcd, etcdOf } from "../clusters/EtcdCluster.ts"
import { httpOf, servers } from "../clusters/Servers.ts"
import { memoryOf, sizeOf } from "../clusters/Usage.ts"
import { type Contender, readsBy, type Restarting, writesBy } from "../Contender.ts"
import type { Options } from "../Options.ts"
import { type Findings, reporter } from "../report/Report.ts"
import { chartsOver, median, type Over, summarize, summaryTable, whole } from "../report/Summary.ts"
import { atSite, type Group, type Measurement, type Plan, planOf, run, type Site } from "../Rounds.ts"
import type { Section } from "../Section.ts"
import { findTools, needWrk } from "../Tools.ts"

/** Memory and disk of a node: the median of the nodes. */
interface Weight {
  readonly residentMb: number
  readonly anonymousMb: number
  readonly diskMb: number
}

/** From the start of all nodes, killed at once, until all listen, and until each answers a linearizable read. */
interface Restart {
  readonly listensSeconds: number
  readonly servesSeconds: number
}

/** What one size of the data costs. */
interface Size {
  readonly name: string
  readonly keys: number
  readonly when: "filled" | "used"
  readonly fillSeconds: number | null
  /** One after the fill; of a used cluster one after each round of the load. */
  readonly weights: ReadonlyArray<Weight>
  readonly restarts: ReadonlyArray<Restart>
}

const mb = 1_000_000

/** The cluster beside which the growing one is measured. */
const smallName = "10,000 keys"

const weigh = (cluster: Restarting): Weight => {
  const memory = cluster.processes().map(({ pid }) => memoryOf(pid))
  return {
    residentMb: median(memory.map(({ resident }) => resident)) / mb,
    anonymousMb: median(memory.map(({ anonymous }) => anonymous)) / mb,
    diskMb: median(cluster.folders().map(sizeOf)) / mb
  }
}

const restart = async (cluster: Restarting): Promise<Restart> => {
  const ids = cluster.ids()
  await Promise.all(ids.map(cluster.kill))
  const began = performance.now()
  await Promise.all(ids.map(cluster.again))
  const listensSeconds = (performance.now() - began) / 1000
  await cluster.serves()
  const servesSeconds = (performance.now() - began) / 1000
  await cluster.ready()
  console.error(`${cluster.name}: serves ${servesSeconds.toFixed(1)} s after its start`)
  return { listensSeconds, servesSeconds }
}

/** In turns, so that what else the machine does falls on all of them alike. */
const restartAll = async (site: Site, clusters: ReadonlyArray<Restarting>, rounds: number) => {
  const restarts = new Map<Restarting, Array<Restart>>(clusters.map((cluster) => [cluster, []]))
  for (let round = 0; round < rounds; round++) {
    for (const cluster of clusters) {
      await site.wake([cluster])
      restarts.get(cluster)?.push(await restart(cluster))
    }
  }
  return restarts
}

const sizeRow = ({ fillSeconds, keys, name, restarts, weights, when }: Size) => {
  const weight = (pick: (weight: Weight) => number) => whole(median(weights.map(pick)))
  const seconds = (pick: (restart: Restart) => number) =>
    restarts.length === 0 ? "" : median(restarts.map(pick)).toFixed(1)
  return [
    whole(keys),
    `${name}, ${when}`,
    fillSeconds === null ? "" : whole(fillSeconds),
    weight(({ residentMb }) => residentMb),
    weight(({ anonymousMb }) => anonymousMb),
    weight(({ diskMb }) => diskMb),
    seconds(({ listensSeconds }) => listensSeconds),
    seconds(({ servesSeconds }) => servesSeconds)
  ]
}

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

const withKeys = (contender: Contender, keys: number): Contender => ({
  ...contender,
  load: (level, ms) => contender.load({ ...level, keys }, ms)
})

const overKeys: Over = {
  label: "keys",
  scale: "log",
  x: ({ label }) => Number(label.split(" ")[0]?.replaceAll(",", "")),
  series: ({ contender }) => contender
}

const fillTo = async (site: Site, cluster: Restarting, keys: number, from: number): Promise<Size> => {
  await site.start([cluster])
  await site.wake([cluster])
  const began = performance.now()
  await cluster.fill(keys, 256, from)
  const fillSeconds = (performance.now() - began) / 1000
  console.error(`${cluster.name}: ${keys} keys after ${fillSeconds.toFixed(1)} s`)
  return { name: cluster.name, keys, when: "filled", fillSeconds, weights: [weigh(cluster)], restarts: [] }
}

const findingsOf = (sizes: ReadonlyArray<Size>, measurements: ReadonlyArray<Measurement>, plan: Plan): Findings => {
  const summaries = summarize(measurements, (name) => name === "etcd" ? "etcd" : smallName)
  const kind = (word: string) => summaries.filter(({ label }) => label.includes(word))
  return {
    notes: [
      `256-byte values, 64 clients at the leader, ${plan.rounds} rounds; ratio: to a cluster of 10,000 keys in the ` +
      "same round",
      "filled: after the keys were written, to nodes that were started again at the size before; used: after each " +
      "round of the load, median",
      `a restart kills all nodes at once, ${plan.rounds} times in turns, median; it is over when each node answers a ` +
      "linearizable read, and a new leader needs an election time-out of 1 s"
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
  }
}

const grow = async (site: Site, options: Options): Promise<void> => {
  const plan = planOf(options, { seconds: 3 })
  const { print, save } = reporter("growth", growth.title, options)
  needWrk("growth")
  const small = servers(site.folderOf("small"), { name: smallName })
  const large = servers(site.folderOf("large"), { name: "http" })
  const other = findTools().etcd ? etcd(site.folderOf("etcd")) : undefined
  const growing: ReadonlyArray<Restarting> = other === undefined ? [large] : [large, other]
  const contenders = [
    httpOf(large, "leader"),
    // It has its own keys whatever the others hold.
    withKeys(httpOf(small, "leader"), 10_000),
    ...other === undefined ? [] : [etcdOf(other, "leader")]
  ]
  const sizes: Array<Size> = []
  const measurements: Array<Measurement> = []
  await site.start([small])
  await small.fill(10_000, 256)
  let before = 0
  for (const keys of options.keys ?? (options.quick ? [20_000] : [10_000, 100_000, 1_000_000, 3_000_000])) {
    for (const cluster of growing) sizes.push(await fillTo(site, cluster, keys, before))
    const groups: ReadonlyArray<Group> = [
      { label: `${whole(keys)} writing`, level: { ...writesBy(64), keys }, contenders },
      { label: `${whole(keys)} reading`, level: { ...readsBy(64, "linearizable"), keys }, contenders }
    ]
    const weights = growing.map((): Array<Weight> => [])
    const after = () => growing.forEach((cluster, i) => weights[i]?.push(weigh(cluster)))
    measurements.push(...await run(site, groups, plan, after))
    const restarts = await restartAll(site, growing, plan.rounds)
    for (const [i, cluster] of growing.entries()) {
      const used = { name: cluster.name, keys, when: "used", fillSeconds: null } as const
      sizes.push({ ...used, weights: weights[i] ?? [], restarts: restarts.get(cluster) ?? [] })
    }
    before = keys
    save(findingsOf(sizes, measurements, plan))
  }
  print(save(findingsOf(sizes, measurements, plan)))
}

export const growth: Section = {
  name: "growth",
  title: "Growth of the data",
  about: "10 thousand to 3 million keys: speed, memory, disk, restart",
  run: (options) => atSite(options, (site) => grow(site, options))
}
