/** Where the leader's time goes under load: self time by owner. */
import { readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { fromSources } from "../clusters/Bundle.ts"
import { httpOf, servers } from "../clusters/Servers.ts"
import { until } from "../clusters/Waiting.ts"
import { type Contender, type Level, readsBy, writesBy } from "../Contender.ts"
import { type CpuProfile, ownersOf } from "../report/Owners.ts"
import { reporter, type Table } from "../report/Report.ts"
import { atSite, measured, type Plan, planOf, steadily, warmUp } from "../Rounds.ts"
import type { Section } from "../Section.ts"
import { needWrk } from "../Tools.ts"

const preload = fileURLToPath(new URL("../clusters/profiler.mjs", import.meta.url))

/** Profiles the leader while it is loaded. */
const profiled = async (contender: Contender, level: Level, plan: Plan, folder: string) => {
  const leader = contender.clusters[0]?.processes()[0]?.pid ?? 0
  const file = join(folder, `${leader}.cpuprofile`)
  rmSync(file, { force: true }) // an earlier one of the same process
  process.kill(leader, "SIGUSR2") // begins
  const { perSecond } = await measured(contender, level, plan.seconds * 1000)
  process.kill(leader, "SIGUSR2") // ends, and writes
  const read = async () => JSON.parse(readFileSync(file, "utf8")) as CpuProfile
  return { perSecond, profile: await until(`the profile ${file}`, read) }
}

const percent = (part: number, whole: number) => `${(100 * part / whole).toFixed(1)} %`

export const profile: Section = {
  name: "profile",
  title: "The leader's time by owner",
  about: "a CPU profile of the leader under load, self time by owner",
  run: (options) =>
    atSite(options, async (site) => {
      const plan = planOf(options, { seconds: 8 })
      const { print, save } = reporter("profile", "The leader's time by owner", options, "the sources")
      needWrk("profile")
      // The sources, not the bundle, in which nobody can tell what belongs to whom.
      const nodes = servers(site.folderOf("profile"), {
        nodeFlags: ["--import", preload],
        env: { ...fromSources, BENCH_PROFILES: site.folder }
      })
      const contender = httpOf(nodes, "leader")
      const loads = [
        { label: "64 writing", level: writesBy(64) },
        { label: "256 writing", level: writesBy(256) },
        { label: "64 reading", level: readsBy(64, "linearizable") },
        { label: "64 reading stale", level: readsBy(64, "stale") }
      ].slice(0, options.quick ? 1 : 4)
      await site.start([nodes])
      await nodes.fill(10_000, 256)
      const columns: Array<{ readonly label: string; readonly owners: ReadonlyMap<string, number> }> = []
      const tops: Array<Table> = []
      for (const { label, level } of loads) {
        await warmUp(contender, level, plan.warmUp)
        const taken = await steadily([nodes], () => profiled(contender, level, plan, site.folder))
        if (taken === undefined) throw new Error(`${label}: no leader lasted`)
        const { perSecond, profile } = taken
        const { functions, owners, total } = ownersOf(profile)
        columns.push({ label: `${label} (${Math.round(perSecond)}/s, profiled)`, owners })
        tops.push({
          title: `${label}: the functions with the most self time`,
          heads: ["function", "owner", "part"],
          rows: functions.slice(0, 15).map(({ micros, name, owner }) => [name, owner, percent(micros, total)])
        })
      }
      const owners = [...new Set(columns.flatMap(({ owners }) => [...owners.keys()]))]
      const totals = columns.map(({ owners }) => [...owners.values()].reduce((sum, micros) => sum + micros, 0))
      const first = columns[0]?.owners
      const table: Table = {
        title: "Self time of the leader's main thread",
        heads: ["owner", ...columns.map(({ label }) => label)],
        rows: owners.toSorted((a, b) => (first?.get(b) ?? 0) - (first?.get(a) ?? 0))
          .map((owner) => [owner, ...columns.map((one, i) => percent(one.owners.get(owner) ?? 0, totals[i] ?? 1))])
      }
      const report = save({
        notes: [
          "Functions of Node itself count for whoever called them; what no JavaScript called is `Node`. The profiler " +
          "itself slows the process by a tenth or two; other threads (collection, libuv) are not in it."
        ],
        tables: [table, ...tops],
        charts: [],
        raw: columns.map(({ label, owners }) => ({ label, micros: Object.fromEntries(owners) }))
      })
      print(report)
    })
}
