import type { LogEntry, LogIndex, Term } from "@distkv/core"
import { entryOf, StorageFailed } from "@distkv/core"
import { assert, describe, it } from "@effect/vitest"
import { putFrame } from "../../src/segments/Frame.ts"
import { segmentHeadBytes } from "../../src/segments/Segment.ts"
import { SegmentLog } from "../../src/segments/SegmentLog.ts"
import { hardState, noOps, someIdentity } from "../directories.ts"
import { drawFrom, PowerDisk } from "./PowerDisk.ts"

const whole = Number.MAX_SAFE_INTEGER
const segmentBytes = 4096
const { incarnation } = someIdentity

const newDisk = () => new PowerDisk(drawFrom(1))
const open = (disk: PowerDisk) => SegmentLog.open(disk.start(whole), segmentBytes)
const readAll = (log: SegmentLog) => log.read(1 as LogIndex, whole as LogIndex, whole)
const append = (log: SegmentLog, entries: ReadonlyArray<LogEntry>) =>
  log.write({ hardState: null, base: null, reset: false, entries })

/** A log of one entry in each frame, over several segments. */
const filled = async (count: number) => {
  const disk = newDisk()
  const log = await open(disk)
  await log.found(incarnation, hardState(1, "n1"))
  for (const entry of noOps(1, 1, count)) await append(log, [entry])
  await log.close()
  return disk
}

const refusal = async (disk: PowerDisk): Promise<string> => {
  try {
    await open(disk)
  } catch (cause) {
    if (cause instanceof StorageFailed) return cause.message
    throw cause
  }
  return "it opened"
}

const aPut = (index: number, value: Uint8Array): LogEntry =>
  entryOf({
    term: 1 as Term,
    index: index as LogIndex,
    session: 0 as LogIndex,
    sequence: 0 as LogIndex,
    unacknowledged: 0 as LogIndex,
    command: { _tag: "Put", key: "k" as never, value, ifRevision: null, previous: false, leaseId: null }
  })

describe("damaged segments", () => {
  it("are refused wherever a byte before the last frame has changed, and never become a shorter log", async () => {
    const sound = await filled(60)
    const segments = sound.files.filter((name) => name.endsWith(".log"))
    assert.isAbove(segments.length, 3)
    for (const name of segments.slice(0, -2)) {
      for (const at of [0, 9, 12, segmentHeadBytes, segmentHeadBytes + 300, 2500]) {
        const disk = await filled(60)
        disk.flip(name, at)
        assert.match(await refusal(disk), /log is damaged|has format/, `${name} at ${at}`)
      }
    }
  })

  it("are refused where a whole segment is missing, the first or one between", async () => {
    for (const which of [0, 2]) {
      const disk = await filled(60)
      await disk.start(whole).remove(disk.files.filter((name) => name.endsWith(".log"))[which]!)
      assert.match(await refusal(disk), /log is damaged/)
    }
  })

  it("a last frame that is not whole is taken for one that was being written when the power went", async () => {
    const disk = await filled(3)
    // A hard state and three frames of one entry: the last one's record begins behind its head and one row.
    const [name] = disk.files
    disk.flip(name!, segmentHeadBytes + 160 + 3 * (160 + 8 + 48) - 4)
    const log = await open(disk)
    assert.strictEqual(log.last, 2)
    await append(log, noOps(2, 3, 4))
    await log.close()
    assert.deepStrictEqual(await readAll(await open(disk)), [...noOps(1, 1, 2), ...noOps(2, 3, 4)])
  })

  it("a value that looks like a later frame is none, also when the frame around it is torn", async () => {
    const forged = Buffer.alloc(512)
    putFrame(forged, 0, { hardState: hardState(9, "n9"), base: null, reset: false, entries: [] }, {
      sequence: 99,
      incarnation,
      seed: 0
    })
    const disk = newDisk()
    const log = await SegmentLog.open(disk.start(whole), 64 * 1024)
    await log.found(incarnation, hardState(1, "n1"))
    // At each of the eight ways to lie across the grid of frames.
    for (let shift = 0; shift < 8; shift++) {
      await append(log, [aPut(shift + 1, Buffer.concat([Buffer.alloc(shift), forged]))])
    }
    await log.close()
    disk.flip(disk.files[0]!, segmentHeadBytes + 160 + 7 * align(160 + 8 + aPut(1, forged).record.length + 7))
    const again = await SegmentLog.open(disk.start(whole), 64 * 1024)
    assert.isAtMost(again.last, 8)
    assert.deepStrictEqual(again.hardState, hardState(1, "n1"))
  })
})

const align = (size: number) => Math.ceil(size / 8) * 8
