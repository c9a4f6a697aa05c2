/**
 * Planned transfers of leadership under load: how long no write is acknowledged, and that none of them fails.
 *
 * scenario: T08
 */
import { setTimeout as sleep } from "node:timers/promises"
import { audit, finalState } from "./Audit.ts"
import { type ChaosNode, Cluster } from "./Cluster.ts"
import { gapsBetweenWrites, isWrite } from "./Gaps.ts"
import { atMost, conclude, percentile, told } from "./Report.ts"
import { commonHelp, makePlace, numberOf, readOptions } from "./Site.ts"
import { nowMicros, until, Violation } from "./Waiting.ts"

const help = `npm run chaos -- transfer [options]: leadership is handed over under load

  --transfers N          default 30
  --writes N             writes a second that the clients aim at (default 300)
${commonHelp}`

const timeoutMs = 5000

/** Hands over, and answers with the window in which the effect shows. */
const transfer = async (cluster: Cluster, leader: ChaosNode): Promise<readonly [from: number, to: number]> => {
  const from = nowMicros()
  const { body, status } = await leader.ask("POST", "/v1/cluster/transfer", "{}")
  if (status !== 200) throw new Violation(`a transfer was refused: ${status} ${body}`)
  await until("another node leads", 30_000, async () => {
    const now = await cluster.leader()
    return now !== undefined && now.node !== leader ? true : undefined
  })
  await sleep(300)
  return [from, nowMicros()]
}

export const transfers = async (args: ReadonlyArray<string>): Promise<void> => {
  const options = { transfers: { type: "string", default: "30" }, writes: { type: "string", default: "300" } } as const
  const values = readOptions(args, options, help)
  if (values === undefined) return
  const place = makePlace(values)
  const cluster = await Cluster.start(place)
  const began = performance.now()
  const writesPerSecond = numberOf(values.writes, "writes") / place.nodes
  cluster.load({ clients: 100, writesPerSecond, shared: 0.1, timeoutMs, seed: place.seed })
  const windows: Array<readonly [from: number, to: number]> = []
  const problems: Array<string> = []
  try {
    for (let round = 0; round < numberOf(values.transfers, "transfers"); round++) {
      await cluster.allVote(30_000)
      await cluster.meshed(30_000)
      await sleep(500)
      const { node } = await cluster.someLeader(30_000)
      windows.push(await transfer(cluster, node))
      for (const one of cluster.nodes) one.tell({ _tag: "Epoch", epoch: round })
    }
    await cluster.rest()
    problems.push(...audit(cluster.calls, await finalState(cluster), timeoutMs + 4000))
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error))
  }
  if (problems.length > 0) place.keep()
  const gaps = windows.map(([from, to]) => Math.max(...gapsBetweenWrites(cluster.calls, from, to)))
  const failed = cluster.calls.filter((call) => isWrite(call) && call.outcome._tag !== "Answered")
  const reasons: Record<string, number> = {}
  for (const { outcome } of failed) {
    if (outcome._tag !== "Answered") reasons[outcome.code] = (reasons[outcome.code] ?? 0) + 1
  }
  conclude({
    command: "transfer",
    seed: place.seed,
    seconds: (performance.now() - began) / 1000,
    figures: [
      told("transfers", gaps.length, ""),
      told("writes", cluster.calls.filter(isWrite).length, ""),
      told("gap: p50", percentile(gaps, 50), "ms"),
      told("gap: p95", percentile(gaps, 95), "ms"),
      atMost("gap: longest", Math.max(...gaps), place.electionTimeoutMs, "ms"),
      atMost("failed writes", failed.length, 0, "")
    ],
    counts: reasons,
    problems
  })
}
