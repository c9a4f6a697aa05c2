import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { DistKv } from "../../src/DistKv.ts"
import { SimCluster } from "../../src/testing/SimCluster.ts"

it("E01 a fresh cluster elects one leader and keeps it", () => {
  const cluster = SimCluster.make({ nodes: 3, seed: 1 })
  cluster.start()
  const leader = cluster.leader()
  assert.isNotNull(leader)
  const t0 = performance.now()
  const s = cluster.call(leader!, Effect.flatMap(DistKv, (kv) => kv.set("a", "1")))
  console.log(s, cluster.now)
  cluster.run(30_000)
  console.log(performance.now() - t0, cluster.world.steps, cluster.world.timeline.hash)
  assert.strictEqual(cluster.view.elections, 1)
})
