/** How a leader sends snapshots to those who cannot be reached. */
import { assert, describe, it } from "@effect/vitest"
import type { SnapshotId } from "../../src/domain/Snapshot.ts"
import { SnapshotSending } from "../../src/roles/SnapshotSending.ts"
import { Progress } from "../../src/rules/Progress.ts"
import { index, term } from "../rules/Logs.ts"
import { node as id } from "../rules/Voters.ts"
import { Bench, electionTimeout } from "./Bench.ts"

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

describe("a follower that finds its snapshot damaged", () => {
  const said = (progress: "damaged" | "done") => ({
    _tag: "SnapshotReply" as const,
    term: term(2),
    id: snapshot,
    offset: 0,
    progress
  })

  /** A leader with two followers that need a snapshot, and one that is there to be read. */
  const sendingTo = (...ids: ReadonlyArray<number>) => {
    const bench = new Bench({ log: [1] }).lead([2])
    const progress = new Map(ids.map((one) => {
      const needing = new Progress(index(1), 0)
      needing.needSnapshot(index(10))
      return [id(one), needing] as const
    }))
    const sending = new SnapshotSending(bench.node, progress)
    bench.snapshot = snapshot
    sending.flush()
    bench.asked.length = 0
    return { bench, sending }
  }

  it("gets one that is built anew, and waits twice as long for it each time", () => {
    const { bench, sending } = sendingTo(3)
    const waits: Array<number> = []
    for (let times = 0; times < 9; times++) {
      bench.snapshot = snapshot
      sending.flush()
      sending.receive(id(3), said("damaged"))
      bench.asked.length = 0
      let waited = 0
      while (!bench.asked.includes("build") && waited < 100) {
        bench.elapse(electionTimeout)
        bench.node.now = bench.now
        sending.flush()
        waited++
      }
      waits.push(waited)
      sending.take({ _tag: "SnapshotBuilt" })
    }
    assert.deepStrictEqual(waits, [1, 2, 4, 8, 16, 32, 64, 64, 64])
  })

  it("is no trouble for another that has begun with the same one", () => {
    const { bench, sending } = sendingTo(2, 3)
    sending.receive(id(3), said("damaged"))
    sending.take({ _tag: "SnapshotRead", to: id(2), id: snapshot, offset: 0, data: new Uint8Array(1) })
    sending.flush()
    assert.deepStrictEqual(bench.take("SnapshotPiece").map(({ to }) => to), [id(2)])
    assert.notInclude(bench.asked, "build")
    bench.elapse(electionTimeout)
    bench.node.now = bench.now
    sending.flush()
    assert.include(bench.asked, "build", "nobody begins with one that was found damaged")
  })

  it("waits the first time again once it has got one", () => {
    const { bench, sending } = sendingTo(3)
    const waitOf = () => {
      sending.receive(id(3), said("damaged"))
      bench.asked.length = 0
      let waited = 0
      for (; !bench.asked.includes("build"); waited++) {
        bench.elapse(electionTimeout)
        bench.node.now = bench.now
        sending.flush()
      }
      sending.take({ _tag: "SnapshotBuilt" })
      sending.flush()
      return waited
    }
    const waits = [waitOf(), waitOf(), waitOf()]
    assert.strictEqual(sending.receive(id(3), said("done")), index(10))
    sending.flush()
    waits.push(waitOf())
    assert.deepStrictEqual(waits, [1, 2, 4, 1])
  })
})
