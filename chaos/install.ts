/**
 * A node that was away too long gets a whole state as a snapshot while the others serve: the leader stays, writes go on
 * without a gap, and memory stays bounded however large the state is.
 *
 * How even the leader's heartbeats are is seen from outside: by its term, by the longest time for which no write was
 * acknowledged (a write needs the leader's event loop, its disk and the other follower), and by the delay of its event
 * loop, on which its heartbeats wait too.
 *
 * scenario: S15
 */
import { readFileSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { audit, finalState } from "./Audit.ts"
import { checkBulk } from "./Bulk.ts"
import { type ChaosNode, Cluster } from "./Cluster.ts"
import { gapsBetweenWrites, isWrite } from "./Gaps.ts"
import { atLeast, atMost, conclude, type Figure, percentile, told } from "./Report.ts"
import { commonHelp, makePlace, numberOf, readOptions } from "./Site.ts"
import { nowMicros, until } from "./Waiting.ts"

const help = `npm run chaos -- install [options]: a state of some size is installed while the others serve

  --size BYTES           of the state, such as 128MiB (default 1GiB)
  --value BYTES          of each value (default 256KiB)
  --writes N             writes a second beside it (default 300)
  --baseline SECONDS     how long the same writes are watched before (default 10)
${commonHelp}`

const timeoutMs = 5000
const mebi = 1024 * 1024
const units: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: mebi, GiB: 1024 * mebi }
const pollMs = 200
/** Less than the log keeps is brought back from the log. */
const smallest = 96 * mebi

const bytesOf = (text: string, name: string): number => {
  const [, digits = "", unit = ""] = /^(\d+)(B|KiB|MiB|GiB)$/.exec(text) ?? []
  return numberOf(digits, name) * (units[unit] ?? 1)
}

/** The figures of a node's metrics by their names, without `distkv_`. */
const metricsOf = async (node: ChaosNode): Promise<ReadonlyMap<string, number>> => {
  const { body, status } = await node.ask("GET", "/metrics")
  if (status !== 200) throw new Error(`${node.id} shows no metrics: ${status}`)
  return new Map(
    body.split("\n").flatMap((line) => {
      const [, name, value] = /^distkv_(\S+) (\S+)$/.exec(line) ?? []
      return name === undefined ? [] : [[name, Number(value)] as const]
    })
  )
}

/** What a node and its process were seen to do, sampled again and again. */
class Watch {
  private readonly node: ChaosNode
  /** The highest so far: of memory that is no file's, in bytes, and of the event loop's delay, in milliseconds. */
  memory = 0
  delay = 0
  latest: ReadonlyMap<string, number> = new Map()

  constructor(node: ChaosNode) {
    this.node = node
  }

  async look(): Promise<void> {
    this.latest = await metricsOf(this.node)
    this.memory = Math.max(this.memory, this.anonymous())
    for (const [name, value] of this.latest) {
      if (name.startsWith("event_loop_delay_seconds")) this.delay = Math.max(this.delay, value * 1000)
    }
  }

  figure(name: string): number {
    return this.latest.get(name) ?? 0
  }

  /** Pages of LMDB's file count as resident too, and the system takes them back when it needs them. */
  private anonymous(): number {
    const { pid } = JSON.parse(readFileSync(`${this.node.directory}.ready.json`, "utf8")) as { readonly pid: number }
    const [, kilobytes] = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? []
    return Number(kilobytes ?? 0) * 1024
  }
}

/** Brings a node back that lacks everything, and watches it and the leader until it has it. */
const bringBack = async (cluster: Cluster, leader: ChaosNode, victim: ChaosNode) => {
  const sender = new Watch(leader)
  const receiver = new Watch(victim)
  await sender.look()
  const before = { memory: sender.memory, sent: sender.figure("snapshot_sent_bytes_total") }
  sender.delay = 0
  const from = nowMicros()
  await cluster.launch(victim)
  let received = 0
  let receivedAt = from
  await until("the snapshot is installed", 1_800_000, async () => {
    await Promise.all([sender.look(), receiver.look()])
    const bytes = receiver.figure("snapshot_received_bytes_total")
    if (bytes > received) {
      received = bytes
      receivedAt = nowMicros()
    }
    return receiver.figure("snapshots_installed_total") >= 1 ? true : undefined
  }, pollMs)
  const installedAt = nowMicros()
  await until("the node has caught up", 120_000, async () => {
    await Promise.all([sender.look(), receiver.look()])
    const view = await leader.status()
    const lag = view?.members.find(({ id }) => id === victim.id)?.lag
    return lag !== undefined && lag !== null && lag < 1000 ? true : undefined
  }, pollMs)
  return { before, sender, receiver, from, receivedAt, installedAt, to: nowMicros() }
}

type Back = Awaited<ReturnType<typeof bringBack>>

const figuresOf = (cluster: Cluster, back: Back, baseline: readonly [number, number], size: number, T: number) => {
  const quiet = gapsBetweenWrites(cluster.calls, ...baseline)
  const beside = gapsBetweenWrites(cluster.calls, back.from, back.to)
  const { before, receiver, sender } = back
  const bytes = receiver.figure("snapshot_received_bytes_total")
  const seconds = (back.receivedAt - back.from) / 1e6
  const figures: Array<Figure> = [
    told("state", size / mebi, "MiB"),
    atLeast("snapshots sent", Math.round(sender.figure("snapshots_built_total")), 1, ""),
    told("bytes received", bytes / mebi, "MiB"),
    told("from start to the last byte", seconds, "s"),
    told("that is", bytes / mebi / seconds, "MiB/s"),
    told("of this, building", sender.figure("snapshot_build_seconds_total"), "s"),
    told("from the last byte to the new state", receiver.figure("snapshot_install_seconds_total"), "s"),
    told("catching up after it", (back.to - back.installedAt) / 1e6, "s"),
    told("gap between writes before: p99", percentile(quiet, 99), "ms"),
    told("gap between writes before: longest", percentile(quiet, 100), "ms"),
    told("gap between writes beside: p99", percentile(beside, 99), "ms"),
    atMost("gap between writes beside: longest", percentile(beside, 100), T, "ms"),
    atMost("leader's event loop held up: longest", sender.delay, T / 2, "ms"),
    told("receiver's event loop held up: longest", receiver.delay, "ms"),
    told("leader's memory before", before.memory / mebi, "MiB"),
    told("leader's memory: most", sender.memory / mebi, "MiB"),
    told("receiver's memory: most", receiver.memory / mebi, "MiB")
  ]
  return figures
}

/** Kills a follower, fills the others, watches them serve for a while, and brings the follower back. */
const run = async (
  cluster: Cluster,
  { keys, seconds, value, writes }: { keys: number; value: number; writes: number; seconds: number },
  seed: number
) => {
  const { node: leader, term } = await cluster.someLeader(30_000)
  const victim = cluster.nodes.find((node) => node !== leader)
  if (victim === undefined) throw new Error("a single node cannot come back to anybody")
  await victim.kill()
  const filling = performance.now()
  const again = await leader.fill(keys, value)
  const filled = (performance.now() - filling) / 1000
  console.log(`  ${keys} values in ${filled.toFixed(0)} s (${again} written again); ${victim.id} is away`)
  const serving = cluster.nodes.filter((node) => node !== victim)
  for (const node of serving) {
    const writesPerSecond = writes / serving.length
    node.tell({ _tag: "Load", workload: { clients: 50, writesPerSecond, shared: 0.1, timeoutMs, seed } })
  }
  await sleep(2000)
  const { node: before, term: termBefore } = await cluster.someLeader(30_000)
  const began = nowMicros()
  await sleep(seconds * 1000)
  const baseline = [began, nowMicros()] as const
  const back = await bringBack(cluster, before, victim)
  const { term: termAfter } = await cluster.someLeader(30_000)
  await sleep(2000)
  await Promise.all(serving.map((node) => node.rest()))
  return { victim, baseline, back, filled, newTerms: termAfter - termBefore, termsOfFilling: termBefore - term }
}

export const install = async (args: ReadonlyArray<string>): Promise<void> => {
  const options = {
    size: { type: "string", default: "1GiB" },
    value: { type: "string", default: "256KiB" },
    writes: { type: "string", default: "300" },
    baseline: { type: "string", default: "10" }
  } as const
  const values = readOptions(args, options, help)
  if (values === undefined) return
  const size = bytesOf(values.size, "size")
  if (size < smallest) throw new Error("--size is at least 96MiB: what is smaller is brought back from the log")
  const value = bytesOf(values.value, "value")
  const keys = Math.ceil(size / value)
  const writes = numberOf(values.writes, "writes")
  const seconds = numberOf(values.baseline, "baseline")
  const place = makePlace(values)
  const cluster = await Cluster.start(place)
  const began = performance.now()
  const problems: Array<string> = []
  const figures: Array<Figure> = []
  try {
    const done = await run(cluster, { keys, value, writes, seconds }, place.seed)
    figures.push(
      told("filling", size / mebi / done.filled, "MiB/s"),
      told("new terms while filling", done.termsOfFilling, ""),
      atMost("new terms", done.newTerms, 0, ""),
      ...figuresOf(cluster, done.back, done.baseline, size, place.electionTimeoutMs)
    )
    const bulk = await checkBulk(done.victim, keys, value)
    const final = { ...await finalState(cluster, "bulk0"), besides: bulk.revisions }
    problems.push(...bulk.problems, ...audit(cluster.calls, final, timeoutMs + 4000))
    const written = cluster.calls.filter((call) => isWrite(call) && call.returned >= done.back.from)
    const failed = written.filter(({ outcome }) => outcome._tag !== "Answered").length
    figures.push(told("writes beside", written.length, ""), atMost("failed writes beside", failed, 0, ""))
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error))
  }
  if (problems.length > 0) place.keep()
  const took = (performance.now() - began) / 1000
  conclude({ command: "install", seed: place.seed, seconds: took, figures, counts: {}, problems })
}
