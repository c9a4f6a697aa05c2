/**
 * What a crowd of strangers at the leader's door costs the cluster: writes a second while they knock there, beside
 * writes a second while the same crowd knocks at a bare TCP server; in turns, since a machine's speed moves.
 *
 * scenario: A09
 */
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { type ChaosNode, Cluster } from "./Cluster.ts"
import { end, pidOf, start } from "./Processes.ts"
import { atLeast, atMost, conclude, percentile, told } from "./Report.ts"
import { commonHelp, makePlace, numberOf, type Place, readOptions } from "./Site.ts"
import { nowMicros } from "./Waiting.ts"

const help = `npm run chaos -- flood [options]: strangers who never complete an exchange of keys

  --seconds N            of flood at the node's door, and as many at a bare server (default 60)
  --rounds N             in so many turns (default 1: all of it on end)
  --held N               connections that the crowd holds open at once, if it is let (default 1000)
  --per-second N         new connections a second (default 200)
${commonHelp}`

const options = {
  seconds: { type: "string", default: "60" },
  rounds: { type: "string", default: "1" },
  held: { type: "string", default: "1000" },
  "per-second": { type: "string", default: "200" }
} as const

const sinkPort = 13_000
const timeoutMs = 5000
/** More than the machine can do, so that what is measured is the cluster. */
const writesPerSecond = 20_000

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

interface Crowd {
  readonly perSecond: string
  readonly held: string
}

/** What the crowd did in its time. */
interface Counts {
  readonly made: number
  readonly refused: number
  readonly longest: number
}

/** Lets the crowd knock at an address for a while. */
const flood = async (
  place: Place,
  cluster: Cluster,
  address: string,
  ms: number,
  { held, perSecond }: Crowd
): Promise<Counts> => {
  const [host = "", port = ""] = address.split(":")
  const { outside } = cluster.network
  const command = outside.at([process.execPath, file("flooder.ts"), host, port, perSecond, held, ...outside.sources])
  const crowd = start(command, join(place.directory, "crowd.log"))
  await sleep(ms)
  const told = once(crowd, "message")
  crowd.send("how many")
  const [counts] = await told as [Counts]
  await end(crowd, "SIGKILL")
  return counts
}

/** Writes acknowledged in a span of time, and how long each took in milliseconds. */
const writesIn = (cluster: Cluster, from: number, to: number): ReadonlyArray<number> =>
  cluster.calls.flatMap(({ called, input, outcome, returned }) =>
    input.op !== "get" && outcome._tag === "Answered" && returned >= from && returned < to
      ? [(returned - called) / 1000]
      : []
  )

const residentMebibytes = (node: ChaosNode): number => {
  const status = readFileSync(`/proc/${pidOf(node.process!)}/status`, "utf8")
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? Number.NaN) / 1024
}

export const floods = async (args: ReadonlyArray<string>): Promise<void> => {
  const values = readOptions(args, options, help)
  if (values === undefined) return
  const place = makePlace(values)
  const cluster = await Cluster.start(place)
  const began = performance.now()
  const { node: leader, term } = await cluster.someLeader(30_000)
  const sinkHost = cluster.network.raftAddress(leader.index).split(":")[0] ?? ""
  const sinkCommand = cluster.network.at(leader.index, [process.execPath, file("sink.ts"), sinkHost, String(sinkPort)])
  start(sinkCommand, join(place.directory, "sink.log"))
  cluster.load({ clients: 8, writesPerSecond, shared: 0, timeoutMs, seed: place.seed })
  const rounds = numberOf(values.rounds, "rounds")
  const ms = numberOf(values.seconds, "seconds") * 1000 / rounds
  const crowd = { perSecond: values["per-second"], held: values.held }
  const targets = { node: cluster.network.raftAddress(leader.index), sink: `${sinkHost}:${sinkPort}` }
  const latencies = { node: new Array<number>(), sink: new Array<number>() }
  const counts: Record<string, number> = {}
  const problems: Array<string> = []
  await sleep(3000) // cold code is slow code
  const before = residentMebibytes(leader)
  for (let round = 0; round < rounds; round++) {
    for (const target of round % 2 === 0 ? ["sink", "node"] as const : ["node", "sink"] as const) {
      const from = nowMicros()
      const { longest, made, refused } = await flood(place, cluster, targets[target], ms, crowd)
      // Not spread into `push`: a call takes only so many arguments.
      latencies[target] = latencies[target].concat(writesIn(cluster, from, from + ms * 1000))
      console.log(`  ${target}: ${latencies[target].length} writes so far, ${made} knocked, ${refused} let go`)
      counts[`connections at the ${target}`] = (counts[`connections at the ${target}`] ?? 0) + made
      counts[`most at once at the ${target}`] = Math.max(counts[`most at once at the ${target}`] ?? 0, longest)
      await sleep(500)
    }
  }
  const after = residentMebibytes(leader)
  const now = await cluster.someLeader(30_000)
  await cluster.rest()
  for (const { input, outcome } of cluster.calls) {
    if (outcome._tag !== "Answered") problems.push(`${input.op} was not answered: ${outcome.code}`)
  }
  const seconds = ms * rounds / 1000
  conclude({
    command: "flood",
    seed: place.seed,
    seconds: (performance.now() - began) / 1000,
    figures: [
      atMost("new terms", now.term - term, 0, ""),
      told("writes, flood at a bare server", latencies.sink.length / seconds, "/s"),
      told("writes, flood at the leader", latencies.node.length / seconds, "/s"),
      atLeast("the second of the first", 100 * latencies.node.length / latencies.sink.length, 80, "%"),
      told("p99, flood at a bare server", percentile(latencies.sink, 99), "ms"),
      told("p99, flood at the leader", percentile(latencies.node, 99), "ms"),
      told("memory of the leader before", before, "MiB"),
      told("memory of the leader after", after, "MiB")
    ],
    counts,
    problems
  })
}
