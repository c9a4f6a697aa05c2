/**
 * Measuring in turns. The speed of a shared machine moves by a factor of two within minutes, so only what was measured
 * in one round is compared: in a round every contender has its turn at every level, in another order each time, while
 * the others are stopped (SIGSTOP). Each is warmed up by a load of the same kind before it is measured.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { join } from "node:path"
import { cpuMicros, endAll } from "./clusters/Processes.ts"
import type { Cluster, Contender, Level, LoadResult } from "./Contender.ts"
import type { Options } from "./Options.ts"
import { isInMemory } from "./report/Report.ts"

export interface Plan {
  readonly rounds: number
  readonly seconds: number
  /** Seconds before a contender's first measurement at a level; a second is enough before the later ones. */
  readonly warmUp: number
}

/** The options' plan over the section's own; the quick one shows only that everything works. */
export const planOf = (options: Options, { rounds = 5, seconds = 3 } = {}): Plan => ({
  rounds: options.rounds ?? (options.quick ? 1 : rounds),
  seconds: options.seconds ?? (options.quick ? 0.5 : seconds),
  warmUp: options.warmUp ?? (options.quick ? 0 : 5)
})

/** Contenders that are compared at one level. */
export interface Group {
  /** As it is shown in the table's first column. */
  readonly label: string
  readonly level: Level
  readonly contenders: ReadonlyArray<Contender>
}

/** What one contender did at one level in one round. */
export interface Measurement extends LoadResult {
  readonly label: string
  readonly contender: string
  readonly round: number
  readonly clients: number
  readonly perSecond: number
  /** Microseconds of processor time for each call that succeeded, by process, the leader first. */
  readonly cpuMicros: ReadonlyArray<{ readonly name: string; readonly perOperation: number }>
}

const signal = (cluster: Cluster, name: "SIGSTOP" | "SIGCONT") => {
  for (const { pid } of cluster.processes()) process.kill(pid, name)
}

/** Clusters in a folder of their own; those that nobody needs at the moment are held still. */
export class Site {
  readonly folder: string
  readonly #clusters = new Set<Cluster>()
  /** Tries again where a process that is about to go still adds a file. */
  readonly #remove = () => rmSync(this.folder, { recursive: true, force: true, maxRetries: 10 })

  constructor(options: Options) {
    this.folder = mkdtempSync(join(options.dir, "distkv-bench-"))
    process.once("exit", this.#remove) // also when it is told to end
    if (isInMemory(this.folder)) {
      console.error(`${this.folder} is in memory: there a commit costs no disk; choose another with --dir`)
    }
  }

  /** A folder for a cluster's data. */
  folderOf(name: string): string {
    return join(this.folder, name)
  }

  /** Starts those that do not run yet, beside those among them that do: a client beside its servers. */
  async start(clusters: ReadonlyArray<Cluster>): Promise<void> {
    for (const cluster of clusters.filter((one) => !this.#clusters.has(one))) {
      await this.wake(clusters.filter((one) => this.#clusters.has(one)))
      console.error(`starting ${cluster.name}`)
      await cluster.start()
      this.#clusters.add(cluster)
      await cluster.ready()
    }
  }

  /** Lets these run, and nobody else. */
  async wake(clusters: ReadonlyArray<Cluster>): Promise<void> {
    for (const cluster of this.#clusters) signal(cluster, clusters.includes(cluster) ? "SIGCONT" : "SIGSTOP")
    for (const cluster of clusters) await cluster.ready()
  }

  async stop(cluster: Cluster): Promise<void> {
    this.#clusters.delete(cluster)
    await cluster.stop()
  }

  async close(): Promise<void> {
    await Promise.all([...this.#clusters].map((cluster) => this.stop(cluster)))
    await endAll() // a cluster whose start failed half-way, a load beside one that failed
    process.off("exit", this.#remove)
    this.#remove()
  }
}

/** Where all sections of a quick run are measured: to start every cluster for each would take longer than the rest. */
let shared: Site | undefined

/** Ends what a quick run has started. */
export const closeShared = async (): Promise<void> => {
  await shared?.close()
  shared = undefined
}

/** Opens a site for as long as `use` takes; in a quick run it is the same one until `closeShared`. */
export const atSite = async <A>(options: Options, use: (site: Site) => Promise<A>): Promise<A> => {
  if (options.quick) {
    shared ??= new Site(options)
    return use(shared)
  }
  const site = new Site(options)
  try {
    return await use(site)
  } finally {
    await site.close()
  }
}

/** Runs a load and reads what the contender's processes used for it. */
export const measured = async (
  contender: Contender,
  level: Level,
  ms: number
): Promise<Omit<Measurement, "label" | "round">> => {
  const processes = contender.clusters.flatMap((cluster) => cluster.processes())
  const before = processes.map(({ pid }) => cpuMicros(pid))
  const result = await contender.load(level, ms)
  const used = processes.map(({ name, pid }, i) => ({
    name,
    perOperation: (cpuMicros(pid) - (before[i] ?? 0)) / Math.max(1, result.operations)
  }))
  return {
    contender: contender.name,
    clients: level.clients,
    perSecond: result.operations / result.seconds,
    cpuMicros: used,
    ...result
  }
}

/** Loads it for so long without measuring; not at all for 0 seconds. */
export const warmUp = async (contender: Contender, level: Level, seconds: number): Promise<void> => {
  if (seconds > 0) await contender.load(level, seconds * 1000)
}

/** How often a measurement is taken again whose leader was no longer the same at its end. */
const attempts = 4

/**
 * Takes a measurement during which the clusters keep their leaders. Nodes that were held still for longer than an
 * election time-out may elect another leader soon after they wake, and the load would go on at what is now a follower.
 * So the leaders are asked for at the last moment and once more afterwards, and what does not fit is taken again.
 * `undefined` where that was in vain: then there is nothing to compare.
 */
export const steadily = async <A>(
  clusters: ReadonlyArray<Cluster>,
  take: () => Promise<A>
): Promise<A | undefined> => {
  const leaders = async () => {
    for (const cluster of clusters) await cluster.ready()
    return clusters.map((cluster) => cluster.processes()[0]?.pid).join(" ")
  }
  let before = await leaders()
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const taken = await take()
    const after = await leaders()
    if (before === after) return taken
    console.error(`${clusters.map(({ name }) => name).join(", ")}: the leader changed meanwhile (attempt ${attempt})`)
    before = after
  }
  return undefined
}

/** Loads that this machine has seen already, so that their code is warm. */
const warm = new WeakMap<Contender, Set<string>>()

const turn = async (
  site: Site,
  contender: Contender,
  group: Group,
  plan: Plan,
  round: number
): Promise<Measurement | undefined> => {
  await site.wake(contender.clusters)
  const seen = warm.get(contender) ?? new Set()
  warm.set(contender, seen)
  await warmUp(contender, group.level, seen.has(group.label) ? 1 : plan.warmUp)
  seen.add(group.label)
  const taken = await steadily(contender.clusters, () => measured(contender, group.level, plan.seconds * 1000))
  if (taken === undefined) return undefined
  const measurement = { label: group.label, round, ...taken }
  console.error(
    `round ${round}, ${group.label}, ${contender.name}: ${Math.round(measurement.perSecond)}/s` +
      (measurement.errors > 0 ? `, ${measurement.errors} errors` : "")
  )
  return measurement
}

/**
 * Every contender has its turn in every group; each round begins with another one. A turn is left out where no leader
 * lasted. `after` is called each round.
 */
export const run = async (
  site: Site,
  groups: ReadonlyArray<Group>,
  plan: Plan,
  after: (measurements: ReadonlyArray<Measurement>) => void
): Promise<ReadonlyArray<Measurement>> => {
  for (const { clusters } of groups.flatMap(({ contenders }) => contenders)) await site.start(clusters)
  const measurements: Array<Measurement> = []
  for (let round = 0; round < plan.rounds; round++) {
    for (const group of groups) {
      for (const position of group.contenders.keys()) {
        const contender = group.contenders[(position + round) % group.contenders.length]
        const taken = contender === undefined ? undefined : await turn(site, contender, group, plan, round + 1)
        if (taken !== undefined) measurements.push(taken)
      }
    }
    after(measurements)
  }
  return measurements
}

/** Writes the keys that are going to be read. */
export const fillAll = async (site: Site, clusters: ReadonlyArray<Cluster>, keys: number, valueBytes: number) => {
  for (const cluster of clusters) {
    await site.start([cluster])
    await site.wake([cluster])
    await cluster.fill(keys, valueBytes)
  }
}

/** What the rounds take, in minutes. */
export const minutesOf = (groups: ReadonlyArray<Group>, { rounds, seconds, warmUp }: Plan): number => {
  const turns = groups.reduce((sum, { contenders }) => sum + contenders.length, 0)
  const settling = 0.3
  return turns * (warmUp + (rounds - 1) + rounds * (seconds + settling)) / 60
}
