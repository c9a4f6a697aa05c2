import type { LogEntry, LogIndex, Term } from "@distkv/core"
import { assert, describe, it } from "@effect/vitest"
import type { Step } from "../../src/segments/Frame.ts"
import { SegmentLog } from "../../src/segments/SegmentLog.ts"
import { hardState, someIdentity } from "../directories.ts"
import { after, entryWith, lastOf, type Model, nothingYet, told, turns } from "./LogModel.ts"
import { type Draw, drawFrom, PowerDisk } from "./PowerDisk.ts"

const anEntry = (draw: Draw, term: number, index: number): LogEntry =>
  entryWith(term, index, Math.floor(draw() * 1e9), Math.floor(draw() ** 4 * 3000))

/** What a Raft node might do next: mostly appends, now and then a vote, a conflict, a compaction, a snapshot. */
const nextStep = (draw: Draw, model: Model): Step => {
  const kind = draw()
  const term = model.hardState.term + (draw() < 0.1 ? 1 : 0)
  const last = lastOf(model)
  const voted = term > model.hardState.term || draw() < 0.05 ? hardState(term, draw() < 0.5 ? "n2" : null) : null
  const nothing: Step = { hardState: voted, base: null, reset: false, entries: [] }
  if (kind < 0.08 && model.entries.length > 0) {
    const { index, term } = model.entries[Math.floor(draw() * model.entries.length)]!
    return { ...nothing, base: { term, index } }
  }
  if (kind < 0.1) {
    // A snapshot's last entry is beyond the log, or where the log has another one.
    const index = draw() < 0.5 ? last + 5 : model.base.index + Math.ceil(draw() * (last - model.base.index))
    return { ...nothing, base: { term: term as Term, index: index as LogIndex }, reset: true }
  }
  if (kind < 0.15) return nothing
  const conflict = kind < 0.25 ? Math.floor(draw() * Math.min(20, last - model.base.index)) : 0
  const first = last + 1 - conflict
  const count = 1 + Math.floor(draw() * 12)
  return { ...nothing, entries: Array.from({ length: count }, (_, i) => anEntry(draw, term, first + i)) }
}

/** Runs a node's log through so many losses of power; returns how many steps were made durable between them. */
const live = async (seed: number, lives: number): Promise<number> => {
  const draw = drawFrom(seed)
  const disk = new PowerDisk(draw)
  let model = nothingYet
  let steps = 0
  for (let life = 0; life < lives; life++) {
    const files = disk.start(1 + Math.floor(draw() * 60))
    const opening = SegmentLog.open(files, 16 * 1024)
    if (!await turns(opening, disk)) continue
    const log = await opening
    const found = await told(log)
    const where = `seed ${seed}, life ${life}`
    assert.deepStrictEqual(found, model, where)
    const firsts = log.terms.map(({ first }) => found.entries.find(({ index }) => index === first)?.term)
    assert.deepStrictEqual(log.terms.map(({ term }) => term), firsts as Array<Term>, where)
    if (log.incarnation === null) {
      if (!await turns(log.found(someIdentity.incarnation, model.hardState), disk)) continue
    }
    while (!disk.isOff) {
      const step = nextStep(draw, model)
      const written = log.write(step)
      if (await turns(written, disk)) {
        model = after(model, step)
        steps++
      } else {
        // It was under way: it is there, or it never was.
        const rest = await SegmentLog.open(disk.start(Number.POSITIVE_INFINITY), 16 * 1024)
        const now = await told(rest)
        const wanted = JSON.stringify(now) === JSON.stringify(model) ? model : after(model, step)
        assert.deepStrictEqual(now, wanted, `${where}, the step under way`)
        model = wanted
        await rest.close()
        break
      }
    }
  }
  return steps
}

describe("segments under losses of power", () => {
  it("hold everything that was durable and nothing in part, whatever sectors of the last write arrived", async () => {
    let steps = 0
    for (let seed = 1; seed <= 20; seed++) steps += await live(seed, 30)
    assert.isAbove(steps, 3000)
  }, 60_000)
})
