/** What the simulated disk remembers beyond what is on it: the invariants rely on that. */
import { assert, describe, it } from "@effect/vitest"
import type { NodeId } from "../../src/domain/Identity.ts"
import type { LogEntry } from "../../src/domain/LogEntry.ts"
import type { LogIndex, Term } from "../../src/domain/Position.ts"
import { identityOf } from "../../src/testing/Founding.ts"
import { SimDisk } from "../../src/testing/SimDisk.ts"
import { SimWorld } from "../../src/testing/SimWorld.ts"
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
})
