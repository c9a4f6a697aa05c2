import type { LogIndex } from "@distkv/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFile, stat } from "node:fs/promises"
import { join } from "node:path"
import { filesIn } from "../../src/segments/SegmentFiles.ts"
import { SegmentLog } from "../../src/segments/SegmentLog.ts"
import { hardState, noOps, someIdentity, temporaryDirectory } from "../directories.ts"

const whole = Number.MAX_SAFE_INTEGER as LogIndex

describe("segments in a real directory", () => {
  it.effect("are found again, are their owner's only, and lose the oldest as the log is compacted", () =>
    Effect.flatMap(temporaryDirectory, (parent) =>
      Effect.promise(async () => {
        const directory = join(parent, "segments")
        const log = await SegmentLog.open(await filesIn(directory), 8192)
        await log.found(someIdentity.incarnation, hardState(1, "n1"))
        for (const entry of noOps(1, 1, 200)) {
          await log.write({ hardState: null, base: null, reset: false, entries: [entry] })
        }
        const before = await (await filesIn(directory)).list()
        const base = { term: noOps(1, 1, 1)[0]!.term, index: 150 as LogIndex }
        await log.write({ hardState: null, base, reset: false, entries: [] })
        await log.close()
        const names = await (await filesIn(directory)).list()
        assert.isBelow(names.length, before.length)
        for (const name of names) assert.strictEqual((await stat(join(directory, name))).mode & 0o777, 0o600)
        const again = await SegmentLog.open(await filesIn(directory), 8192)
        assert.deepStrictEqual([again.base, again.last, again.hardState], [base, 200, hardState(1, "n1")])
        assert.deepStrictEqual(await again.read(151 as LogIndex, whole, whole), noOps(1, 151, 200))
        await again.close()
      })))

  it.effect("cost the disk about a page for a small record, whatever unit the system caches files in", () =>
    Effect.flatMap(temporaryDirectory, (parent) =>
      Effect.promise(async () => {
        const file = await (await filesIn(join(parent, "segments"))).create("one", 4 * 1024 * 1024)
        const before = await bytesWritten()
        for (let i = 0; i < 200; i++) await file.write(Buffer.alloc(500, 1), i * 500)
        const each = (await bytesWritten() - before) / 200
        await file.close()
        assert.isBelow(each, 32 * 1024)
      })))
})

/** What this process has had written to disks so far; 0 where the system does not say. */
const bytesWritten = async (): Promise<number> => {
  const text = await readFile("/proc/self/io", "utf8").catch(() => "")
  return Number(/^write_bytes: (\d+)/m.exec(text)?.[1] ?? 0)
}
