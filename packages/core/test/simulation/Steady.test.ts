/** Clusters at work for long: many writes of all sizes, many changes of the membership, a command that breaks all. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect } from "effect"
import { DistKv } from "../../src/DistKv.ts"
import { recordHeaderBytes } from "../../src/domain/LogEntry.ts"
import type { LogIndex, Term } from "../../src/domain/Position.ts"
import { stamp } from "../../src/domain/RecordCodec.ts"
import { makePrng } from "../../src/testing/Prng.ts"
import { SimCluster } from "../../src/testing/SimCluster.ts"
import { followersOf, get, leaderOf, putEntry, set, tagOf } from "./calls.ts"

describe("a cluster", () => {
  // scenario: R01
  // fails-with: appends-again one-write-an-entry
  it("writes values of all sizes in the order of their answers, many of them with one write of its disks", () => {
    const cluster = SimCluster.make({ nodes: 3, settings: { checkpointInterval: 60_000 } })
    const leader = leaderOf(cluster)
    const random = makePrng(7)
    const writes = () => cluster.node(leader).disk.logDevice.writes
    const before = writes()
    const clients = Array.from({ length: 40 }, (_, client) => {
      const node = cluster.ids[client % 3]!
      const sizes = Array.from({ length: 25 }, () => random.chance(0.02) ? random.int(0, 1 << 20) : random.int(0, 300))
      const all = Effect.forEach(sizes, (size, i) => set(`c${client}`, `${client}.${i} ${"x".repeat(size)}`))
      return cluster.fork(node, all)
    })
    cluster.until("all answers", () => clients.every((client) => client.pollUnsafe() !== undefined), 60_000)
    for (const client of clients) {
      const exit = client.pollUnsafe()!
      if (exit._tag === "Failure") throw Cause.squash(exit.cause)
      const revisions = exit.value.map(({ revision }) => revision)
      assert.deepStrictEqual(revisions, [...revisions].sort((a, b) => a - b))
    }
    assert.isBelow(writes() - before, 1000 / 3, "a thousand entries")
    cluster.converge()
    const [one, other] = followersOf(cluster)
    const log = (id: string) => cluster.view.node(cluster.node(id).id).log.at(-1)?.chain
    assert.deepStrictEqual([log(one), log(other)], [log(leader), log(leader)])
    assert.strictEqual(cluster.view.applied.writesOf.size, 1000)
  })

  // scenario: C13
  // fails-with: waits-before-what-it-cannot-apply
  it("in whose log there is what nobody can apply stops at that entry, every node of it", () => {
    const cluster = SimCluster.make({ nodes: 3 })
    const good = putEntry(1, 2, "k")
    // A command that ends in its midst, in a record that is sound.
    const whole = putEntry(1, 3, "k").record
    const poison = stamp(Uint8Array.from(whole.subarray(0, recordHeaderBytes)), 1 as Term, 3 as LogIndex)
    for (const id of cluster.ids) {
      cluster.prepare(id, { term: 1 }, [cluster.foundingEntry(cluster.ids), good, poison])
      cluster.node(id).onEnd = () => {}
      cluster.node(id).start()
    }
    cluster.until("their end", () => cluster.ids.every((id) => cluster.node(id).condition === "stopped"), 20_000)
    for (const { last } of cluster.view.nodes.values()) assert.isAtMost(last?.applied ?? 0, 2)
    for (let i = 0; i < 2; i++) {
      for (const id of cluster.ids) cluster.node(id).start()
      cluster.until(
        "their end again",
        () => cluster.ids.every((id) => cluster.node(id).condition === "stopped"),
        20_000
      )
    }
  })

  // scenario: M19
  // fails-with: several-changes-at-once
  it("grows and shrinks all the time, while links and nodes fail, and ends with one membership", () => {
    const cluster = SimCluster.make({ nodes: 7, settings: { checkpointInterval: 100, limits: { logEntries: 20 } } })
    leaderOf(cluster)
    const random = makePrng(19)
    const ids = [...cluster.ids]
    let done = 0
    const change = (id: string) => {
      const asked = random.pick(ids)
      if (cluster.node(asked).condition !== "up") return null
      const isDown = random.chance(0.5)
      const effect = Effect.flatMap(
        DistKv,
        (kv) => isDown ? kv.members.demote(id, { timeout: 1500 }) : kv.members.promote(id, { timeout: 1500 })
      )
      return cluster.fork(asked, effect)
    }
    for (let i = 0; i < 120; i++) {
      const changes = [change(random.pick(ids)), change(random.pick(ids))]
      cluster.node(ids[i % 7]!).fork(set(`k${i % 10}`, `${i}`, { timeout: 1500 }))
      if (i % 6 === 0) cluster.isolate(random.pick(ids))
      if (i % 6 === 3) cluster.heal()
      if (i % 10 === 4) cluster.crash(random.pick(ids))
      cluster.run(400)
      for (const node of cluster.nodes.values()) if (!node.isRunning) node.start()
      done += changes.filter((one) => one !== null && one.pollUnsafe()?._tag === "Success").length
    }
    assert.isAbove(done, 60)
    cluster.converge()
    const leader = cluster.leader()!
    const membersOf = (id: string) =>
      cluster.call(id, Effect.flatMap(DistKv, (kv) => Effect.map(kv.status, ({ members }) => members)))
        .map(({ id, standing }) => `${id} ${standing}`)
    for (const id of ids) assert.deepStrictEqual(membersOf(id), membersOf(leader))
    assert.strictEqual(tagOf(cluster.exit(leader, get("k9"))), "success")
  })
})
