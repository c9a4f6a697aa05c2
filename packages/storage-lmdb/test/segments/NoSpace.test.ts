import type { LogIndex } from "@distkv/core"
import { assert, describe, it } from "@effect/vitest"
import type { SegmentFiles } from "../../src/segments/SegmentFiles.ts"
import { SegmentLog } from "../../src/segments/SegmentLog.ts"
import { hardState, noOps, someIdentity } from "../directories.ts"
import { drawFrom, PowerDisk } from "./PowerDisk.ts"

/** A log on a disk that makes no new files for a reason, while there is one. */
const onDisk = async () => {
  const state: { code: string | null; refused: number } = { code: null, refused: 0 }
  const files = new PowerDisk(drawFrom(1)).start(Number.MAX_SAFE_INTEGER)
  const create: SegmentFiles["create"] = (name, bytes) => {
    if (state.code === null) return files.create(name, bytes)
    state.refused++
    return Promise.reject(Object.assign(new Error(`${state.code}: no file`), { code: state.code }))
  }
  const log = await SegmentLog.open({ ...files, create }, 4096)
  await log.found(someIdentity.incarnation, hardState(1, "n1"))
  let last = 0
  const append = (count: number) =>
    noOps(1, last + 1, last += count).reduce(
      (before, entry) => before.then(() => log.write({ hardState: null, base: null, reset: false, entries: [entry] })),
      Promise.resolve()
    )
  return { append, log, state }
}

const reasonOf = (failed: Promise<unknown>) => failed.then(() => "no failure", (cause: Error) => cause.message)

describe("a log whose next segment could not be made", () => {
  it("makes it when it is needed, where there is space by then", async () => {
    const { append, log, state } = await onDisk()
    state.code = "ENOSPC"
    // The next segment is there already; the one after it is asked for when that is begun.
    while (state.refused === 0) await append(1)
    state.code = null
    await append(60)
    const whole = Number.MAX_SAFE_INTEGER as LogIndex
    assert.deepStrictEqual(await log.read(1 as LogIndex, whole, whole), noOps(1, 1, log.last))
    await log.close()
  })

  it("fails the step that needs it, where there is none or the disk has failed", async () => {
    for (const [code, later] of [["ENOSPC", "ENOSPC"], ["EIO", null]] as const) {
      const { append, log, state } = await onDisk()
      state.code = code
      while (state.refused === 0) await append(1)
      state.code = later
      assert.strictEqual(await reasonOf(append(60)), `${code}: no file`)
      await log.close()
    }
  })
})
