/** A healthy leader stays, whatever one other node goes through: a partial link, an absence, a return, a removal. */
import { setTimeout as sleep } from "node:timers/promises"
import { type ChaosNode, Cluster } from "./Cluster.ts"
import { atMost, conclude, type Figure } from "./Report.ts"
import { commonHelp, makePlace, numberOf, readOptions } from "./Site.ts"

const help = `npm run chaos -- stability [options]: no change of leader while one node is unwell

  --timeouts N           how many election time-outs each case lasts (default 100)
  --only TEXT            only cases whose name contains it, such as "stopped"
${commonHelp}`

interface Case {
  readonly name: string
  /** Makes the one node unwell, for so many milliseconds, and well again. */
  readonly run: (cluster: Cluster, leader: ChaosNode, one: ChaosNode, ms: number) => Promise<void>
}

const others = (cluster: Cluster, one: ChaosNode): ReadonlyArray<ChaosNode> =>
  cluster.nodes.filter((node) => node !== one)

const silenced = (
  name: string,
  links: (cluster: Cluster, leader: ChaosNode, one: ChaosNode) => ReadonlyArray<readonly [ChaosNode, ChaosNode]>
): Case => ({
  name,
  run: async (cluster, leader, one, ms) => {
    for (const [from, to] of links(cluster, leader, one)) cluster.network.silence(from.index, to.index)
    await sleep(ms)
    cluster.network.heal()
    await cluster.meshed(30_000)
  }
})

const cases: ReadonlyArray<Case> = [
  silenced("one link to the leader is cut", (_cluster, leader, one) => [[leader, one], [one, leader]]),
  silenced("one hears nobody", (cluster, _leader, one) => others(cluster, one).map((node) => [node, one])),
  silenced("nobody hears one", (cluster, _leader, one) => others(cluster, one).map((node) => [one, node])),
  {
    name: "one is away, and comes back",
    run: async (cluster, _leader, one, ms) => {
      for (let round = 0; round < 4; round++) {
        for (const { index } of others(cluster, one)) {
          cluster.network.silence(one.index, index)
          cluster.network.silence(index, one.index)
        }
        await sleep(ms / 8)
        cluster.network.heal()
        await sleep(ms / 8)
      }
      await cluster.meshed(30_000)
    }
  },
  {
    name: "one is stopped, and goes on",
    run: async (cluster, _leader, one, ms) => {
      for (let round = 0; round < 4; round++) {
        one.signal("SIGSTOP")
        await sleep(ms / 8)
        one.signal("SIGCONT")
        await sleep(ms / 8)
      }
      await cluster.meshed(30_000)
    }
  },
  {
    name: "one is killed, and started again",
    run: async (cluster, _leader, one, ms) => {
      const until = performance.now() + ms
      while (performance.now() < until) {
        await one.kill()
        await cluster.launch(one)
        await sleep(ms / 8)
      }
    }
  },
  {
    name: "one is removed, and runs on",
    run: async (_cluster, leader, one, ms) => {
      const { body, status } = await leader.ask("DELETE", `/v1/cluster/members/${one.id}`)
      if (status !== 200) throw new Error(`${one.id} could not be removed: ${status} ${body}`)
      await sleep(ms)
    }
  }
]

export const stability = async (args: ReadonlyArray<string>): Promise<void> => {
  const options = { timeouts: { type: "string", default: "100" }, only: { type: "string", default: "" } } as const
  const values = readOptions(args, options, help)
  if (values === undefined) return
  const place = makePlace(values)
  const ms = numberOf(values.timeouts, "timeouts") * place.electionTimeoutMs
  const cluster = await Cluster.start(place)
  const began = performance.now()
  cluster.load({ clients: 4, writesPerSecond: 30, shared: 0, timeoutMs: 2000, seed: place.seed })
  const figures: Array<Figure> = []
  const problems: Array<string> = []
  for (const { name, run } of cases.filter((one) => one.name.includes(values.only))) {
    try {
      const before = await cluster.someLeader(30_000)
      const [one] = others(cluster, before.node)
      if (one === undefined) break
      await run(cluster, before.node, one, ms)
      const after = await cluster.someLeader(30_000)
      // A term is entered by whoever campaigns, so that it tells of changes back and forth too.
      figures.push(atMost(`${name}: new terms`, after.term - before.term, 0, ""))
      console.log(`  ${name}: term ${before.term} of ${before.node.id}, then ${after.term} of ${after.node.id}`)
    } catch (error) {
      problems.push(`${name}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  if (problems.length > 0) place.keep()
  conclude({
    command: "stability",
    seed: place.seed,
    seconds: (performance.now() - began) / 1000,
    figures,
    counts: {},
    problems
  })
}
