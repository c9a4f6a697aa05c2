import type { LogIndex } from "@distkv/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { stat } from "node:fs/promises"
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
})
