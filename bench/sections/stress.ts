/** What the slowest calls cost while a node does something else besides: calls at a fixed rate, phase after phase. */
import { once } from "node:events"
import { setTimeout as sleep } from "node:timers/promises"
import { pidOf, startProgram } from "../clusters/Processes.ts"
import { httpOf, type Servers, servers } from "../clusters/Servers.ts"
import { writesBy } from "../Contender.ts"
import type { OpenLoop, OpenLoopResult } from "../load/OpenLoop.ts"
import { latencyOf, merged } from "../load/Percentiles.ts"
import { reporter } from "../report/Report.ts"
import { millis, whole } from "../report/Summary.ts"
import { atSite, planOf, warmUp } from "../Rounds.ts"
import type { Section } from "../Section.ts"

const generator = new URL("../load/OpenLoop.ts", import.meta.url)

const openLoop = async (plan: OpenLoop): Promise<OpenLoopResult> => {
  const child = startProgram(generator, [])
  pidOf(child)
  child.send(plan)
  const [result]: Array<unknown> = await once(child, "message")
  return result as OpenLoopResult
}

/** The leader's event loop: the longest delay since the last look, in milliseconds, by quantile. */
const loopDelays = async (address: string): Promise<ReadonlyMap<string, number>> => {
  const text = await (await fetch(`http://${address}/metrics`)).text()
  return new Map(
    [...text.matchAll(/^distkv_event_loop_delay_seconds\{quantile="([\d.]+)"\} (\S+)/gm)]
      .map(([, quantile = "", seconds = ""]) => [quantile, 1000 * Number(seconds)])
  )
}

/** What else goes on; it answers when that is over. */
interface Phase {
  readonly name: string
  readonly besides: (cluster: Servers, ms: number) => Promise<void>
}

const download = async (address: string): Promise<void> => {
  const response = await fetch(`http://${address}/v1/snapshot`)
  if (!response.ok || response.body === null) throw new Error(`no snapshot: ${response.status}`)
  const pieces = response.body.getReader()
  while (!(await pieces.read()).done);
}

const phases: ReadonlyArray<Phase> = [
  { name: "nothing besides (checkpoints each second)", besides: () => Promise.resolve() },
  {
    name: "snapshots of the leader, one after the other",
    besides: async (cluster, ms) => {
      const ends = performance.now() + ms
      while (performance.now() < ends) await download(cluster.addresses("leader")[0] ?? "")
    }
  },
  {
    name: "a follower comes back and catches up",
    besides: async (cluster, ms) => {
      const follower = cluster.ids()[1] ?? ""
      await cluster.kill(follower)
      await sleep(ms / 3)
      await cluster.again(follower)
    }
  }
]

const rowOf = (
  name: string,
  perSecond: number,
  seconds: number,
  { errors, latencies, operations, unsent }: OpenLoopResult,
  delays: ReadonlyMap<string, number>
) => {
  const { max, p50, p99, p999 } = latencyOf(merged([latencies]))
  return [
    name,
    whole(perSecond),
    whole(operations / seconds),
    ...[p50, p99, p999, max].map(millis),
    millis(delays.get("0.99") ?? Number.NaN),
    millis(Math.max(...delays.values())),
    errors + unsent === 0 ? "" : `${errors} failed, ${unsent} unsent`
  ]
}

const heads = [
  "what goes on",
  "calls due/s",
  "calls/s",
  "p50 ms",
  "p99",
  "p99.9",
  "longest",
  "event loop p99 ms",
  "longest pause",
  "errors"
]

export const stress: Section = {
  name: "stress",
  title: "Latency under stress",
  about:
    "writes at 80 % of the peak: beside checkpoints, snapshots, a follower that catches up; pauses of the event loop",
  run: (options) =>
    atSite(options, async (site) => {
      const { seconds, warmUp: warmSeconds } = planOf(options, { seconds: 12 })
      const keys = options.keys?.[0] ?? (options.quick ? 20_000 : 300_000)
      const { print, save } = reporter("stress", stress.title, options)
      const cluster = servers(site.folderOf("http"))
      await site.start([cluster])
      await cluster.fill(keys, 256)
      const level = { ...writesBy(64), keys }
      await warmUp(httpOf(cluster, "leader"), level, warmSeconds)
      const plan = (perSecond: number, ms: number): OpenLoop => ({
        address: cluster.addresses("leader")[0] ?? "",
        connections: 256,
        perSecond,
        ms,
        keys,
        valueBytes: 256
      })
      await cluster.ready()
      // The peak of this very generator: what is due is more than can be served.
      const peak = (await openLoop(plan(1e6, 1000 * Math.max(2, seconds / 3)))).operations / Math.max(2, seconds / 3)
      const rows: Array<ReadonlyArray<string>> = []
      for (const part of [0.5, 0.8]) {
        for (const { besides, name } of phases) {
          await cluster.ready()
          const perSecond = Math.max(1, Math.round(part * peak))
          const leader = plan(perSecond, seconds * 1000)
          await loopDelays(leader.address)
          const [result] = await Promise.all([openLoop(leader), besides(cluster, seconds * 1000)])
          rows.push(rowOf(`${part * 100} %: ${name}`, perSecond, seconds, result, await loopDelays(leader.address)))
          console.error(rows.at(-1)?.join("  "))
        }
      }
      const report = save({
        notes: [
          `three servers with ${whole(keys)} keys of 256 bytes; peak ${whole(peak)} writes/s (256 connections)`,
          "calls are due at a fixed rate, and a time counts from when its call was due; the event loop is the leader's, " +
          "its longest pause is the highest quantile that its metrics give"
        ],
        tables: [{ title: "Writes at a part of the peak", heads, rows }],
        charts: [],
        raw: rows
      })
      print(report)
    })
}
