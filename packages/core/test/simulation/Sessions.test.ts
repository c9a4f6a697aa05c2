/** Writes that are sent more than once: each takes effect once, whoever repeats it, wherever, and however late. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { DistKv, type WriteOptions } from "../../src/DistKv.ts"
import { isMemberSession } from "../../src/domain/Position.ts"
import { sequenceOf, sessionOf } from "../../src/domain/RecordCodec.ts"
import { clientResults, clientSessions } from "../../src/rules/Sessions.ts"
import { SimCluster } from "../../src/testing/SimCluster.ts"
import { followersOf, get, leaderOf, record, sentBy, set, tagOf } from "./calls.ts"

const open = Effect.flatMap(DistKv, (kv) => Effect.map(kv.openSession(), ({ session }) => session))

const outcome = (session: string, sequence: number | string) =>
  Effect.flatMap(DistKv, (kv) => kv.outcome(session, sequence))

const keyed = (session: string, sequence: number, more: WriteOptions = {}): WriteOptions => ({
  ...more,
  idempotencyKey: { session, sequence }
})

const writes = (cluster: SimCluster, value: string) => cluster.view.applied.writesOf.get(value)?.length ?? 0

/** Entries of the log that carry this value, copies included. */
const copies = (cluster: SimCluster, value: string) => {
  const { disk } = cluster.node(cluster.leader()!)
  let count = 0
  for (let index = 1; index <= disk.last; index++) {
    const entry = disk.entryAt(index as never)
    if (entry !== undefined && Buffer.from(entry.record).includes(value)) count++
  }
  return count
}

/** A cluster in which both followers have opened their sessions. */
const cluster3 = () => {
  const cluster = SimCluster.make({ nodes: 3 })
  leaderOf(cluster)
  for (const id of followersOf(cluster)) cluster.call(id, set("warm", id))
  return cluster
}

describe("a forwarded write", () => {
  // fails-with: executes-copies
  it("CS01 whose reply is lost is sent again, executed once, and answered like the first time", () => {
    const cluster = cluster3()
    const [follower] = followersOf(cluster)
    let lost = 0
    const packets = record(
      cluster,
      ({ message, to }) => message._tag === "ForwardReply" && to === follower && lost++ < 2
    )
    const { created, revision } = cluster.call(follower, set("k", "once"))
    assert.isTrue(created)
    const sent = sentBy(packets, follower, "ForwardRequest")
    assert.isAbove(sent.length, 2)
    assert.lengthOf(new Set(sent.map(({ record: bytes }) => `${sessionOf(bytes)}:${sequenceOf(bytes)}`)), 1)
    assert.isTrue(isMemberSession(sessionOf(sent[0]!.record)))
    assert.isAbove(copies(cluster, "once"), 1)
    assert.strictEqual(writes(cluster, "once"), 1)
    assert.strictEqual(cluster.call(cluster.leader()!, get("k")), "once")
    assert.strictEqual(cluster.call(follower, set("k", "next", { ifRevision: revision })).revision, revision + 1)
    cluster.converge()
  })

  // fails-with: executes-copies
  it("CS02 whose leader dies after the commit is answered by the next one, though both copies are in the log", () => {
    const cluster = cluster3()
    const leader = cluster.leader()!
    const [follower] = followersOf(cluster)
    record(cluster, ({ message }) => message._tag === "ForwardReply")
    const write = cluster.fork(follower, set("k", "once", { timeout: 20_000 }))
    cluster.until("the write is committed", () => writes(cluster, "once") === 1)
    cluster.crash(leader)
    cluster.network.filter = () => "deliver"
    cluster.until("an answer", () => write.pollUnsafe() !== undefined, 20_000)
    assert.strictEqual(tagOf(write.pollUnsafe()!), "success")
    assert.strictEqual(writes(cluster, "once"), 1)
    cluster.restart(leader)
    cluster.converge()
  })

  it("CS02 whose leader dies before the commit is executed by the next one", () => {
    const cluster = cluster3()
    const leader = cluster.leader()!
    const [follower] = followersOf(cluster)
    record(cluster, ({ from, message }) => from === leader && message._tag === "AppendRequest")
    const write = cluster.fork(follower, set("k", "once", { timeout: 20_000 }))
    cluster.run(50)
    cluster.crash(leader)
    cluster.network.filter = () => "deliver"
    cluster.until("an answer", () => write.pollUnsafe() !== undefined, 20_000)
    assert.strictEqual(tagOf(write.pollUnsafe()!), "success")
    cluster.restart(leader)
    cluster.converge()
    assert.strictEqual(writes(cluster, "once"), 1)
  })

  it("names its number when its outcome stays unknown, and then its outcome can be asked for", () => {
    const cluster = cluster3()
    const [follower, other] = followersOf(cluster)
    let isLost = true
    record(cluster, ({ message, to }) => isLost && message._tag === "ForwardReply" && to === follower)
    const seen: Array<unknown> = []
    for (const value of ["taken", "lost"]) {
      if (value === "lost") {
        record(cluster, ({ from, message }) => isLost && from === follower && message._tag === "ForwardRequest")
      }
      const call = Effect.flip(Effect.flatMap(DistKv, (kv) => kv.set(value, value, { timeout: 800 })))
      const error = cluster.call(follower, call)
      const { sequence, session } = error._tag === "OutcomeUnknown" ? error : assert.fail(error._tag)
      isLost = false
      seen.push(cluster.call(other, outcome(session!, sequence!))._tag)
      isLost = true
    }
    assert.deepStrictEqual(seen, ["Applied", "NotApplied"])
    assert.deepStrictEqual([writes(cluster, "taken"), writes(cluster, "lost")], [1, 0])
    cluster.network.filter = () => "deliver"
    cluster.run(3000)
    assert.strictEqual(writes(cluster, "lost"), 0)
    cluster.converge()
  })
})

describe("a client's session", () => {
  // fails-with: executes-copies
  it("CS05 outlives checkpoints and the restart of every node, and is known to all of them", () => {
    const cluster = cluster3()
    const ids = [...cluster.ids]
    const session = cluster.call(ids[0]!, open)
    const first = cluster.call(ids[1]!, set("k", "once", keyed(session, 1)))
    cluster.run(3000)
    for (const id of ids) cluster.crash(id)
    for (const id of ids) cluster.restart(id, false)
    cluster.until("a leader", () => cluster.leaderServes())
    cluster.call(cluster.leader()!, set("k", "later"))
    for (const id of ids) assert.deepStrictEqual(cluster.call(id, set("k", "once", keyed(session, 1))), first)
    assert.strictEqual(writes(cluster, "once"), 1)
    assert.strictEqual(cluster.call(ids[2]!, get("k")), "later")
    cluster.converge()
  })

  // fails-with: forgets-who-was-used
  it("CS03 ends at the same entry everywhere, when 4,096 others were used later", () => {
    const cluster = cluster3()
    const leader = cluster.leader()!
    const [first, second] = [cluster.call(leader, open), cluster.call(leader, open)]
    const many = Effect.flatMap(
      DistKv,
      (kv) =>
        Effect.forEach(Array.from({ length: clientSessions - 2 }), () => kv.openSession(), {
          concurrency: 512,
          discard: true
        })
    )
    cluster.call(leader, many)
    cluster.call(leader, set("k", "used", keyed(first, 1)))
    const [down] = followersOf(cluster)
    cluster.crash(down)
    cluster.call(leader, open)
    cluster.restart(down)
    for (const id of cluster.ids) {
      assert.strictEqual(cluster.call(id, set("k", "used", keyed(first, 1))).created, true)
      assert.strictEqual(tagOf(cluster.exit(id, set("k", "late", keyed(second, 1)))), "SessionExpired")
    }
    assert.strictEqual(writes(cluster, "late"), 0)
    cluster.converge()
  })

  it("CS04 takes numbers out of order, each once, and remembers the last 1,024 of them", () => {
    const cluster = cluster3()
    const [follower, other] = followersOf(cluster)
    const session = cluster.call(follower, open)
    const order = [9, 5, 7, 6, 8]
    const calls = order.flatMap((n) =>
      [follower, other].map((id) => cluster.fork(id, set("k", `v${n}.`, keyed(session, n))))
    )
    cluster.until("answers", () => calls.every((call) => call.pollUnsafe() !== undefined))
    for (const n of order) assert.strictEqual(writes(cluster, `v${n}.`), 1)
    const put = (n: number) => cluster.exit(other, set("k", `v${n}.`, keyed(session, n)))
    assert.strictEqual(tagOf(put(8 + clientResults)), "success")
    assert.strictEqual(tagOf(put(9)), "success")
    assert.strictEqual(tagOf(put(8)), "SessionExpired")
    assert.strictEqual(writes(cluster, "v8."), 1)
    cluster.converge()
  })

  // fails-with: anybodys-session
  it("CS19 is not a member's: nobody can name a member's session for a write of their own", () => {
    const cluster = cluster3()
    const [follower] = followersOf(cluster)
    const packets = record(cluster)
    cluster.call(follower, set("k", "1"))
    const session = sessionOf(sentBy(packets, follower, "ForwardRequest")[0]!.record)
    assert.strictEqual(tagOf(cluster.exit(follower, set("k", "2", keyed(`${session}`, 999)))), "InvalidRequest")
    assert.strictEqual(tagOf(cluster.exit(follower, outcome(`${session}`, 2 ** 50))), "SessionExpired")
    assert.strictEqual(cluster.call(follower, get("k")), "1")
  })

  // fails-with: takes-any-command
  it("CS20 refuses another command under a number that has one, and keeps the first result", () => {
    const cluster = cluster3()
    const [follower, other] = followersOf(cluster)
    const session = cluster.call(follower, open)
    const first = cluster.call(follower, set("k", "1", keyed(session, 1)))
    assert.strictEqual(tagOf(cluster.exit(other, set("k", "2", keyed(session, 1)))), "InvalidRequest")
    assert.strictEqual(tagOf(cluster.exit(other, set("l", "1", keyed(session, 1)))), "InvalidRequest")
    assert.deepStrictEqual(cluster.call(other, set("k", "1", keyed(session, 1))), first)
    cluster.converge()
  })
})
