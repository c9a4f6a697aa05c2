/** Three real nodes, real SSH, real LMDB: what was acknowledged is there, whatever happens to the processes. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { startLoad } from "./Load.ts"
import { allVote, startCluster } from "./TestCluster.ts"
import { temporaryDirectory, within } from "./TestNode.ts"

const ids = ["n1", "n2", "n3"]

/** Writes acknowledged between two blows, so that each one hits a cluster that works. */
const between = 40

describe("a cluster whose processes are killed and stopped", () => {
  // scenario: K01
  // fails-with: writes-no-entries
  it.live("loses no acknowledged write while leaders are killed under load", () =>
    Effect.gen(function*() {
      const cluster = yield* startCluster(yield* temporaryDirectory, ids)
      const load = yield* startLoad("load", () => cluster.nodes.values(), 4)
      for (let round = 0; round < 4; round++) {
        yield* within("the cluster takes writes", Duration.seconds(30), load.more(between), cluster.logs)
        const leader = yield* cluster.leader
        const victim = cluster.nodes.get(leader)!
        yield* victim.signal("SIGKILL")
        yield* victim.ended
        yield* within("the rest takes writes", Duration.seconds(30), load.more(between), cluster.logs)
        yield* cluster.restart(leader)
      }
      yield* allVote(cluster, ids.length)
      const writes = yield* load.audit(cluster.nodes.values())
      assert.isAtLeast(writes, 8 * between)
    }), 120_000)

  it.live(
    "loses no acknowledged write while leaders are stopped and go on, not knowing that time has passed",
    () =>
      Effect.gen(function*() {
        const cluster = yield* startCluster(yield* temporaryDirectory, ids)
        const load = yield* startLoad("load", () => cluster.nodes.values(), 4)
        for (let round = 0; round < 3; round++) {
          yield* within("the cluster takes writes", Duration.seconds(30), load.more(between), cluster.logs)
          const leader = yield* cluster.leader
          const victim = cluster.nodes.get(leader)!
          yield* victim.signal("SIGSTOP")
          const others = new Map(Array.from(cluster.nodes).filter(([id]) => id !== leader))
          const next = yield* startLoad(`round-${round}`, () => others.values(), 1)
          yield* within("the rest takes writes", Duration.seconds(30), next.more(between), cluster.logs)
          yield* victim.signal("SIGCONT")
          yield* next.audit(others.values())
        }
        yield* allVote(cluster, ids.length)
        const writes = yield* load.audit(cluster.nodes.values())
        assert.isAtLeast(writes, 3 * between)
      }),
    120_000
  )

  it.live(
    "has everything that was acknowledged after all nodes are killed at once and started again",
    () =>
      Effect.gen(function*() {
        const cluster = yield* startCluster(yield* temporaryDirectory, ids)
        const load = yield* startLoad("load", () => cluster.nodes.values(), 4)
        for (let round = 0; round < 2; round++) {
          yield* within("the cluster takes writes", Duration.seconds(30), load.more(between), cluster.logs)
          const all = Array.from(cluster.nodes.values())
          for (const node of all) yield* node.signal("SIGKILL")
          yield* Effect.forEach(all, (node) => node.ended)
          yield* Effect.forEach(ids, (id) => cluster.restart(id), { concurrency: "unbounded" })
          yield* cluster.leader
        }
        yield* within("the cluster takes writes", Duration.seconds(30), load.more(between), cluster.logs)
        const writes = yield* load.audit(cluster.nodes.values())
        assert.isAtLeast(writes, 3 * between)
      }),
    120_000
  )
})
