/** Real nodes, real SSH, real LMDB: who was away while the log was compacted comes back by a snapshot. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { allVote, clientOf, startCluster, type TestCluster } from "./TestCluster.ts"
import { eventually, temporaryDirectory, within } from "./TestNode.ts"

const ids = ["n1", "n2", "n3"]

/** More than the 64 MiB of entries that a log keeps by default. */
const values = 100
const valueBytes = 900 * 1024

const valueOf = (i: number) => new Uint8Array(valueBytes).fill(i)

/** A figure without labels of a node's metrics. */
const metric = (cluster: TestCluster, id: string, name: string) =>
  Effect.promise(async () => {
    const text = await (await fetch(`http://${cluster.nodes.get(id)!.ready.http.replace(/^http:\/\//, "")}/metrics`))
      .text()
    return Number(new RegExp(`^distkv_${name} (.+)$`, "m").exec(text)?.[1] ?? Number.NaN)
  })

/** The sum of a figure over all nodes. */
const inAll = (cluster: TestCluster, name: string) =>
  Effect.map(Effect.forEach(ids, (id) => metric(cluster, id, name)), (all) => all.reduce((sum, one) => sum + one, 0))

/** Entries in the log of a node. */
const logEntries = (cluster: TestCluster, id: string) => metric(cluster, id, "raft_log_entries")

describe("a node that was away while the log was compacted", () => {
  // scenario: S02
  it.live(
    "gets a snapshot while the others serve, and then has everything, also after another restart",
    () =>
      Effect.gen(function*() {
        const cluster = yield* startCluster(yield* temporaryDirectory, ids)
        const leader = yield* cluster.leader
        const away = ids.find((id) => id !== leader)!
        const victim = cluster.nodes.get(away)!
        yield* victim.signal("SIGKILL")
        yield* victim.ended
        const client = yield* clientOf([cluster.nodes.get(leader)!])
        for (let i = 0; i < values; i++) yield* client.set(`key${i % 7}`, valueOf(i), { timeout: "20 seconds" })
        yield* eventually(
          "the log is compacted",
          Duration.seconds(20),
          Effect.map(logEntries(cluster, leader), (entries) => entries < values ? true : undefined),
          cluster.logs
        )
        yield* cluster.restart(away)
        yield* within("all vote", Duration.seconds(60), allVote(cluster, ids.length), cluster.logs)
        const last = values - 1
        for (let round = 0; round < 2; round++) {
          const own = yield* clientOf([cluster.nodes.get(away)!])
          yield* eventually(
            "the last value",
            Duration.seconds(60),
            Effect.map(
              Effect.option(own.get(`key${last % 7}`, { consistency: "stale" })),
              (found) => found._tag === "Some" && found.value.value[0] === last ? true : undefined
            ),
            cluster.logs
          )
          for (let key = 0; key < 7; key++) {
            const { value } = yield* own.get(`key${key}`, { timeout: "10 seconds" })
            assert.strictEqual(value.length, valueBytes)
          }
          assert.isBelow(yield* logEntries(cluster, away), values)
          if (round === 0) {
            // Both ends say what it took; whoever led when it was sent.
            assert.isAtLeast(yield* inAll(cluster, "snapshot_sent_bytes_total"), 7 * valueBytes)
            assert.isAtLeast(yield* inAll(cluster, "snapshots_built_total"), 1)
            assert.isAbove(yield* inAll(cluster, "snapshot_build_seconds_total"), 0)
            assert.isAtLeast(yield* metric(cluster, away, "snapshot_received_bytes_total"), 7 * valueBytes)
            assert.isAtLeast(yield* metric(cluster, away, "snapshots_installed_total"), 1)
            // How much of the log was compacted when it was built is a matter of timing.
            assert.isAbove(yield* metric(cluster, away, "snapshot_last_index"), 0)
            assert.strictEqual(yield* metric(cluster, away, "snapshot_receiving"), 0)
          }
          const again = cluster.nodes.get(away)!
          yield* again.signal("SIGKILL")
          yield* again.ended
          yield* cluster.restart(away)
        }
      }),
    180_000
  )
})
