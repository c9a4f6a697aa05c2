/** What the slowest calls cost while a node does something else besides: calls at a fixed rate, phase after phase. */
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { fromSources } from "../clusters/Bundle.ts"
import { httpOf, type Servers, servers } from "../clusters/Servers.ts"
import { type Latency, writesBy } from "../Contender.ts"
import { openLoad } from "../load/OpenLoad.ts"
import type { OpenLoop, Part } from "../load/OpenLoop.ts"
import { latencyOf, merged } from "../load/Percentiles.ts"
import type { Options } from "../Options.ts"
import { type Findings, reporter } from "../report/Report.ts"
import { median, millis, whole } from "../report/Summary.ts"
import { atSite, type Plan, planOf, type Site, steadily, warmUp } from "../Rounds.ts"
import type { Section } from "../Section.ts"
import { needWrk } from "../Tools.ts"
import { alone, catchUp, install, leastMissed, metricsOf, type Phase, snapshots } from "./Phases.ts"

const rarely = fileURLToPath(new URL("../clusters/rareCheckpoints.ts", import.meta.url))

/** What went on in one part of a phase in one round. */
interface Row extends Omit<Part, "latencies"> {
  readonly name: string
  readonly round: number
  /** Calls due a second. */
  readonly due: number
  readonly latency: Latency
  /** The leader's event loop, milliseconds: its delays' 99th percentile and the highest quantile there is. */
  readonly loopP99: number
  readonly longestPause: number
  /** That ended meanwhile, of all nodes that run. */
  readonly checkpoints: number
}

/** What the nodes' metrics say; the delays are those since the last look. */
const look = async (cluster: Servers) => {
  const all = await Promise.all(cluster.addresses("all").map((address) => metricsOf(address).catch(() => undefined)))
  const delays = [...all[0] ?? []].filter(([name]) => name.startsWith("event_loop_delay_seconds"))
    .map(([name, seconds]) => [name, 1000 * seconds] as const)
  return {
    loopP99: delays.find(([name]) => name.includes(`"0.99"`))?.[1] ?? Number.NaN,
    longestPause: Math.max(...delays.map(([, ms]) => ms)),
    checkpoints: all.map((one) => one?.get("storage_checkpoints_total"))
  }
}

/** A load of this cluster's leader. */
const due = (cluster: Servers, perSecond: number, keys: number): OpenLoop => ({
  address: cluster.addresses("leader")[0] ?? "",
  connections: 256,
  perSecond,
  keys,
  valueBytes: 256
})

/** Writes a second when more are due than can be served. */
const peakOf = async (cluster: Servers, keys: number, ms: number): Promise<number> => {
  const load = openLoad(due(cluster, 200_000, keys))
  await sleep(ms)
  const [part] = await load.end()
  return part === undefined ? Number.NaN : part.operations / part.seconds
}

/** One phase beside a load: a row for each of its parts. */
const beside = async (
  cluster: Servers,
  { besides, parts, prepare }: Phase,
  plan: OpenLoop,
  ms: number
): Promise<ReadonlyArray<Omit<Row, "name" | "round">>> => {
  await prepare?.(cluster)
  let before = await look(cluster)
  const looks: Array<Pick<Row, "loopP99" | "longestPause" | "checkpoints">> = []
  const lookAgain = async () => {
    const now = await look(cluster)
    const made = now.checkpoints.map((count, i) => Math.max(0, (count ?? 0) - (before.checkpoints[i] ?? count ?? 0)))
    looks.push({ ...now, checkpoints: made.reduce((sum, count) => sum + count, 0) })
    before = now
  }
  const load = openLoad(plan)
  await besides(cluster, ms, async () => {
    load.next()
    await lookAgain()
  })
  const done = await load.end()
  await lookAgain()
  return parts.flatMap((_, i) => {
    const [part, seen] = [done[i], looks[i]]
    if (part === undefined || seen === undefined) return []
    const { latencies, ...counts } = part
    return [{ due: plan.perSecond, ...counts, latency: latencyOf(merged([latencies])), ...seen }]
  })
}

const heads = [
  "what goes on",
  "calls due/s",
  "calls/s",
  "seconds",
  "p50 ms",
  "p99",
  "least–most",
  "p99.9",
  "longest",
  "event loop p99 ms",
  "longest pause",
  "checkpoints",
  "errors"
]

const rowOf = (rows: ReadonlyArray<Row>) => {
  const of = (pick: (row: Row) => number) => median(rows.map(pick))
  const p99 = rows.map(({ latency }) => latency.p99)
  const failed = rows.reduce((sum, { errors }) => sum + errors, 0)
  const unsent = rows.reduce((sum, { unsent }) => sum + unsent, 0)
  return [
    rows[0]?.name ?? "",
    whole(of(({ due }) => due)),
    whole(of(({ operations, seconds }) => operations / seconds)),
    of(({ seconds }) => seconds).toFixed(1),
    millis(of(({ latency }) => latency.p50)),
    millis(of(({ latency }) => latency.p99)),
    `${millis(Math.min(...p99))}–${millis(Math.max(...p99))}`,
    millis(of(({ latency }) => latency.p999)),
    millis(Math.max(...rows.map(({ latency }) => latency.max))),
    millis(of(({ loopP99 }) => loopP99)),
    millis(Math.max(...rows.map(({ longestPause }) => longestPause))),
    whole(of(({ checkpoints }) => checkpoints)),
    failed + unsent === 0 ? "" : `${failed} failed, ${unsent} unsent`
  ]
}

const findingsOf = (rows: ReadonlyArray<Row>, keys: number, stateBytes: number, { rounds }: Plan): Findings => ({
  notes: [
    `three servers with ${
      whole(keys)
    } keys of 256 bytes; 256 connections to the leader; the peak is measured anew in ` +
    "each round by the same generator",
    "calls are due at a fixed rate, and a time counts from when its call was due, up to a millisecond of it the " +
    "generator's own; calls that were given up or never sent count with the time they had waited",
    `${rounds} ${
      rounds === 1 ? "round" : "rounds"
    }: medians, of the longest the longest; checkpoints are those of all ` +
    "nodes that ran, and of one part",
    "the nodes that make checkpoints once a minute are a cluster of its own, which runs from the sources",
    `the installed state is ${
      whole(stateBytes / 2 ** 20)
    } MiB in values of 256 KiB beside the keys; the event loop is ` +
    "the leader's, its longest pause is the highest quantile that its metrics give"
  ],
  tables: [{
    title: "Writes at a part of the peak",
    heads,
    rows: [...Map.groupBy(rows, ({ name }) => name).values()].map(rowOf)
  }],
  charts: [],
  raw: rows
})

/** In a quick run: so little that what goes on besides is soon over. */
const quickPart = 0.2

const put = async (site: Site, options: Options): Promise<void> => {
  const plan = planOf(options, { seconds: 8 })
  const ms = plan.seconds * 1000
  const keys = options.keys?.[0] ?? (options.quick ? 20_000 : 300_000)
  const stateBytes = options.mib === undefined ? (options.quick ? leastMissed : 256 * 2 ** 20) : options.mib * 2 ** 20
  if (stateBytes < leastMissed) throw new Error(`stress: --mib is at least ${leastMissed / 2 ** 20}`)
  needWrk("stress")
  const { print, save } = reporter("stress", stress.title, options)
  const usual = servers(site.folderOf("http"))
  const rare = servers(site.folderOf("rare"), {
    name: "checkpoints once a minute",
    nodeFlags: ["--import", rarely],
    env: fromSources
  })
  const level = { ...writesBy(64), keys }
  const rows: Array<Row> = []
  const wake = async (cluster: Servers, warmSeconds = Math.min(1, plan.warmUp)) => {
    await site.wake([cluster])
    await warmUp(httpOf(cluster, "leader"), level, warmSeconds)
    await cluster.ready()
  }
  const peakNow = async () => {
    await wake(usual)
    return peakOf(usual, keys, Math.max(2000, ms / 3))
  }
  const take = async (cluster: Servers, phase: Phase, part: number, peak: number, round: number) => {
    await wake(cluster)
    const perSecond = Math.max(1, Math.round(part * peak))
    const taken = await steadily([cluster], () => beside(cluster, phase, due(cluster, perSecond, keys), ms))
    for (const [i, row] of taken?.entries() ?? []) {
      const checkpoints = cluster === rare ? "no checkpoints" : phase === alone ? "checkpoints each second" : ""
      const name = `${part * 100} %: ${phase.parts[i]}${checkpoints === "" ? "" : ` (${checkpoints})`}`
      rows.push({ name, round, ...row })
      console.error(`round ${round}: ${rowOf(rows.slice(-1)).join("  ")}`)
    }
    save(findingsOf(rows, keys, stateBytes, plan))
  }
  for (const cluster of [rare, usual]) {
    await site.start([cluster])
    await site.wake([cluster]) // in a quick run another section has started it
    await cluster.fill(keys, 256)
    await wake(cluster, plan.warmUp)
  }
  for (let round = 1; round <= plan.rounds; round++) {
    const peak = await peakNow()
    for (const part of options.quick ? [quickPart] : [0.5, 0.8]) {
      for (const phase of [alone, snapshots, catchUp]) {
        await take(usual, phase, part, peak, round)
        if (phase === alone) await take(rare, phase, part, peak, round)
      }
    }
  }
  await site.stop(rare)
  const installing = install(keys, stateBytes) // last, since it makes the state so much larger
  const installPart = options.quick ? quickPart : 0.5
  for (let round = 1; round <= plan.rounds; round++) await take(usual, installing, installPart, await peakNow(), round)
  print(save(findingsOf(rows, keys, stateBytes, plan)))
}

export const stress: Section = {
  name: "stress",
  title: "Latency under stress",
  about:
    "writes at a part of the peak: beside checkpoints, snapshots, a follower that catches up or installs; event loop",
  run: (options) => atSite(options, (site) => put(site, options))
}
