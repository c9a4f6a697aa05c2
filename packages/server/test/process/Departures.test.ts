/** Members that are promoted, demoted and removed by operators, and trust by membership: real processes, real keys. */
import { Keys } from "@distkv/transport-ssh"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import * as path from "node:path"
import { startLoad } from "./Load.ts"
import { allVote, clientOf, startCluster } from "./TestCluster.ts"
import { eventually, type NodeProcess, runProgram, startNode, temporaryDirectory, within } from "./TestNode.ts"

/** The node's own view. */
const viewOf = (node: NodeProcess) => Effect.flatMap(clientOf([node]), (client) => client.cluster())

/** An order given on the command line, through this node. */
const order = (node: NodeProcess, ...args: ReadonlyArray<string>) =>
  runProgram([...args, "--timeout", "20s", "--json", "--endpoint", node.ready.http])

describe("members that leave", () => {
  it.live(
    "a leader is demoted, promoted and removed under load: nothing is lost, and it knows that it is out",
    () =>
      Effect.gen(function*() {
        const cluster = yield* startCluster(yield* temporaryDirectory, ["n1", "n2", "n3", "n4"])
        const load = yield* startLoad("load", () => cluster.nodes.values(), 2)
        yield* within("the cluster takes writes", Duration.seconds(30), load.more(100))
        const first = yield* cluster.leader
        const node = cluster.nodes.get(first)!
        const [other] = [...cluster.nodes.values()].filter((one) => one !== node)
        const demoted = yield* order(other!, "member", "demote", first)
        assert.deepInclude(JSON.parse(demoted.stdout), { id: first, standing: "learner" })
        assert.notStrictEqual(yield* cluster.leader, first)
        const promoted = yield* order(node, "member", "promote", first)
        assert.deepInclude(JSON.parse(promoted.stdout), { id: first, standing: "voter" })
        yield* allVote(cluster, 4)
        const second = yield* cluster.leader
        const gone = cluster.nodes.get(second)!
        const removed = yield* order(gone, "member", "remove", second)
        assert.strictEqual(removed.status, 0, removed.stderr)
        assert.deepStrictEqual(JSON.parse(removed.stdout), { id: second })
        yield* eventually(
          "it says that it was removed",
          Duration.seconds(20),
          Effect.map(viewOf(gone), (view) => view.refused === "removed" ? true : undefined),
          gone.stderr
        )
        cluster.nodes.delete(second)
        yield* allVote(cluster, 3)
        yield* within("the cluster goes on", Duration.seconds(30), load.more(100))
        yield* load.audit([...cluster.nodes.values()])
        assert.strictEqual((yield* order(other === gone ? node : other!, "member", "remove", "n9")).status, 1)
        // Started again it knows from its own directory.
        yield* gone.signal("SIGTERM")
        yield* within("it closes", Duration.seconds(20), gone.ended, gone.stderr)
        const again = yield* startNode(cluster.dirOf(second), [])
        const view = yield* viewOf(again)
        assert.deepStrictEqual([view.refused, view.role], ["removed", "follower"], "it is no learner either")
        const status = yield* runProgram(["status", "--endpoint", again.ready.http])
        assert.match(status.stdout, new RegExp(`node +${second} \\(removed\\)`))
        const ready = yield* Effect.promise(() => fetch(`${again.ready.http}/readyz?verbose`))
        assert.strictEqual(ready.status, 503)
        assert.include(yield* Effect.promise(() => ready.text()), "[-]member failed")
      }),
    120_000
  )

  it.live("a node that moved says so itself, and is found again", () =>
    Effect.gen(function*() {
      const cluster = yield* startCluster(yield* temporaryDirectory, ["n1", "n2", "n3"])
      const before = cluster.nodes.get("n3")!
      yield* before.signal("SIGTERM")
      yield* within("it closes", Duration.seconds(20), before.ended, before.stderr)
      const moved = yield* cluster.restart("n3", ["--raft", "127.0.0.1:0", "--advertise", "localhost:0"])
      const other = cluster.nodes.get("n1")!
      yield* eventually(
        "the membership has the new address",
        Duration.seconds(20),
        Effect.map(viewOf(other), ({ members }) =>
          members.find(({ id }) =>
              id === "n3"
            )?.address.startsWith("localhost:") === true
            ? true
            : undefined),
        moved.stderr
      )
    }), 90_000)
})

describe("trust by membership", () => {
  it.live(
    "a joiner needs the keys of one member only; a removed one's key is refused everywhere",
    () =>
      Effect.gen(function*() {
        const dir = yield* temporaryDirectory
        const dirOf = (id: string) => path.join(dir, id)
        const lines = new Map<string, string>()
        for (const id of ["n1", "n2", "n3"]) lines.set(id, (yield* Keys.init(dirOf(id), { comment: id })).key.line)
        // Each knows its door only: n2 comes in by n1, and n3 by n2, which does not lead.
        for (const [one, other] of [["n1", "n2"], ["n2", "n3"]] as const) {
          yield* Keys.authorize(dirOf(one), lines.get(other)!)
          yield* Keys.authorize(dirOf(other), lines.get(one)!)
        }
        const flags = (id: string) => ["--node-id", id, "--trust", "members"]
        const nodes = new Map<string, NodeProcess>()
        nodes.set("n1", yield* startNode(dirOf("n1"), [...flags("n1"), "--bootstrap"]))
        for (const [id, door] of [["n2", "n1"], ["n3", "n2"]] as const) {
          const node = yield* startNode(dirOf(id), [...flags(id), "--join", nodes.get(door)!.ready.raft])
          yield* node.serves
          nodes.set(id, node)
        }
        const first = nodes.get("n1")!
        yield* eventually(
          "three voters that all reach each other",
          Duration.seconds(30),
          Effect.map(viewOf(first), ({ members }) =>
            members.filter(({ missingKeys, voter }) =>
                voter && missingKeys.length === 0
              ).length === 3
              ? true
              : undefined),
          () => [...nodes.values()].map((node) => node.stderr().slice(-2000)).join("\n")
        )
        const removed = yield* order(first, "member", "remove", "n3")
        assert.strictEqual(removed.status, 0, removed.stderr)
        const third = nodes.get("n3")!
        yield* eventually(
          "it knows",
          Duration.seconds(20),
          Effect.map(viewOf(third), (view) => view.refused === "removed" ? true : undefined),
          third.stderr
        )
        const client = yield* clientOf([nodes.get("n2")!])
        yield* client.set("k", "v")
      }),
    90_000
  )
})
