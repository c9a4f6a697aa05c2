/** Snapshots on their way between nodes: damaged, large, beside load. */
import { assert, describe, it } from "@effect/vitest"
import { SimCluster } from "../../src/testing/SimCluster.ts"
import { followersOf, get, leaderOf, set } from "./calls.ts"

const electionTimeoutMs = 300

interface Options {
  readonly keys: number
  readonly valueBytes: number
  readonly bytesPerSecond: number
}

/** A leader, and a follower that was away until the log was compacted; links are whole again. */
const lagging = ({ bytesPerSecond, keys, valueBytes }: Options) => {
  const cluster = SimCluster.make({
    nodes: 3,
    settings: { checkpointInterval: 60, limits: { logEntries: 10, snapshotBytesPerSecond: bytesPerSecond } }
  })
  const leader = leaderOf(cluster)
  const [follower, other] = followersOf(cluster)
  cluster.isolate(follower)
  for (let i = 0; i < keys; i++) cluster.call(leader, set(`k${i}`, "x".repeat(valueBytes)))
  cluster.run(3 * electionTimeoutMs)
  cluster.call(leader, set("last", "1"))
  cluster.run(electionTimeoutMs)
  return { cluster, leader, follower, other }
}

const installedAt = (cluster: SimCluster, id: string) => cluster.node(id).disk.state.installed?.index ?? 0

describe("a snapshot", () => {
  // fails-with: takes-damaged-snapshots
  it("S14 in which a bit has turned is refused, and a sound one follows", () => {
    const { cluster, follower, leader } = lagging({ keys: 30, valueBytes: 10_000, bytesPerSecond: 1e9 })
    let flipped = 0
    cluster.network.filter = ({ from, message, to }) => {
      if (message._tag !== "SnapshotPiece" || message.data.length < 4000 || flipped > 0) return "deliver"
      flipped++
      const data = Uint8Array.from(message.data)
      // In the letters of a value, where nothing but a checksum can tell.
      data[3000]! ^= 1
      cluster.world.after(1, () => cluster.deliver(from, to, { ...message, data }))
      return "drop"
    }
    let damaged = 0
    const { filter } = cluster.network
    cluster.network.filter = (packet) => {
      if (packet.message._tag === "SnapshotReply" && packet.message.progress === "damaged") damaged++
      return filter(packet)
    }
    cluster.heal()
    cluster.until("its snapshot", () => installedAt(cluster, follower) > 0, 20_000)
    assert.deepStrictEqual([flipped, damaged], [1, 1])
    cluster.converge()
    for (let i = 0; i < 10; i++) {
      assert.strictEqual(cluster.call(follower, get(`k${i}`, { consistency: "stale" })), "x".repeat(10_000))
    }
    assert.strictEqual(cluster.leader(), leader)
  })

  // fails-with: snapshots-without-a-window
  it("S15 of many pieces goes beside load: few are on their way, heartbeats are on time, nobody is elected", () => {
    const { cluster, follower, leader } = lagging({ keys: 20, valueBytes: 50_000, bytesPerSecond: 2_000_000 })
    const { elections } = cluster.view
    let acknowledged = 0
    let sent = 0
    let most = 0
    let heard = cluster.now
    let longest = 0
    cluster.network.filter = ({ from, message, to }) => {
      if (from === leader && to === follower) {
        if (message._tag === "SnapshotPiece") {
          sent = Math.max(sent, message.offset + message.data.length)
          most = Math.max(most, sent - acknowledged)
        }
        if (message._tag === "AppendRequest") {
          longest = Math.max(longest, cluster.now - heard)
          heard = cluster.now
        }
      }
      if (from === follower && message._tag === "SnapshotReply") acknowledged = Math.max(acknowledged, message.offset)
      return "deliver"
    }
    heard = cluster.now
    cluster.heal()
    // Pieces take a while, so that whoever does not wait for answers has a lot of them under way.
    cluster.network.slow(leader, follower, 150)
    const began = cluster.now
    for (let i = 0; installedAt(cluster, follower) === 0 && i < 500; i++) {
      cluster.call(leader, set("load", `${i}`))
      cluster.run(15)
    }
    assert.isAbove(cluster.now - began, 1000, "two megabytes at two megabytes a second")
    assert.isAbove(sent, 2_000_000)
    assert.isAtMost(most, 128 * 1024)
    assert.isBelow(longest, electionTimeoutMs / 2)
    assert.strictEqual(cluster.view.elections, elections)
    cluster.converge()
  })
})
