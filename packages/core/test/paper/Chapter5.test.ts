/**
 * Chapter 5 of the thesis, log compaction, sentence by sentence, and the rules of figure 5.3 (InstallSnapshot). The
 * sentences are paraphrased; the state lies on disk and a checkpoint of it is what the thesis calls a snapshot, which
 * is made into a stream of bytes only for followers that need one (§5.2).
 */
import { assert, describe, it } from "@effect/vitest"
import { accepted, append, Bench, cluster, configure, put, rejected } from "../roles/Bench.ts"
import {
  askedOf,
  checkpoint,
  installed,
  kept,
  piece,
  prepared,
  progress,
  repliesOf,
  snapshot
} from "../roles/SnapshotBench.ts"
import { at, index, term } from "../rules/Logs.ts"
import { node as id } from "../rules/Voters.ts"

const beat = { _tag: "HeartbeatDue" } as const
const keepsOne = { logEntries: 1 }

/** A follower of n2 in term 1 that has entries 1 to `last`, committed up to `committed`. */
const follower = (last: number, committed: number) => {
  const entries = Array.from({ length: last }, (_, i) => put(1, i + 1))
  const bench = new Bench({ term: 1, limits: keepsOne })
  bench.deliver(append(2, 1, [0, 0], entries, committed)).persist()
  bench.take("AppendReply")
  return bench
}

/** A leader of three in term 2, with 1 to 6 committed; n3 was not heard of for long, and what it lacks is dropped. */
const leader = () => {
  const bench = new Bench({ log: [1, 1, 1, 1, 1], term: 1, limits: keepsOne }).lead([2])
  bench.deliver(accepted(2, 2, 6, 1))
  for (let i = 0; i < 25; i++) bench.elapse(100).deliver(beat, accepted(2, 2, 6, 1 + i))
  checkpoint(bench)
  assert.strictEqual(bench.node.log.base.index, index(5))
  bench.take("AppendRequest")
  bench.asked.length = 0
  return bench
}

/** n3 is heard of, and has nothing of what is left. */
const lagging = (bench: Bench) => bench.deliver(rejected(3, 2, 5, [1, 2], 26), accepted(2, 2, 6, 26))

const pieces = (bench: Bench) =>
  bench.take("SnapshotPiece").map(({ message, to }) => `${to} ${message.offset} ${message.data.length}`)

describe("§5.1, what a server drops, and what it keeps", () => {
  it("each server compacts its log on its own, follower or leader, and only what is committed and in its state", () => {
    const bench = follower(10, 6)
    checkpoint(bench)
    assert.deepStrictEqual(bench.compacted, [index(6)])
    assert.strictEqual(bench.node.log.first, index(7))
    // The rest is committed, applied, and in no checkpoint yet.
    bench.deliver(append(2, 1, [1, 10], [], 10))
    assert.strictEqual(bench.node.log.first, index(7))
  })

  it("index and term of the last entry dropped are kept: the first one after it is checked against them", () => {
    const bench = follower(6, 6)
    checkpoint(bench)
    assert.deepStrictEqual(bench.node.log.base, at(1, 5))
    bench.deliver(append(2, 1, [1, 6], [put(1, 7)])).persist()
    assert.deepStrictEqual(bench.take("AppendReply").slice(-1).map(({ message }) => [message.matched, message.index]), [
      [true, index(7)]
    ])
    const other = follower(6, 6)
    checkpoint(other)
    other.deliver(append(3, 3, [2, 6], [put(3, 7)])).persist()
    assert.deepStrictEqual(other.take("AppendReply").map(({ message }) => message.matched), [false])
  })

  it("the configuration kept with the state is the last one up to its index, and not a later one of the log", () => {
    const bench = follower(3, 3)
    bench.deliver(append(2, 1, [1, 3], [configure(1, 4, cluster(5)), configure(1, 5, cluster(3, 1))], 4)).persist()
    const { meta } = bench.node.machine.freeze()
    assert.strictEqual(meta.applied.index, index(4))
    assert.lengthOf(meta.membership.members, 5)
    assert.lengthOf(bench.node.membership.members, 4)
  })

  it("entries are kept for followers that are a little behind, as long as these are heard of", () => {
    const bench = new Bench({ log: [1, 1, 1, 1, 1], term: 1, limits: keepsOne }).lead([2])
    bench.deliver(accepted(2, 2, 6, 1), accepted(3, 2, 3, 1))
    checkpoint(bench)
    assert.strictEqual(bench.node.log.base.index, index(3))
  })

  it("a log is compacted when it has outgrown a fixed size, by count or by bytes", () => {
    const byCount = follower(10, 10)
    checkpoint(byCount)
    assert.isAbove(Number(byCount.node.log.base.index), 0)
    const within = new Bench({ term: 1, limits: { logEntries: 100, logBytes: 1_000_000 } })
    const many = (first: number, last: number) =>
      Array.from({ length: last - first + 1 }, (_, i) => put(1, first + i, `k${"x".repeat(500)}`))
    within.deliver(append(2, 1, [0, 0], many(1, 90), 90)).persist()
    checkpoint(within)
    assert.deepStrictEqual(within.compacted, [])
    const byBytes = new Bench({ term: 1, limits: { logEntries: 100, logBytes: 10_000 } })
    byBytes.deliver(append(2, 1, [0, 0], many(1, 90), 90)).persist()
    checkpoint(byBytes)
    assert.isAbove(Number(byBytes.node.log.base.index), 0)
  })
})

describe("§5.1, figure 5.3: a leader and a follower that needs what was dropped", () => {
  it("the leader sends a snapshot when the next entry that a follower needs is gone", () => {
    const bench = leader()
    lagging(bench)
    assert.deepStrictEqual(askedOf(bench), ["build"])
    assert.lengthOf(bench.take("AppendRequest").filter(({ message }) => message.entries.length > 0), 0)
    bench.snapshot = snapshot(2, 6, 50_000)
    bench.deliver({ _tag: "SnapshotBuilt" })
    assert.deepStrictEqual(askedOf(bench), ["read n3 0"])
  })

  it("in pieces in their order, a window of them at a time", () => {
    const bench = leader()
    lagging(bench)
    bench.snapshot = snapshot(2, 6, 1_000_000)
    bench.deliver({ _tag: "SnapshotBuilt" })
    const sent: Array<string> = []
    for (let i = 0; i < 10; i++) {
      const [asked] = askedOf(bench)
      if (asked === undefined) break
      const offset = Number(asked.split(" ")[2])
      const data = new Uint8Array(32 * 1024)
      bench.deliver({ _tag: "SnapshotRead", to: id(3), id: bench.snapshot, offset, data })
      sent.push(...pieces(bench))
    }
    assert.deepStrictEqual(sent, ["n3 0 32768", "n3 32768 32768", "n3 65536 32768", "n3 98304 32768"])
    bench.deliver(progress(3, 2, bench.snapshot, 32_768))
    assert.deepStrictEqual(askedOf(bench), ["read n3 131072"])
  })

  it("writes go on while a snapshot is built and sent (§5.1.1)", () => {
    const bench = leader()
    lagging(bench)
    const ends = bench.propose("k")
    bench.persist().deliver(accepted(2, 2, 7, 26))
    assert.deepStrictEqual(ends.map((end) => end._tag), ["Applied"])
  })

  // scenario: S11
  // fails-with: builds-once
  it("one snapshot is built at a time; one that the log has outgrown meanwhile is followed by another", () => {
    const bench = leader()
    lagging(bench)
    assert.deepStrictEqual(askedOf(bench), ["build"])
    bench.elapse(100).deliver(beat, accepted(2, 2, 6, 27))
    assert.deepStrictEqual(askedOf(bench), [], "it is under way")
    bench.snapshot = snapshot(1, 4)
    bench.deliver({ _tag: "SnapshotBuilt" })
    assert.deepStrictEqual(askedOf(bench), ["build"], "the log begins after it")
    bench.snapshot = snapshot(2, 6)
    bench.deliver({ _tag: "SnapshotBuilt" })
    assert.deepStrictEqual(askedOf(bench), ["read n3 0"])
  })

  it("a leader that hears of a newer term in an answer steps down", () => {
    const bench = leader().deliver(progress(3, 3, snapshot(2, 6), 0))
    assert.deepStrictEqual([bench.node.role, bench.node.term], ["Follower", term(3)])
  })

  it("when the follower has all of it, appends go on after its last entry", () => {
    const bench = leader()
    lagging(bench)
    bench.snapshot = snapshot(2, 6)
    bench.deliver({ _tag: "SnapshotBuilt" })
    bench.take("AppendRequest")
    bench.deliver(progress(3, 2, bench.snapshot, 300, "done"))
    bench.propose("k")
    const sent = bench.take("AppendRequest").filter(({ message, to }) => to === id(3) && message.entries.length > 0)
    assert.deepStrictEqual(sent.map(({ message }) => message.previous), [at(2, 6)])
  })
})

describe("figure 5.3, the receiver", () => {
  const ten = snapshot(1, 10)

  // scenario: S09
  // fails-with: keeps-silent-to-older-snapshots
  it("1. refuses what comes from an older term, and says its own", () => {
    const bench = new Bench({ log: [1], term: 1 }).deliver(append(3, 4, [1, 1])).persist()
    bench.take("AppendReply")
    bench.deliver(piece(2, 1, ten, 0, 100))
    assert.deepStrictEqual(askedOf(bench), [])
    assert.deepStrictEqual(bench.take("AppendReply").map(({ message, to }) => [to, message.term, message.matched]), [
      [id(2), term(4), false]
    ])
  })

  it("2. begins with the first piece, and with no other", () => {
    const bench = follower(1, 1).deliver(piece(2, 1, ten, 100, 100))
    assert.deepStrictEqual(askedOf(bench), [])
    assert.deepStrictEqual(repliesOf(bench), ["n2 receiving 0"])
    bench.deliver(piece(2, 1, ten, 0, 100))
    assert.deepStrictEqual(askedOf(bench), ["receive 10", "append 100"])
  })

  it("3. puts each piece where it belongs: one from elsewhere is not kept", () => {
    const bench = follower(1, 1).deliver(piece(2, 1, ten, 0, 100), piece(2, 1, ten, 200, 100))
    bench.deliver(piece(2, 1, ten, 0, 100), piece(2, 1, ten, 100, 100))
    assert.deepStrictEqual(askedOf(bench), ["receive 10", "append 100", "append 100"])
  })

  it("4. answers, and waits for more until it has all", () => {
    const bench = follower(1, 1).deliver(piece(2, 1, ten, 0, 100))
    bench.deliver(kept(ten, 100))
    assert.deepStrictEqual(repliesOf(bench), ["n2 receiving 100"])
    bench.deliver(piece(2, 1, ten, 100, 200), kept(ten, 300))
    assert.include(askedOf(bench), "prepare")
    assert.deepStrictEqual(repliesOf(bench), ["n2 installing 300"])
  })

  it("5. gives up what it has of an older snapshot, and ignores one that is older than that", () => {
    const bench = follower(1, 1).deliver(piece(2, 1, ten, 0, 100), piece(2, 1, snapshot(1, 20), 0, 50))
    assert.deepStrictEqual(askedOf(bench), ["receive 10", "append 100", "receive 20", "append 50"])
    bench.deliver(piece(2, 1, ten, 0, 100))
    assert.deepStrictEqual(askedOf(bench), [])
  })

  it("5. takes nothing of one that its state has already", () => {
    const bench = follower(12, 12).deliver(piece(2, 1, ten, 0, 100))
    assert.deepStrictEqual(askedOf(bench), [])
    assert.deepStrictEqual(repliesOf(bench), ["n2 done 300"])
    assert.strictEqual(bench.node.machine.applied, index(12))
  })

  // scenario: S08
  // fails-with: throws-its-log-away
  it("6. where its log has the snapshot's last entry, all entries after it stay", () => {
    const bench = follower(12, 3).deliver(piece(2, 1, ten, 0, 100))
    assert.deepStrictEqual(repliesOf(bench), ["n2 done 300"])
    assert.deepStrictEqual([bench.node.log.last, bench.node.commit], [index(12), index(10)])
    // The same when the log has caught up while the snapshot was put in place.
    const late = follower(1, 1)
    install(late)
    late.deliver(append(2, 1, [1, 1], Array.from({ length: 11 }, (_, i) => put(1, i + 2)), 4), installed(ten))
    assert.deepStrictEqual([late.node.log.last, late.node.commit], [index(12), index(10)])
  })

  it("7. else the whole log is thrown away", () => {
    const bench = follower(1, 1)
    bench.deliver(append(3, 2, [1, 1], Array.from({ length: 12 }, (_, i) => put(2, i + 2)))).persist()
    install(bench, 3)
    bench.deliver(installed(snapshot(3, 10)))
    assert.deepStrictEqual(bench.node.log.lastId, at(3, 10))
    assert.strictEqual(bench.node.log.first, index(11))
  })

  it("8. the state is the snapshot's, and so is the configuration", () => {
    const bench = follower(1, 1)
    bench.deliver(append(2, 1, [1, 1], [configure(1, 2, cluster(3, 1))]))
    install(bench)
    bench.deliver(installed(ten, cluster(5)))
    assert.deepStrictEqual([bench.node.machine.applied, bench.node.commit], [index(10), index(10)])
    assert.strictEqual(Number(bench.node.machine.revision), 7)
    assert.lengthOf(bench.node.membership.members, 5)
    assert.isFalse(bench.node.memberships.isChanging)
  })

  it("nothing is applied between the decision to install and its end, and the old state answers until then", () => {
    const bench = follower(3, 2)
    install(bench)
    bench.deliver(append(2, 1, [1, 3], [], 3))
    assert.strictEqual(bench.node.machine.applied, index(2))
    bench.deliver(installed(ten))
    assert.strictEqual(bench.node.machine.applied, index(10))
  })

  it("a checkpoint that is under way is waited for", () => {
    const bench = follower(3, 3)
    bench.node.machine.freeze()
    bench.deliver(piece(2, 1, ten, 0, 300), kept(ten, 300), prepared(ten))
    assert.notInclude(askedOf(bench), "install")
    bench.node.machine.thaw()
    bench.deliver({ _tag: "Checkpointed" })
    assert.include(askedOf(bench), "install")
  })

  // scenario: S09
  // fails-with: candidates-wait-for-votes
  it("pieces of a newer term have a newer leader, who is followed; a leader installs none", () => {
    const bench = follower(1, 1).deliver(piece(3, 2, ten, 0, 100)).persist()
    assert.strictEqual(bench.node.term, term(2))
    assert.deepStrictEqual(askedOf(bench), ["receive 10", "append 100"])
    const candidate = follower(1, 1).elapse(3000).deliver({ _tag: "ElectionDue" })
    assert.strictEqual(candidate.node.role, "Candidate")
    candidate.deliver(piece(3, 2, ten, 0, 100))
    assert.strictEqual(candidate.node.role, "Follower")
    const leading = leader()
    leading.deliver(piece(3, 2, ten, 0, 100))
    assert.deepStrictEqual([leading.node.role, askedOf(leading)], ["Leader", []])
  })

  // scenario: S09
  // fails-with: leaders-install
  it("a node that leads when its snapshot is ready throws it away", () => {
    const bench = new Bench({ log: [1], term: 1 }).deliver(append(3, 1, [1, 1])).persist()
    bench.deliver(piece(3, 1, ten, 0, 300), kept(ten, 300))
    bench.lead([2])
    bench.deliver(prepared(ten))
    assert.include(askedOf(bench), "abandon")
    assert.notInclude(askedOf(bench), "install")
  })

  it("what turns out damaged, or of another cluster, is thrown away and said to be", () => {
    const bench = follower(1, 1).deliver(piece(2, 1, ten, 0, 300), kept(ten, 300))
    repliesOf(bench)
    bench.deliver({ _tag: "SnapshotRefused", id: ten, malformed: true })
    assert.deepStrictEqual(repliesOf(bench), ["n2 damaged 0"])
    bench.deliver(piece(2, 1, ten, 0, 300), kept(ten, 300))
    repliesOf(bench)
    bench.deliver(prepared(ten, { clusterId: "d".repeat(32) as never }))
    assert.deepStrictEqual(repliesOf(bench), ["n2 damaged 0"])
    assert.strictEqual(bench.node.machine.applied, index(1))
  })
})

/** All pieces are there, prepared, and being put in place. */
const install = (bench: Bench, termOf = 1) => {
  const id = snapshot(termOf, 10)
  bench.deliver(piece(termOf === 1 ? 2 : 3, termOf, id, 0, 300), kept(id, 300), prepared(id))
  assert.include(askedOf(bench), "install")
}
