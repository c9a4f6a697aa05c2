/** `demo`: a whole cluster on this machine, a process for each node, real SSH and real storage. */
import { Keys } from "@distkv/transport-ssh"
import { Duration, Effect, Fiber } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { DistKvClient } from "../http/client/DistKvClient.ts"
import { type DemoNode, launchNode } from "./demo/DemoNode.ts"
import { dataDirOf, logFileOf, makePlan, type Plan, type PlannedNode } from "./demo/DemoPlan.ts"
import { failed } from "./ExitStatus.ts"
import type { DemoFlags } from "./NodeCommands.ts"
import { noteLine, printJson, printLine, styled } from "./Output.ts"
import type { Ready } from "./ReadyFile.ts"
import { untilStopped } from "./Signals.ts"

/** On loopback, elections need not be slower than this. */
const timing = ["--election-timeout", "300ms", "--heartbeat", "60ms"]

/** Makes every node's keys, and lets every node trust every other. */
const exchangeKeys = Effect.fnUntraced(function*(dir: string, plan: Plan) {
  const made = yield* Effect.forEach(
    plan.nodes,
    ({ id }) =>
      Effect.map(Keys.init(dataDirOf(dir, id), { comment: `demo-${id}` }), ({ key }) => ({ id, line: key.line }))
  )
  for (const { id } of plan.nodes) {
    for (const other of made) {
      if (other.id !== id) yield* Keys.authorize(dataDirOf(dir, id), other.line)
    }
  }
})

/** What a node of the demo is started with; also what a user types to start one again by hand. */
const startFlags = (dir: string, node: PlannedNode): ReadonlyArray<string> => [
  "--data-dir",
  dataDirOf(dir, node.id),
  "--raft",
  node.raft,
  "--http",
  node.http,
  ...timing
]

/** The first node founds the cluster, once; the others ask it to be admitted, which a member need not. */
const entranceFlags = (dir: string, plan: Plan, node: PlannedNode): ReadonlyArray<string> => {
  const [first] = plan.nodes
  if (node !== first) return ["--node-id", node.id, "--join", first.raft]
  const isNew = !fs.existsSync(path.join(dataDirOf(dir, node.id), "identity.json"))
  return isNew ? ["--node-id", node.id, "--bootstrap"] : ["--node-id", node.id]
}

/** A node serves as a learner first; a demo that can lose a node has all of them vote. */
const untilAllVote = Effect.fnUntraced(function*(nodes: ReadonlyArray<Ready>) {
  const store = yield* Effect.orDie(DistKvClient.make({ endpoints: nodes.map((node) => node.http) }))
  const voters = store.cluster().pipe(
    Effect.map(({ members }) => members.filter((member) => member.voter).length),
    Effect.catch(() => Effect.succeed(0))
  )
  while ((yield* voters) < nodes.length) yield* Effect.sleep(Duration.millis(50))
})

const program = (): string => {
  const local = path.join("node_modules", ".bin", "distkv")
  return fs.existsSync(local) ? `./${local}` : "distkv"
}

const shellWord = (word: string): string => /^[\w./:@=-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`

const thingsToTry = (nodes: ReadonlyArray<Ready>): ReadonlyArray<string> => {
  const distkv = program()
  const [first, last] = [nodes[0]!, nodes.at(-1)!]
  const endpoint = (node: Ready) => node.http === "http://127.0.0.1:11000" ? "" : ` --endpoint ${node.http}`
  return [
    `${distkv} set greeting hello${endpoint(first)}`,
    `${distkv} get greeting${endpoint(last)}`,
    `${distkv} status${endpoint(first)}`,
    `curl -X PUT --data-binary 'hello, world' ${first.http}/v1/kv/greeting`,
    `curl ${last.http}/v1/kv/greeting`,
    `kill -9 ${first.pid}`
  ]
}

const sayReady = Effect.fnUntraced(function*(flags: DemoFlags, nodes: ReadonlyArray<Ready>) {
  if (flags.json) return yield* printJson({ dir: flags.dir, nodes })
  for (const node of nodes) {
    yield* printLine(
      `${styled("bold", node.nodeId)}  http ${styled("cyan", node.http)}  raft ${node.raft}  pid ${node.pid}`
    )
  }
  yield* printLine("\nThe cluster serves. Try, in another terminal:\n")
  for (const line of thingsToTry(nodes)) yield* printLine(`  ${line}`)
  yield* printLine(`\nEvery node takes every call. Logs are in ${flags.dir}/*.log.`)
  yield* printLine(`Ctrl-C ends all nodes; the data stays in ${flags.dir}, and the next start finds it.`)
})

/** Tells of a node that ended by itself; the others go on. */
const watch = (flags: DemoFlags, plan: Plan, node: DemoNode): Effect.Effect<void> =>
  Effect.flatMap(node.ended, (how) => {
    const planned = plan.nodes.find(({ id }) => id === node.id)!
    const again = startFlags(flags.dir, planned).map(shellWord).join(" ")
    return noteLine(
      `${styled("yellow", `${node.id} ${how}`)}; its log is ${logFileOf(flags.dir, node.id)}. Start it again with:\n` +
        `  ${program()} start ${again}`
    )
  })

const run = Effect.fnUntraced(function*(flags: DemoFlags) {
  const plan = yield* makePlan(flags)
  yield* Effect.mapError(exchangeKeys(flags.dir, plan), (error) => failed(error.message))
  if (!flags.json) yield* printLine(`Starting ${plan.nodes.length} nodes in ${flags.dir} …`)
  const nodes = yield* Effect.forEach(plan.nodes, (node) =>
    launchNode({
      id: node.id,
      logFile: logFileOf(flags.dir, node.id),
      flags: [...startFlags(flags.dir, node), ...entranceFlags(flags.dir, plan, node)]
    }))
  // All at once, and not one after another as the scope would: each has its quorum for as long as it needs one.
  yield* Effect.addFinalizer(() =>
    Effect.forEach(nodes, (node) => node.stop, { concurrency: "unbounded", discard: true })
  )
  const ready = yield* Effect.forEach(nodes, (node) => node.ready, { concurrency: "unbounded" })
  const watching = yield* Effect.forkScoped(
    Effect.forEach(nodes, (node) => watch(flags, plan, node), { concurrency: "unbounded" })
  )
  yield* untilAllVote(ready)
  yield* sayReady(flags, ready)
  yield* Fiber.join(watching)
  return yield* failed("every node has ended")
}, Effect.scoped)

/** Runs the demo until it is told to stop; then every node closes gracefully. */
export const demo = (flags: DemoFlags) => untilStopped(run(flags))
