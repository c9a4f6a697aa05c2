/** A part of the benchmarks that can be run by itself. */
import type { Cluster, Contender } from "./Contender.ts"
import type { Options } from "./Options.ts"
import { type Findings, reporter } from "./report/Report.ts"
import { chartsOver, type Over, summarize, type Summary, summaryTable, whole } from "./report/Summary.ts"
import { atSite, fillAll, type Group, type Measurement, minutesOf, type Plan, run, type Site } from "./Rounds.ts"
import { findTools } from "./Tools.ts"

export interface Section {
  readonly name: string
  readonly title: string
  /** One line for the list of sections. */
  readonly about: string
  readonly run: (options: Options) => Promise<void>
}

/** Everything that a comparison is made of. */
export interface Comparison {
  readonly plan: Plan
  readonly groups: ReadonlyArray<Group>
  /** Clusters whose keys are read, which therefore have to exist. */
  readonly filled: ReadonlyArray<Cluster>
  readonly rivalOf: (contender: string, label: string) => string
  /** What heads the first column. */
  readonly axis: string
  /** What the charts are drawn over; none where it is absent. */
  readonly over?: Over
  /** Further tables. */
  readonly conclude?: (measurements: ReadonlyArray<Measurement>) => Pick<Findings, "tables">
  readonly notes?: ReadonlyArray<string>
}

/** Leaves out contenders that were not asked for, or whose programs are missing. */
const available = (groups: ReadonlyArray<Group>, options: Options): ReadonlyArray<Group> => {
  const tools = findTools()
  const can = ({ clusters, describe, name }: Contender) =>
    (options.only?.includes(name) ?? true) && (tools.wrk || !describe.includes("wrk")) &&
    (tools.etcd || !clusters.some((cluster) => cluster.name === "etcd"))
  return groups.map((group) => ({ ...group, contenders: group.contenders.filter(can) }))
    .filter(({ contenders }) => contenders.length > 0)
}

/** Who failed in a measured round: its figures are not to be trusted. */
const failuresIn = (summaries: ReadonlyArray<Summary>): ReadonlyArray<string> =>
  summaries.filter(({ errors }) => errors > 0)
    .map(({ contender, errors, label }) => `not to be trusted: ${contender} at ${label}, ${whole(errors)} calls failed`)

/** A section that compares contenders in rounds. */
export const comparing = (
  name: string,
  title: string,
  about: string,
  compose: (site: Site, options: Options) => Comparison
): Section => ({
  name,
  title,
  about,
  run: (options) =>
    atSite(options, async (site) => {
      const comparison = compose(site, options)
      const groups = available(comparison.groups, options)
      const { axis, over, plan, rivalOf } = comparison
      const contenders = [...new Map(groups.flatMap(({ contenders }) => contenders).map((one) => [one.name, one]))
        .values()]
      if (contenders.length === 0) throw new Error(`${name}: there is nobody to measure`)
      console.error(`${name}: about ${Math.ceil(minutesOf(groups, plan))} minutes`)
      const { print, save } = reporter(name, title, options)
      const needed = contenders.flatMap(({ clusters }) => clusters)
      const [level] = groups.map((group) => group.level)
      const filled = comparison.filled.filter((cluster) => needed.includes(cluster))
      if (level !== undefined) await fillAll(site, filled, level.keys, level.valueBytes)
      const conclude = (measurements: ReadonlyArray<Measurement>) => {
        const summaries = summarize(measurements, rivalOf)
        return save({
          notes: [
            ...contenders.map((one) => `${one.name}: ${one.describe}`),
            `${plan.rounds} ${
              plan.rounds === 1 ? "round" : "rounds"
            } of ${plan.seconds} s, after ${plan.warmUp} s of warm-up (1 s from the second round on)`,
            ...comparison.notes ?? [],
            ...options.only === undefined ? [] : ["a part of the contenders only"],
            ...failuresIn(summaries)
          ],
          tables: [summaryTable(title, axis, summaries), ...comparison.conclude?.(measurements).tables ?? []],
          charts: over === undefined ? [] : chartsOver(name, title, over, summaries),
          raw: measurements
        })
      }
      const measurements = await run(site, groups, plan, conclude)
      print(conclude(measurements))
    })
})
