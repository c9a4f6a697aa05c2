import type { LogEntry, LogId, LogIndex, Term } from "@distkv/core"
import { assert, describe, it } from "@effect/vitest"
import type { Step } from "../../src/segments/Frame.ts"
import { SegmentLog } from "../../src/segments/SegmentLog.ts"
import { hardState, someIdentity } from "../directories.ts"
import { after, entryWith, type Model, nothingYet, told, turns } from "./LogModel.ts"
import { type Arrival, drawFrom, PowerDisk } from "./PowerDisk.ts"

const segmentBytes = 8 * 1024

const entries = (term: number, from: number, to: number, valueBytes: number): ReadonlyArray<LogEntry> =>
  Array.from({ length: to - from + 1 }, (_, i) => entryWith(term, from + i, 1, valueBytes))

const says = (step: Partial<Step>): Step => ({ hardState: null, base: null, reset: false, entries: [], ...step })
const append = (term: number, from: number, to: number, valueBytes = 700) =>
  says({ entries: entries(term, from, to, valueBytes) })
const logId = (term: number, index: number): LogId => ({ term: term as Term, index: index as LogIndex })

/** Everything that a log does: it grows over several segments, is cut, compacted and replaced, and grows again. */
const script: ReadonlyArray<Step> = [
  says({ hardState: hardState(1, "n1") }),
  ...Array.from({ length: 12 }, (_, i) => append(1, 2 * i + 1, 2 * i + 2)),
  says({ hardState: hardState(2, null) }),
  append(2, 23, 25), // in place of what the present segment ends with
  append(2, 14, 16), // and of what several segments hold
  says({ base: logId(1, 6) }), // the first segments go, and one of them is used again
  ...Array.from({ length: 8 }, (_, i) => append(2, 17 + 2 * i, 18 + 2 * i)),
  append(2, 33, 33, 3 * segmentBytes), // larger than a segment
  append(2, 34, 36, 10),
  says({ hardState: hardState(3, "n2"), entries: entries(3, 35, 38, 400) }),
  says({ base: logId(3, 38) }), // all of it goes
  ...Array.from({ length: 6 }, (_, i) => append(3, 39 + 2 * i, 40 + 2 * i)),
  says({ base: logId(4, 60), reset: true, hardState: hardState(4, null) }), // a snapshot takes its place
  ...Array.from({ length: 10 }, (_, i) => append(4, 61 + 2 * i, 62 + 2 * i)),
  says({ base: logId(4, 70) }),
  append(5, 79, 82)
]

/** What is durable, and the step that was under way when the power went. */
interface Stopped {
  readonly done: number
  readonly model: Model
}

/** Writes the steps from `done` on, until the power goes or all are written. */
const play = async (log: SegmentLog, disk: PowerDisk, { done, model }: Stopped): Promise<Stopped> => {
  if (log.incarnation === null) {
    if (!await turns(log.found(someIdentity.incarnation, nothingYet.hardState), disk)) return { done, model }
  }
  let now = model
  for (let at = done; at < script.length; at++) {
    const step = script[at]!
    if (!await turns(log.write(step), disk)) return { done: at, model: now }
    now = after(now, step)
  }
  return { done: script.length, model: now }
}

const begin: Stopped = { done: 0, model: nothingYet }
const everything = script.reduce(after, nothingYet)
const forEver = Number.POSITIVE_INFINITY
const newDisk = (arrival: Arrival) => new PowerDisk(drawFrom(5), arrival)

/** How many operations on files the whole script is made of. */
const operations = async (): Promise<number> => {
  const disk = newDisk("nothing")
  const log = await SegmentLog.open(disk.start(forEver), segmentBytes)
  await play(log, disk, begin)
  await log.close()
  return disk.begun
}

/** Opens the log again and again while the power goes after one, two, three … operations. */
const openInVain = async (disk: PowerDisk): Promise<void> => {
  for (let left = 1; left <= 4; left++) {
    const opening = SegmentLog.open(disk.start(left), segmentBytes)
    if (await turns(opening, disk)) await turns((await opening).close(), disk)
  }
}

/** The power goes at one boundary; then the log holds what it should, and the rest of the script can be written. */
const loseAt = async (boundary: number, arrival: Arrival): Promise<void> => {
  const where = `at operation ${boundary}, of which arrived: ${arrival}`
  const disk = newDisk(arrival)
  const opening = SegmentLog.open(disk.start(boundary), segmentBytes)
  const stopped = await turns(opening, disk) ? await play(await opening, disk, begin) : begin
  await openInVain(disk)
  const log = await SegmentLog.open(disk.start(forEver), segmentBytes)
  const found = await told(log)
  const under = script[stopped.done]
  const isThere = under !== undefined && JSON.stringify(found) !== JSON.stringify(stopped.model)
  assert.deepStrictEqual(found, isThere ? after(stopped.model, under) : stopped.model, where)
  await play(log, disk, { done: stopped.done + (isThere ? 1 : 0), model: found })
  await log.close()
  const again = await SegmentLog.open(disk.start(forEver), segmentBytes)
  assert.deepStrictEqual(await told(again), everything, `${where}, and to the end`)
  await again.close()
}

describe("segments under a loss of power at each operation", () => {
  for (const arrival of ["nothing", "all", "first", "last", "every other"] as const) {
    it(`hold all that was durable where of the last operation has arrived: ${arrival}`, async () => {
      const count = await operations()
      assert.isAbove(count, 80)
      for (let boundary = 1; boundary <= count; boundary++) await loseAt(boundary, arrival)
    }, 60_000)
  }
})
