/** How a leader sends snapshots to those who cannot be reached. */
import { assert, describe, it } from "@effect/vitest"
import type { SnapshotId } from "../../src/domain/Snapshot.ts"
import { SnapshotSending } from "../../src/roles/SnapshotSending.ts"
import { Progress } from "../../src/rules/Progress.ts"
import { index, term } from "../rules/Logs.ts"
import { node as id } from "../rules/Voters.ts"
import { Bench } from "./Bench.ts"

const snapshot: SnapshotId = { last: { term: term(2), index: index(10) }, bytes: 3, checksum: 7 }

describe("a follower that needs a snapshot and cannot be reached", () => {
  it("has it read once a heartbeat, and gets it when it is back", () => {
    const bench = new Bench({ log: [1] }).lead([2])
    const progress = new Progress(index(1), 0)
    progress.needSnapshot(index(10))
    const sending = new SnapshotSending(bench.node, new Map([[id(3), progress]]))
    bench.snapshot = snapshot
    bench.unreachable.add(id(3))
    const turn = () => {
      const read = bench.asked.length
      sending.flush()
      if (bench.asked.length === read) return
      sending.take({ _tag: "SnapshotRead", to: id(3), id: snapshot, offset: 0, data: new Uint8Array(3) })
    }
    for (let turns = 0; turns < 50; turns++) turn()
    assert.deepStrictEqual(bench.asked, ["read n3 0"])
    sending.retry()
    for (let turns = 0; turns < 50; turns++) turn()
    assert.deepStrictEqual(bench.asked, ["read n3 0", "read n3 0"])
    bench.unreachable.clear()
    sending.retry()
    turn()
    assert.lengthOf(bench.take("SnapshotPiece"), 1)
  })
})
