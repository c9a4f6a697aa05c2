/** What the simulated disk remembers beyond what is on it: the invariants rely on that. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import type { Key } from "../../src/domain/Entry.ts"
import type { NodeId } from "../../src/domain/Identity.ts"
import type { LogEntry } from "../../src/domain/LogEntry.ts"
import type { LogIndex, Term } from "../../src/domain/Position.ts"
import { Coverage } from "../../src/testing/Coverage.ts"
import { identityOf } from "../../src/testing/Founding.ts"
import { meta } from "../../src/testing/laws/StateSamples.ts"
import { type DiskObserver, SimDisk } from "../../src/testing/SimDisk.ts"
import { SimWorld } from "../../src/testing/SimWorld.ts"
import { SnapshotLedger } from "../../src/testing/SnapshotLedger.ts"
import { putEntry } from "../simulation/calls.ts"

const node = "n1" as NodeId

const diskWith = (...entries: ReadonlyArray<LogEntry>) => {
  const world = new SimWorld({ seed: 1 })
  const disk = new SimDisk(world, node)
  const fill = (log: ReadonlyArray<LogEntry>) =>
    disk.prepare(identityOf(node), { term: 3 as Term, votedFor: null }, log)
  fill(entries)
  return { world, disk, fill, acknowledged: (index: number) => disk.acknowledgedTermAt(index as LogIndex) }
}

/** Notes what nodes are reproached with. */
const observerOf = (broken: Array<string>): DiskObserver => ({
  hardState: () => {},
  written: () => {},
  snapshots: new SnapshotLedger(new Coverage()),
  happened: () => {},
  broken: (invariant) => void broken.push(invariant)
})

describe("the simulated disk", () => {
  it("knows what it held before it was wiped, however often that was", () => {
    const { acknowledged, disk, fill } = diskWith(putEntry(1, 1, "a"), putEntry(1, 2, "b"), putEntry(2, 3, "c"))
    disk.wipe()
    assert.strictEqual(acknowledged(3), 2)
    fill([putEntry(1, 1, "a")])
    disk.wipe()
    assert.deepStrictEqual([1, 2, 3, 4].map(acknowledged), [1, 1, 2, undefined])
  })

  it("goes by what it holds now where it held something else before", () => {
    const { acknowledged, disk, fill } = diskWith(putEntry(1, 1, "a"), putEntry(1, 2, "b"))
    disk.wipe()
    fill([putEntry(1, 1, "a"), putEntry(3, 2, "c")])
    assert.strictEqual(acknowledged(2), 3)
  })

  it("is sound again once a damaged record was replaced", () => {
    const { disk, world } = diskWith(putEntry(1, 1, "a"), putEntry(1, 2, "b"), putEntry(1, 3, "c"))
    const { log } = disk.attach(world.host("n1"))
    const replace = (entry: LogEntry) => {
      world.runEffect(log.write({ hardState: null, entries: [entry] }), 60_000)
      return disk.isRotten
    }
    disk.flipBit(2 as LogIndex, 400)
    assert.isTrue(disk.isRotten)
    assert.isTrue(replace(putEntry(3, 3, "d")), "the damaged record is still there")
    assert.isFalse(replace(putEntry(3, 2, "e")))
  })

  it("does not let a node start whose hard state is damaged, until the disk is replaced", () => {
    const { disk, world } = diskWith(putEntry(1, 1, "a"))
    const recovered = () => world.runEffect(disk.attach(world.host("n1")).log.recover, 1000)
    disk.damaged = "hard state"
    assert.isTrue(Exit.isFailure(recovered()!))
    disk.wipe()
    assert.isTrue(Exit.isSuccess(recovered()!))
  })

  it("reproaches a process that goes on after it has read a damaged row, and none that has ended", () => {
    const broken: Array<string> = []
    const world = new SimWorld({ seed: 1 })
    const disk = new SimDisk(world, node, observerOf(broken))
    const read = () => {
      const host = world.host("n1")
      const { state } = disk.attach(host)
      assert.throws(() => state.getUnsafe("a" as Key), "checksum")
      return host
    }
    disk.state.flipRow("a" as Key)
    read().crash()
    world.run(60_000)
    assert.deepStrictEqual(broken, [])
    read()
    world.run(60_000)
    assert.deepStrictEqual(broken, ["D02"])
  })

  it("keeps a piece of a snapshot with a flipped bit where it is told to, and then the snapshot is refused", () => {
    const broken: Array<string> = []
    const world = new SimWorld({ seed: 1 })
    const from = new SimDisk(world, node)
    from.state.meta = meta(0)
    const disk = new SimDisk(world, node, observerOf(broken))
    const store = from.attach(world.host("n1")).state
    const { state } = disk.attach(world.host("n2"))
    const take = (which: number | null) => {
      if (which !== null) disk.state.flipNextPiece(which)
      const taking = Effect.gen(function*() {
        const snapshot = yield* store.snapshot(null)
        const incoming = yield* state.receive
        yield* incoming.append(yield* snapshot!.read(0, snapshot!.id.bytes))
        return yield* incoming.prepare
      })
      return Exit.isSuccess(world.runEffect(Effect.scoped(taking), 60_000)!)
    }
    assert.isTrue(take(null))
    for (let bit = 0; bit < 300; bit++) assert.isFalse(take(bit + (bit % 8) * 2 ** 29), `bit ${bit}`)
    assert.isTrue(take(null))
    assert.deepStrictEqual(broken, [])
  })
})
