/** Who gets in, and how a node leaves: real processes, real keys. */
import { Keys } from "@distkv/transport-ssh"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import * as path from "node:path"
import { startLoad } from "./Load.ts"
import { allVote, clientOf, exchangeKeys, startCluster } from "./TestCluster.ts"
import { eventually, runProgram, startNode, temporaryDirectory, within } from "./TestNode.ts"

const closing = Duration.seconds(20)

describe("nodes that come and go", () => {
  // scenario: M04
  it.live("a fourth node joins, catches up, votes, and serves what was there before", () =>
    Effect.gen(function*() {
      const cluster = yield* startCluster(yield* temporaryDirectory, ["n1", "n2", "n3"])
      const load = yield* startLoad("load", () => cluster.nodes.values(), 2)
      yield* within("the cluster takes writes", Duration.seconds(30), load.more(100))
      yield* exchangeKeys(["n1", "n2", "n3", "n4"].map(cluster.dirOf))
      const entrance = ["--node-id", "n4", "--join", cluster.nodes.get("n2")!.ready.raft]
      const fourth = yield* startNode(cluster.dirOf("n4"), entrance)
      yield* fourth.serves
      cluster.nodes.set("n4", fourth)
      yield* allVote(cluster, 4)
      yield* load.audit([fourth])
      const status = yield* runProgram(["status", "--json", "--endpoint", fourth.ready.http])
      assert.strictEqual(status.status, 0)
      const view = JSON.parse(status.stdout)
      assert.deepStrictEqual(view.members.map((member: { readonly id: string }) => member.id), ["n1", "n2", "n3", "n4"])
    }), 90_000)

  // scenario: T09
  it.live(
    "a node told to end by SIGTERM hands leadership over, and nobody's write fails",
    () =>
      Effect.gen(function*() {
        const cluster = yield* startCluster(yield* temporaryDirectory, ["n1", "n2", "n3"])
        const leader = yield* cluster.leader
        const leaving = cluster.nodes.get(leader)!
        const others = Array.from(cluster.nodes.values()).filter((node) => node !== leaving)
        const client = yield* clientOf(others)
        const termBefore = Number((yield* client.cluster()).term)
        yield* leaving.signal("SIGTERM")
        let writes = 0
        const writing = Effect.whileLoop({
          while: () => true,
          body: () => client.set(`during/${writes}`, "x"),
          step: () => writes++
        })
        const ended = yield* Effect.raceFirst(
          within("the node closes", closing, leaving.ended, leaving.stderr),
          writing
        )
        assert.strictEqual(ended?.status, 0, leaving.stderr())
        const view = yield* client.cluster()
        assert.notStrictEqual(view.leader, leader)
        assert.strictEqual(Number(view.term), termBefore + 1, "one election, held at once by the chosen successor")
        assert.isAbove(writes, 0)
        yield* client.set("after", "x")
      }),
    60_000
  )

  it.live(
    "a stranger is not admitted until its key is authorised, and is told which key to authorise where",
    () =>
      Effect.gen(function*() {
        const dir = yield* temporaryDirectory
        const cluster = yield* startCluster(dir, ["n1"])
        const member = cluster.nodes.get("n1")!
        const strangerDir = path.join(dir, "stranger")
        const { key } = yield* Keys.init(strangerDir)
        yield* Keys.authorize(strangerDir, path.join(cluster.dirOf("n1"), "id_ed25519.pub"))
        const stranger = yield* startNode(strangerDir, ["--node-id", "stranger", "--join", member.ready.raft])
        yield* eventually(
          "the stranger says what is missing",
          Duration.seconds(20),
          Effect.sync(() => stranger.stderr().includes(key.publicKey) ? true : undefined),
          stranger.stderr
        )
        const client = yield* clientOf([member])
        yield* client.set("still", "served")
        assert.deepStrictEqual((yield* client.cluster()).members.map(({ id }) => String(id)), ["n1"])
        assert.notInclude(stranger.stdout(), "ready")
        const refused = yield* Effect.flip(
          (yield* clientOf([stranger])).get("still", { timeout: Duration.millis(300) })
        )
        assert.strictEqual(refused._tag, "NoLeader")
        yield* runProgram([
          "keys",
          "authorize",
          path.join(strangerDir, "id_ed25519.pub"),
          "--data-dir",
          cluster.dirOf("n1")
        ])
        yield* stranger.serves
        assert.strictEqual(
          new TextDecoder().decode((yield* (yield* clientOf([stranger])).get("still")).value),
          "served"
        )
      }),
    90_000
  )

  it.live("an operator adds a node that awaits a join", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      const cluster = yield* startCluster(dir, ["n1"])
      const member = cluster.nodes.get("n1")!
      yield* exchangeKeys(["n1", "n2"].map(cluster.dirOf))
      const waiting = yield* startNode(cluster.dirOf("n2"), ["--node-id", "n2"])
      yield* eventually(
        "the node says that it awaits a join",
        Duration.seconds(20),
        Effect.sync(() => waiting.stderr().includes("awaits a join") ? true : undefined)
      )
      const key = path.join(cluster.dirOf("n2"), "id_ed25519.pub")
      const added = yield* runProgram([
        "member",
        "add",
        "n2",
        "--address",
        waiting.ready.raft,
        "--public-key",
        key,
        "--endpoint",
        member.ready.http
      ])
      assert.strictEqual(added.status, 0, added.stderr)
      yield* waiting.serves
      cluster.nodes.set("n2", waiting)
      yield* allVote(cluster, 2)
      const moved = yield* runProgram(["transfer", "n2", "--endpoint", member.ready.http])
      assert.strictEqual(moved.status, 0, moved.stderr)
      assert.strictEqual(yield* cluster.leader, "n2")
      const nobody = yield* runProgram(["transfer", "n9", "--endpoint", member.ready.http])
      assert.strictEqual(nobody.status, 1)
    }), 90_000)

  // scenario: D03
  it.live("a node without space forwards, and gives leadership to one that has space", () =>
    Effect.gen(function*() {
      const cluster = yield* startCluster(yield* temporaryDirectory, ["n1", "n2", "n3"])
      const before = cluster.nodes.get("n3")!
      yield* before.signal("SIGTERM")
      yield* within("the node closes", closing, before.ended, before.stderr)
      const full = yield* cluster.restart("n3", ["--disk-reserve", String(2 ** 52)])
      const client = yield* clientOf([full])
      yield* client.set("through the full one", "x", { timeout: Duration.seconds(10) })
      // Whether the full node refuses leadership or takes it and gives it away again, another leads in the end.
      yield* runProgram(["transfer", "n3", "--timeout", "5s", "--endpoint", full.ready.http])
      yield* eventually(
        "a node with space leads, and the cluster grows",
        Duration.seconds(30),
        Effect.gen(function*() {
          if ((yield* cluster.leader) === "n3") return undefined
          const grown = yield* Effect.option(client.set("more", "x".repeat(1000), { timeout: Duration.seconds(5) }))
          return grown._tag === "Some" ? grown.value : undefined
        })
      )
      assert.include(full.stderr(), "below its reserve")
    }), 90_000)
})
