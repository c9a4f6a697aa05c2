import { assert, describe, it } from "@effect/vitest"
import { encodeCommand } from "../../src/domain/CommandCodec.ts"
import type { Key } from "../../src/domain/Entry.ts"
import type { Outcome } from "../../src/domain/Outcome.ts"
import type { Revision } from "../../src/domain/Position.ts"
import { sequenceOf, sessionOf } from "../../src/domain/RecordCodec.ts"
import { pendingWrite, type WriteSettlement } from "../../src/state/PendingWrites.ts"
import type { StateMeta } from "../../src/StateStore.ts"
import { index, term } from "../rules/Logs.ts"
import { node as id } from "../rules/Voters.ts"
import { accepted, append, Bench, cluster, peer, put, rejected } from "./Bench.ts"

/** What a checkpoint does: the state on disk is that of the last entry applied. */
const checkpoint = ({ node: { machine } }: Bench): void => {
  machine.freeze()
  machine.thaw()
}

const tags = (ends: ReadonlyArray<WriteSettlement>) =>
  ends.map((end) => end._tag === "Failed" ? end.error._tag : end._tag)

/** Puts a snapshot that ends at an entry in the place of the state. */
const install = (bench: Bench, last: readonly [term: number, index: number]) => {
  bench.node.machine.replace()
  const meta: StateMeta = {
    applied: { term: term(last[0]), index: index(last[1]) },
    revision: 0 as Revision,
    compactRevision: 0 as Revision,
    historyBytes: 0,
    historyCutBytes: 0,
    keys: 0,
    membership: cluster(3)
  }
  return bench.deliver({ _tag: "SnapshotInstalled", meta })
}

describe("compaction", () => {
  it("outruns what is being read back for a follower, which then needs a snapshot", () => {
    const bench = new Bench({ log: [1, 1, 1, 1, 1, 1, 1, 1], term: 1, limits: { logEntries: 2, logWindowBytes: 0 } })
    bench.lead().deliver(accepted(2, 2, 9))
    assert.strictEqual(bench.node.machine.applied, index(9))
    bench.persist()
    // The entries that n3 lacks have left the memory window.
    bench.deliver(rejected(3, 2, 8, [1, 3]))
    checkpoint(bench)
    bench.elapse(3000).deliver(accepted(2, 2, 9, 1))
    const read = [4, 5, 6, 7, 8].map((at) => put(1, at))
    bench.deliver({ _tag: "Checkpointed" }, { _tag: "EntriesRead", to: id(3), entries: read })
    assert.deepStrictEqual(bench.compacted, [index(7)])
    assert.deepStrictEqual(bench.asked, ["build"])
  })

  it("sends no entries that a disk had in the place of the log's", () => {
    const bench = new Bench({ log: [1, 1, 2, 2], term: 2, limits: { logWindowBytes: 0 } })
    bench.lead().deliver(accepted(2, 3, 5)).persist()
    bench.deliver(rejected(3, 3, 4, [1, 2]))
    bench.take("AppendRequest")
    bench.deliver({ _tag: "EntriesRead", to: id(3), entries: [put(1, 3), put(1, 4)] })
    assert.deepStrictEqual(bench.take("AppendRequest").filter(({ message }) => message.entries.length > 0), [])
    bench.deliver({ _tag: "EntriesRead", to: id(3), entries: [put(2, 3), put(2, 4)] })
    assert.deepStrictEqual(bench.take("AppendRequest").map(({ message }) => message.entries.length), [2])
  })

  it("asks no disk to drop what it does not hold yet", () => {
    const bench = new Bench({ log: [1], term: 1, limits: { logEntries: 1 } })
    bench.deliver(append(2, 1, [1, 1], [put(1, 2), put(1, 3), put(1, 4)]))
    install(bench, [1, 4])
    assert.deepStrictEqual(bench.compacted, [index(1)], "the others are still on their way to the disk")
    bench.persist().deliver({ _tag: "Checkpointed" })
    assert.deepStrictEqual(bench.compacted, [index(1), index(3)])
  })
})

describe("a snapshot that passes the writes of a deposed leader", () => {
  it("leaves none of them waiting, also where two were logged at one index", () => {
    const bench = new Bench().lead()
    const ends = ["a", "b", "c"].map((key) => bench.propose(key))
    bench.deliver(append(2, 3, [2, 1], [put(3, 2)])).persist()
    bench.lead()
    ends.push(bench.propose("d"))
    assert.strictEqual(bench.node.log.last, index(4), "where c was logged before")
    bench.deliver(append(2, 5, [5, 50])).persist()
    install(bench, [5, 60])
    assert.deepStrictEqual(ends.flatMap(tags), Array(4).fill("OutcomeUnknown"))
    assert.strictEqual(bench.node.writes.places, 0)
  })

  it("has those of sessions sent again: the state knows whether they were executed", () => {
    const bench = new Bench().lead()
    const ends: Array<WriteSettlement> = []
    const record = encodeCommand({ _tag: "Delete", key: "a" as Key, ifRevision: null }, 7, 3)
    const settle = (end: WriteSettlement) => void ends.push(end)
    const write = pendingWrite({ record, deadline: 60_000, origin: null, hops: 0, settle })
    bench.deliver({ _tag: "Propose", write }).deliver(append(2, 3, [3, 50])).persist()
    bench.take("ForwardRequest")
    install(bench, [3, 60])
    const [sent] = bench.take("ForwardRequest")
    assert.deepStrictEqual([sessionOf(sent!.message.record), sequenceOf(sent!.message.record)], [7, 3])
    const outcome: Outcome = { _tag: "Deleted", revision: 1 as Revision, deleted: 1 }
    bench.deliver(
      peer(2, { _tag: "ForwardReply", id: sent!.message.id, result: { _tag: "Applied", index: index(60), outcome } })
    )
    assert.deepStrictEqual(ends, [{ _tag: "Applied", index: index(60), outcome }])
  })

  it("says of those again that their outcome is unknown, where nobody takes them", () => {
    const bench = new Bench().lead()
    const ends: Array<WriteSettlement> = []
    const record = encodeCommand({ _tag: "Delete", key: "a" as Key, ifRevision: null }, 7, 3)
    const settle = (end: WriteSettlement) => void ends.push(end)
    bench.deliver({
      _tag: "Propose",
      write: pendingWrite({ record, deadline: bench.now + 5000, origin: null, hops: 0, settle })
    })
    bench.deliver(append(2, 3, [3, 50])).persist()
    bench.unreachable.add(id(2))
    install(bench, [3, 60])
    bench.elapse(6000).deliver({ _tag: "SweepDue" })
    assert.deepStrictEqual(tags(ends), ["OutcomeUnknown"])
  })
})
