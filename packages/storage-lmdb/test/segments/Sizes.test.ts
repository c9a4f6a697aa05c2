import { assert, describe, it } from "@effect/vitest"
import { SegmentLog } from "../../src/segments/SegmentLog.ts"
import { hardState, noOps, someIdentity } from "../directories.ts"
import { drawFrom, PowerDisk } from "./PowerDisk.ts"

describe("the sizes that a log in segments knows at its start", () => {
  it("rise with the indexes, and are those of the frames", async () => {
    const disk = new PowerDisk(drawFrom(1))
    const open = () => SegmentLog.open(disk.start(Number.MAX_SAFE_INTEGER), 64 * 1024)
    const log = await open()
    await log.found(someIdentity.incarnation, hardState(1, "n1"))
    let bytes = 0
    for (let from = 1; from <= 400; from += 8) {
      const entries = noOps(1, from, from + 7)
      for (const { record } of entries) bytes += record.length
      await log.write({ hardState: null, base: null, reset: false, entries })
    }
    await log.close()
    const { sizes } = await open()
    assert.deepStrictEqual(sizes.map(({ index }) => index), Array.from({ length: 25 }, (_, i) => 16 * (i + 1)))
    const last = sizes.at(-1)?.total ?? 0
    assert.isAtLeast(last, bytes)
    assert.isAtMost(last, 4 * bytes + 50 * 256)
    for (const [i, { total }] of sizes.entries()) assert.approximately(total, last * (i + 1) / 25, last / 100)
  })
})
