/**
 * What simulated nodes write to their logs, written to segments, on a disk that loses power again and again. The
 * simulated world takes no promise for an answer, so the segments follow it, and have to hold at each start of a node
 * what its simulated disk holds then.
 */
import type { LogId, LogWrite } from "@distkv/core"
import { DistKv } from "@distkv/core"
import { SimCluster } from "@distkv/core/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Step } from "../../src/segments/Frame.ts"
import { SegmentLog } from "../../src/segments/SegmentLog.ts"
import { someIdentity } from "../directories.ts"
import { after, lastOf, type Model, nothingYet, told, turns } from "./LogModel.ts"
import { type Draw, drawFrom, PowerDisk } from "./PowerDisk.ts"

const segmentBytes = 4096

/** From one start of a node to the next. */
interface Life {
  /** What its disk held at its start. */
  readonly found: Model
  /** What became durable since, in that order. */
  readonly steps: Array<Step>
}

/** Follows a node's simulated disk from now on. */
const follow = (cluster: SimCluster, id: string): ReadonlyArray<Life> => {
  const { disk } = cluster.node(id)
  const lives: Array<Life> = []
  /** What the write that is about to be issued will make durable. */
  let issued: (() => Step) | null = null
  const { logDevice } = disk
  const write = logDevice.write.bind(logDevice)
  logDevice.write = (what, apply, ...moment) => {
    const step = issued
    return write(what, () => {
      const made = step?.()
      apply()
      if (made !== undefined) lives.at(-1)?.steps.push(made)
    }, ...moment)
  }
  const issue = <A>(step: () => Step, begin: () => A): A => {
    issued = step
    const begun = begin()
    issued = null
    return begun
  }
  const attach = disk.attach.bind(disk)
  disk.attach = (host) => {
    const { log, state } = attach(host)
    const { base, entries, hardState } = disk.copy()
    lives.push({ found: { base, entries, hardState: hardState ?? nothingYet.hardState }, steps: [] })
    return {
      state,
      log: {
        ...log,
        write: (given) => issue(() => stepOf(given), () => log.write(given)),
        compact: (to) =>
          issue(
            () => ({ hardState: null, base: later(disk.base, to, disk.termAt(to)), reset: false, entries: [] }),
            () => log.compact(to)
          )
      }
    }
  }
  return lives
}

const stepOf = ({ entries, hardState, reset }: LogWrite): Step => ({
  hardState,
  base: reset ?? null,
  reset: reset !== undefined,
  entries: entries.map((entry) => ({ ...entry, record: Uint8Array.from(entry.record) }))
})

const later = (base: LogId, index: LogId["index"], term: LogId["term"] | undefined): LogId | null =>
  term === undefined || index <= base.index ? null : { term, index }

/** Writes from all nodes while leaders and followers are cut off and lose power; answers with all their lives. */
const simulated = (seed: number): ReadonlyArray<ReadonlyArray<Life>> => {
  const draw = drawFrom(seed)
  const cluster = SimCluster.make({
    seed,
    settings: { checkpointInterval: 60, limits: { logEntries: 6 } },
    fuzz: { preemptEvery: 300 }
  })
  const lives = cluster.ids.map((id) => follow(cluster, id))
  cluster.start()
  for (const { disk } of cluster.nodes.values()) disk.logDevice.faults.meanDelayMs = 5
  const pick = () => cluster.ids[Math.floor(draw() * cluster.ids.length)]!
  for (let i = 0; i < 60; i++) {
    for (const id of cluster.ids) {
      const value = "x".repeat(Math.floor(draw() ** 3 * 1500))
      cluster.node(id).fork(Effect.ignore(Effect.flatMap(DistKv, (kv) => kv.set(`k${i % 7}`, value))))
    }
    const what = draw()
    if (what < 0.15) cluster.isolate(draw() < 0.7 ? cluster.leader() ?? pick() : pick())
    else if (what < 0.3) cluster.heal()
    else if (what < 0.5) cluster.crash(pick())
    cluster.run(10 + draw() * 150)
    if (draw() < 0.5) { for (const id of cluster.ids) cluster.restart(id, false) }
  }
  cluster.converge()
  for (const id of cluster.ids) cluster.crash(id)
  for (const id of cluster.ids) cluster.restart(id, false)
  return lives
}

/** Writes a node's lives to segments, and loses power in the midst of each; answers with the names of all files. */
const replay = async (lives: ReadonlyArray<Life>, draw: Draw, where: string): Promise<ReadonlySet<string>> => {
  const disk = new PowerDisk(draw)
  const names = new Set<string>()
  let model = nothingYet
  const steps = lives.flatMap(({ found, steps }, life) => [
    ...life === 0 ? [{ hardState: found.hardState, base: null, reset: false, entries: found.entries }] : [],
    ...steps
  ])
  const ends = lives.map((_, life) => 1 + lives.slice(0, life + 1).reduce((sum, { steps }) => sum + steps.length, 0))
  let done = 0
  for (let life = 0; life < lives.length; life++) {
    while (done < ends[life]!) {
      const opening = SegmentLog.open(disk.start(1 + Math.floor(draw() * 40)), segmentBytes)
      if (!await turns(opening, disk)) continue
      const log = await opening
      const found = await told(log)
      const under = steps[done]
      if (JSON.stringify(found) !== JSON.stringify(model) && under !== undefined) {
        model = after(model, under)
        done++
      }
      assert.deepStrictEqual(found, model, `${where}, step ${done}`)
      if (log.incarnation === null) {
        if (!await turns(log.found(someIdentity.incarnation, nothingYet.hardState), disk)) continue
      }
      while (done < ends[life]! && await turns(log.write(steps[done]!), disk)) model = after(model, steps[done++]!)
      if (!disk.isOff) assert.deepStrictEqual(await told(log), model, `${where}, step ${done}, as it runs`)
      for (const name of disk.files) names.add(name)
    }
    const next = lives[life + 1]?.found
    if (next !== undefined) assert.deepStrictEqual(model, next, `${where}, at the start of life ${life + 2}`)
  }
  const log = await SegmentLog.open(disk.start(Number.POSITIVE_INFINITY), segmentBytes)
  assert.deepStrictEqual(await told(log), model, `${where}, in the end`)
  await log.close()
  return names
}

describe("segments under what simulated nodes write", () => {
  it("hold at each start of a node what its simulated disk holds", async () => {
    const seen = { lives: 0, cuts: 0, compactions: 0, resets: 0, votes: 0, files: 0 }
    for (let seed = 1; seed <= 8; seed++) {
      for (const [node, lives] of simulated(seed).entries()) {
        const files = await replay(lives, drawFrom(100 * seed + node), `seed ${seed}, n${node + 1}`)
        seen.files += files.size
        seen.lives += lives.length
        for (const { found, steps } of lives) {
          let model = found
          for (const step of steps) {
            const [first] = step.entries
            if (first !== undefined && !step.reset && first.index <= lastOf(model)) seen.cuts++
            if (step.base !== null) seen[step.reset ? "resets" : "compactions"]++
            if (step.hardState?.votedFor != null) seen.votes++
            model = after(model, step)
          }
        }
      }
    }
    for (const [what, times] of Object.entries(seen)) assert.isAbove(times, 3, what)
  }, 60_000)
})
