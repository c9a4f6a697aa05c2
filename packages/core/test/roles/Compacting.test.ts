import { assert, describe, it } from "@effect/vitest"
import type { Revision } from "../../src/domain/Position.ts"
import type { StateMeta } from "../../src/StateStore.ts"
import { index, term } from "../rules/Logs.ts"
import { node as id } from "../rules/Voters.ts"
import { accepted, append, Bench, cluster, put, rejected } from "./Bench.ts"

/** What a checkpoint does: the state on disk is that of the last entry applied. */
const checkpoint = ({ node: { machine } }: Bench): void => {
  machine.freeze()
  machine.thaw()
}

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
