/**
 * A member's key in wrong hands, on real nodes over SSH: whoever holds it sends altered frames to all the others at
 * once. No process ends, no term begins, no member changes, and writes go on as if nothing were.
 *
 * scenario: A10
 */
import { once } from "node:events"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { audit, finalState } from "./Audit.ts"
import { type ChaosNode, Cluster } from "./Cluster.ts"
import { gapsBetweenWrites, isWrite } from "./Gaps.ts"
import { pidOf, start } from "./Processes.ts"
import { atLeast, atMost, conclude, percentile, told } from "./Report.ts"
import { commonHelp, makePlace, numberOf, type Place, readOptions } from "./Site.ts"
import { nowMicros, until, Violation } from "./Waiting.ts"

const help = `npm run chaos -- hostile [options]: altered frames over SSH from an authenticated member

  --frames N             default 100000
  --writes N             writes a second beside them (default 100)
${commonHelp}`

const sender = fileURLToPath(new URL("../packages/transport-ssh/test/children/hostile.ts", import.meta.url))
const timeoutMs = 5000
/** What the frames say is said in terms up to 3. */
const firstTerm = 5

interface Counts {
  readonly frames: number
  readonly connections: number
  readonly ended: number
  readonly refused: number
  readonly failed: number
  readonly stayed: number
}

/** How a node looks from outside, as far as nobody but its cluster may change it. */
const looksOf = async (node: ChaosNode) => {
  const { body, status } = await node.ask("GET", "/v1/cluster?timeout=5s")
  if (status !== 200) throw new Error(`${node.id} does not show its cluster: ${status} ${body}`)
  const { leader, members, role, term } = JSON.parse(body) as {
    readonly leader: string
    readonly role: string
    readonly term: string
    readonly members: ReadonlyArray<{ id: string; voter: boolean; publicKey: string; address: string }>
  }
  return JSON.stringify({
    pid: node.process === null ? null : pidOf(node.process),
    leader,
    role,
    term,
    members: members.map(({ address, id, publicKey, voter }) => [id, voter, publicKey, address])
  })
}

/** Has leadership change hands until the term is beyond those that the frames speak of. */
const passTerms = (cluster: Cluster, nodes: ReadonlyArray<ChaosNode>): Promise<true> =>
  until("some terms have passed", 60_000, async () => {
    const leader = await cluster.leader()
    if (leader !== undefined && leader.term >= firstTerm && nodes.includes(leader.node)) return true
    await leader?.node.ask("POST", "/v1/cluster/transfer", "{}")
    return undefined
  }, 200)

/** Sends frames to a node from the member's place in the network. */
const send = async (
  place: Place,
  cluster: Cluster,
  member: ChaosNode,
  target: ChaosNode,
  frames: number
): Promise<Counts> => {
  const [host = "", port = ""] = cluster.network.raftAddress(target.index).split(":")
  const { directory } = member
  const task = JSON.stringify({ host, port: Number(port), directory, frames, seed: place.seed + target.index })
  const command = cluster.network.at(member.index, [process.execPath, sender, task])
  const child = start(command, join(place.directory, `hostile-${target.id}.log`))
  let counts: Counts = { frames: 0, connections: 0, ended: 0, refused: 0, failed: 0, stayed: 0 }
  let isOver = false
  child.on("message", (message: Counts & { readonly over?: boolean }) => {
    counts = message
    isOver = message.over === true
  })
  await once(child, "exit")
  if (!isOver) throw new Error(`what sends to ${target.id} has ended before its time: see its log`)
  return counts
}

export const hostile = async (args: ReadonlyArray<string>): Promise<void> => {
  const options = { frames: { type: "string", default: "100000" }, writes: { type: "string", default: "100" } } as const
  const values = readOptions(args, options, help)
  if (values === undefined) return
  const frames = numberOf(values.frames, "frames")
  const place = makePlace({ ...values, nodes: "4" })
  const cluster = await Cluster.start(place)
  const [member, ...others] = [...cluster.nodes].reverse()
  if (member === undefined) throw new Error("there is no member to play")
  await member.kill()
  await passTerms(cluster, others)
  const writesPerSecond = numberOf(values.writes, "writes") / others.length
  for (const node of others) {
    node.tell({ _tag: "Load", workload: { clients: 4, writesPerSecond, shared: 0.3, timeoutMs, seed: place.seed } })
  }
  await sleep(2000)
  const before = await Promise.all(others.map(looksOf))
  const began = nowMicros()
  const problems: Array<string> = []
  let counts: ReadonlyArray<Counts> = []
  try {
    counts = await Promise.all(
      others.map((node) => send(place, cluster, member, node, Math.ceil(frames / others.length)))
    )
    const after = await Promise.all(others.map(looksOf))
    after.forEach((look, i) => {
      if (look !== before[i]) problems.push(`a node looks like this: ${look}; before: ${before[i]}`)
    })
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error))
  }
  const ended = nowMicros()
  for (const { id } of others.filter((node) => !node.alive)) problems.push(`${id} has ended`)
  try {
    // Where a node is gone for good, there is nothing to wait for.
    if (problems.length > 0) throw new Violation("what the nodes hold was not looked at")
    await Promise.all(others.map((node) => node.rest()))
    await cluster.launch(member)
    await cluster.allVote(60_000)
    problems.push(...audit(cluster.calls, await finalState(cluster), timeoutMs + 4000))
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error))
  }
  if (problems.length > 0) place.keep()
  const sum = (of: (counts: Counts) => number): number => counts.reduce((total, one) => total + of(one), 0)
  const written = cluster.calls.filter((call) => isWrite(call) && call.called >= began)
  const gaps = gapsBetweenWrites(cluster.calls, began, ended)
  const sent = sum((one) => one.frames)
  conclude({
    command: "hostile",
    seed: place.seed,
    seconds: (ended - began) / 1e6,
    figures: [
      atLeast("frames", sent, frames, ""),
      atMost("connections that a flaw did not end", sum(({ stayed }) => stayed), 0, ""),
      atMost(
        "connections that failed before",
        sum(({ failed }) => failed),
        sum(({ connections }) => connections) / 20,
        ""
      ),
      told("writes beside", written.length, ""),
      atMost("failed writes beside", written.filter(({ outcome }) => outcome._tag !== "Answered").length, 0, ""),
      told("gap between writes: p99", percentile(gaps, 99), "ms"),
      told("gap between writes: longest", Math.max(...gaps), "ms")
    ],
    counts: {
      "connections": sum(({ connections }) => connections),
      "frames that ended a connection": sum((one) => one.ended),
      "connections refused for who they said they were": sum(({ refused }) => refused)
    },
    problems
  })
}
