/**
 * How long a cluster takes no writes after its leader fails: from the failure to the first acknowledgement of a write
 * that was begun after it. Half of the leaders are killed, half are stopped or cut off without a word, in turn.
 */
import { makePrng } from "@distkv/core/testing"
import { setTimeout as sleep } from "node:timers/promises"
import { audit, finalState } from "./Audit.ts"
import { type ChaosNode, Cluster } from "./Cluster.ts"
import { atMost, conclude, type Figure, percentile, told } from "./Report.ts"
import { commonHelp, makePlace, numberOf, readOptions } from "./Site.ts"
import { nowMicros, Violation } from "./Waiting.ts"

const help = `npm run chaos -- failover [options]: how long no write is acknowledged after the leader fails

  --failures N           half by SIGKILL, half by SIGSTOP or silent links (default 200)
${commonHelp}`

const timeoutMs = 1500
/** As many that there is always one to write: those whose write a failed leader has wait until its deadline. */
const clients = 200
const settledWithinMs = timeoutMs + 4000

/** The time of the first acknowledgement, in microseconds, of a write begun after `since`. */
const firstWriteAfter = (cluster: Cluster, since: number, limitMs: number): Promise<number> =>
  new Promise((resolve, reject) => {
    const done = cluster.listen(({ called, input, outcome, returned }) => {
      if (called <= since || input.op === "get" || outcome._tag !== "Answered") return
      clearTimeout(timer)
      done()
      resolve(returned)
    })
    const timer = setTimeout(() => {
      done()
      reject(new Violation(`no write is acknowledged within ${limitMs / 1000} s after the leader failed`))
    }, limitMs)
  })

const failures: Readonly<
  Record<string, (cluster: Cluster, victim: ChaosNode) => { readonly mend: () => Promise<void> }>
> = {
  "SIGKILL": (cluster, victim) => {
    const gone = victim.kill()
    return {
      mend: async () => {
        await gone
        await cluster.launch(victim)
      }
    }
  },
  "SIGSTOP": (_cluster, victim) => {
    victim.signal("SIGSTOP")
    return {
      mend: async () => victim.signal("SIGCONT")
    }
  },
  "silent links": (cluster, victim) => {
    for (const { index } of cluster.nodes) {
      if (index === victim.index) continue
      cluster.network.silence(victim.index, index)
      cluster.network.silence(index, victim.index)
    }
    return {
      mend: async () => cluster.network.heal()
    }
  }
}

const figuresOf = (kind: string, gaps: ReadonlyArray<number>, electionTimeoutMs: number): ReadonlyArray<Figure> =>
  gaps.length === 0
    ? []
    : [
      told(`${kind}: failures`, gaps.length, ""),
      atMost(`${kind}: p50`, percentile(gaps, 50), 2 * electionTimeoutMs, "ms"),
      atMost(`${kind}: p95`, percentile(gaps, 95), 3 * electionTimeoutMs, "ms"),
      atMost(`${kind}: longest`, Math.max(...gaps), 10 * electionTimeoutMs, "ms")
    ]

export const failover = async (args: ReadonlyArray<string>): Promise<void> => {
  const values = readOptions(args, { failures: { type: "string", default: "200" } } as const, help)
  if (values === undefined) return
  const place = makePlace(values)
  const count = numberOf(values.failures, "failures")
  const random = makePrng(place.seed)
  const cluster = await Cluster.start(place)
  const began = performance.now()
  cluster.load({ clients, writesPerSecond: 100, shared: 0.1, timeoutMs, seed: place.seed })
  const gaps = new Map<string, Array<number>>()
  const problems: Array<string> = []
  try {
    for (let round = 0; round < count; round++) {
      const { node, term } = await cluster.someLeader(30_000)
      await cluster.allVote(30_000)
      await cluster.meshed(30_000)
      // At any moment between two heartbeats, and not always right after the last election.
      await sleep(random.between(2, 4) * place.electionTimeoutMs)
      const kind = round % 2 === 0 ? "SIGKILL" : random.chance(0.5) ? "SIGSTOP" : "silent links"
      const now = await cluster.leader()
      if (now?.node !== node || now.term !== term) {
        round--
        continue
      }
      const failure = failures[kind]?.(cluster, node)
      const since = nowMicros()
      const recovered = firstWriteAfter(cluster, since, 60_000)
      const gap = (await recovered - since) / 1000
      const own = gaps.get(kind)
      if (own === undefined) gaps.set(kind, [gap])
      else own.push(gap)
      console.log(`  ${round + 1}/${count} ${kind} of ${node.id}: ${gap.toFixed(0)} ms`)
      await failure?.mend()
      for (const one of cluster.nodes) one.tell({ _tag: "Epoch", epoch: round })
    }
    await cluster.rest()
    problems.push(...audit(cluster.calls, await finalState(cluster), settledWithinMs))
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error))
  }
  if (problems.length > 0) place.keep()
  const stopped = [...gaps.get("SIGSTOP") ?? [], ...gaps.get("silent links") ?? []]
  conclude({
    command: "failover",
    seed: place.seed,
    seconds: (performance.now() - began) / 1000,
    figures: [
      ...figuresOf("killed", gaps.get("SIGKILL") ?? [], place.electionTimeoutMs),
      ...figuresOf("stopped or cut off", stopped, place.electionTimeoutMs)
    ],
    counts: Object.fromEntries([...gaps].map(([kind, own]) => [kind, own.length])),
    problems
  })
}
