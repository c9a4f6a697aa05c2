/** A cluster of real processes that trust each other. */
import { Keys } from "@distkv/transport-ssh"
import { Duration, Effect, type Scope } from "effect"
import * as path from "node:path"
import { DistKvClient } from "../../src/client.ts"
import { eventually, type NodeProcess, startNode, TestFailed } from "./TestNode.ts"

export interface TestCluster {
  readonly dir: string
  readonly nodes: Map<string, NodeProcess>
  /** Starts a node again in its directory, as it is started in production: with neither --bootstrap nor --join. */
  readonly restart: (id: string, flags?: ReadonlyArray<string>) => Effect.Effect<NodeProcess, TestFailed, Scope.Scope>
  /** The id of the node that most nodes that answer hold for the leader, once it answers for itself. */
  readonly leader: Effect.Effect<string, TestFailed>
  readonly dirOf: (id: string) => string
  /** The end of every node's log, for the message of a failure. */
  readonly logs: () => string
}

/** Makes the keys of all these nodes, each trusting every other. */
export const exchangeKeys = Effect.fnUntraced(function*(dirs: ReadonlyArray<string>) {
  const made = yield* Effect.forEach(
    dirs,
    (dir) => Effect.map(Keys.init(dir, { comment: path.basename(dir) }), ({ key }) => ({ dir, line: key.line }))
  )
  for (const dir of dirs) {
    for (const other of made) if (other.dir !== dir) yield* Keys.authorize(dir, other.line)
  }
}, Effect.mapError((error) => new TestFailed({ message: error.message })))

/** A client of these nodes; fails on addresses only, which ours are. */
export const clientOf = (nodes: Iterable<NodeProcess>) =>
  Effect.orDie(DistKvClient.make({ endpoints: Array.from(nodes, (node) => node.ready.http) }))

const askLeader = Effect.fnUntraced(function*(nodes: ReadonlyMap<string, NodeProcess>) {
  for (const [id, node] of nodes) {
    const client = yield* clientOf([node])
    const view = yield* Effect.option(client.cluster({ timeout: Duration.millis(500) }))
    if (view._tag === "Some" && view.value.role === "leader" && view.value.leader === id) return id
  }
  return undefined
})

const logsOf = (nodes: ReadonlyMap<string, NodeProcess>) => () =>
  Array.from(nodes, ([id, node]) => `${id}:\n${node.stderr().slice(-2000)}`).join("\n")

/** Starts `ids.length` nodes: the first founds the cluster, the others join it; all of them vote when this is done. */
export const startCluster = Effect.fnUntraced(function*(
  dir: string,
  ids: ReadonlyArray<string>
): Effect.fn.Return<TestCluster, TestFailed, Scope.Scope> {
  const dirOf = (id: string) => path.join(dir, id)
  yield* exchangeKeys(ids.map(dirOf))
  const nodes = new Map<string, NodeProcess>()
  for (const id of ids) {
    const first = nodes.get(ids[0]!)
    const entrance = first === undefined ? ["--bootstrap"] : ["--join", first.ready.raft]
    nodes.set(id, yield* startNode(dirOf(id), ["--node-id", id, ...entrance]))
  }
  const cluster: TestCluster = {
    dir,
    nodes,
    dirOf,
    logs: logsOf(nodes),
    restart: Effect.fnUntraced(function*(id, flags = []) {
      const node = yield* startNode(dirOf(id), flags)
      nodes.set(id, node)
      return node
    }),
    leader: eventually("some node leads", Duration.seconds(20), askLeader(nodes), logsOf(nodes))
  }
  yield* allVote(cluster, ids.length)
  return cluster
})

/** Waits until the cluster has this many voters, all of them healthy. */
export const allVote = (cluster: TestCluster, voters: number): Effect.Effect<void, TestFailed> =>
  Effect.asVoid(eventually(
    `${voters} voters`,
    Duration.seconds(30),
    Effect.gen(function*() {
      const leader = yield* askLeader(cluster.nodes)
      if (leader === undefined) return undefined
      const client = yield* clientOf([cluster.nodes.get(leader)!])
      const view = yield* Effect.option(client.cluster({ timeout: Duration.millis(500) }))
      if (view._tag === "None") return undefined
      const healthy = view.value.members.filter((member) => member.voter && member.healthy !== false)
      return healthy.length === voters ? true : undefined
    }),
    logsOf(cluster.nodes)
  ))
