/**
 * Whether a write over HTTP costs this checkout more of the processors than it costs an earlier commit.
 *
 * Writes per second say little on a machine that others use too. Processor time per write does not depend on how many
 * processors were free, but a crowded machine makes it dearer for both alike (caches, wake-ups, smaller batches). So
 * both are measured in pairs, turn about, within seconds, and each pair gives one ratio. The verdict is about the
 * median of the ratios, and how sure it is comes from the ratios themselves. The core in one process is the steadiest
 * figure; servers are what users run.
 */
import { encryption } from "@distkv/transport-ssh"
import { execFileSync } from "node:child_process"
import { cpSync, mkdtempSync, rmSync } from "node:fs"
import { setPriority, tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { fromSources } from "../clusters/Bundle.ts"
import { httpOf, ownProgram, servers } from "../clusters/Servers.ts"
import { inMemory, memoryOf } from "../clusters/Services.ts"
import { type Contender, type Level, writesBy } from "../Contender.ts"
import type { Options } from "../Options.ts"
import { reporter, resultsFile, resultsFolder } from "../report/Report.ts"
import { median } from "../report/Summary.ts"
import { atSite, measured, type Plan, planOf, type Site, steadily, warmUp } from "../Rounds.ts"
import type { Section } from "../Section.ts"
import { needWrk } from "../Tools.ts"

/** A rise of the median by more than this is a regression, if it is sure; less is not worth a word. */
const threshold = 1.03

/** By so much `--prove` slows a side down. */
const slowedBy = 0.1

const repository = join(import.meta.dirname, "..", "..")
const burner = fileURLToPath(new URL("../clusters/burner.mjs", import.meta.url))

/** Ahead of the machine's other work, where that is allowed: what waits for a processor commits in smaller batches. */
const preferred = -15

const goAhead = () => {
  try {
    setPriority(preferred)
    return true
  } catch {
    return false
  }
}

/** What is compared: the programs of a checkout. */
interface Programs {
  readonly server: string
  readonly service: URL
}

const own: Programs = { server: ownProgram, service: new URL("../clusters/service.ts", import.meta.url) }

/**
 * A commit's checkout with everything installed; removed by the function that comes with it. Its services are ours, so
 * that both are asked the same, on its own packages.
 */
const checkOut = (commit: string): { readonly programs: Programs; readonly remove: () => void } => {
  const folder = mkdtempSync(join(tmpdir(), "distkv-before-"))
  const git = (...args: ReadonlyArray<string>) => execFileSync("git", args, { cwd: repository, stdio: "ignore" })
  const remove = () => {
    process.off("exit", remove)
    git("worktree", "remove", "--force", folder)
    rmSync(folder, { force: true, recursive: true })
  }
  git("worktree", "add", "--detach", "--force", folder, commit)
  process.once("exit", remove) // also when it is told to end
  try {
    execFileSync(process.execPath, [join(folder, "scripts", "run.mjs"), "--install-only"], { stdio: ["ignore", 2, 2] })
    for (const part of ["clusters", "load", "Contender.ts"]) {
      cpSync(join(repository, "bench", part), join(folder, "bench", part), { recursive: true })
    }
  } catch (error) {
    remove()
    throw error
  }
  const server = join(folder, "packages", "server", "bin", "distkv.mjs")
  return { programs: { server, service: pathToFileURL(join(folder, "bench", "clusters", "service.ts")) }, remove }
}

/** What one turn gave. */
interface Turn {
  /** Microseconds of all processes for each write. */
  readonly micros: number
  /**
   * What the load generator used for each, 1 where it is in the process that is measured. It does the same for both
   * sides, so where the machine makes everything dearer, its part of that shows here.
   */
  readonly yardstick: number
}

interface Pair {
  readonly before: Turn
  readonly now: Turn
}

const ratioOf = ({ before, now }: Pair): number => now.micros / now.yardstick / (before.micros / before.yardstick)

interface Verdict {
  readonly name: string
  readonly pairs: ReadonlyArray<Pair>
  readonly ratio: number
  /** Between these the true median lies, with a probability of about 95 %. */
  readonly low: number
  readonly high: number
  readonly worse: boolean
}

/**
 * The interval comes from the order of the ratios alone (as in a sign test): between the k-th least and the k-th most,
 * where fewer than k of n fair coins fall on one side in about one of forty cases.
 */
const verdictOf = (name: string, pairs: ReadonlyArray<Pair>): Verdict => {
  const ratios = pairs.map(ratioOf).toSorted((a, b) => a - b)
  const n = ratios.length
  const k = Math.max(0, Math.floor(n / 2 - 0.98 * Math.sqrt(n)) - (n < 6 ? 1 : 0))
  const low = ratios[k] ?? Number.NaN
  const ratio = median(ratios)
  return { name, pairs, ratio, low, high: ratios[n - 1 - k] ?? Number.NaN, worse: ratio > threshold && low > 1 }
}

/** The two sides of a comparison. */
type Sides = readonly [before: Contender, now: Contender]

const turns = async (site: Site, name: string, sides: Sides, plan: Plan, level: Level): Promise<Verdict> => {
  const once = async (one: Contender): Promise<Turn> => {
    const { cpuMicros, generatorSeconds = 0, operations } = await measured(one, level, plan.seconds * 1000)
    const micros = cpuMicros.reduce((sum, { perOperation }) => sum + perOperation, 0)
    return { micros, yardstick: generatorSeconds === 0 ? 1 : 1e6 * generatorSeconds / operations }
  }
  /** Undefined where no leader lasted. */
  const cost = async (one: Contender, warmSeconds: number): Promise<Turn | undefined> => {
    await site.wake(one.clusters)
    await warmUp(one, level, warmSeconds)
    return steadily(one.clusters, () => once(one))
  }
  for (const one of sides) await cost(one, plan.warmUp)
  const pairs: Array<Pair> = []
  for (let round = 0; round < plan.rounds; round++) {
    // Each begins as often as the other: what a turn leaves behind must not fall on one side.
    const first = await cost(sides[round % 2 === 0 ? 0 : 1], 1)
    const second = await cost(sides[round % 2 === 0 ? 1 : 0], 1)
    if (first === undefined || second === undefined) continue
    const pair = round % 2 === 0 ? { before: first, now: second } : { before: second, now: first }
    console.error(
      `${name}, pair ${round + 1}: ${pair.before.micros.toFixed(1)} and ${pair.now.micros.toFixed(1)} µs, ` +
        ratioOf(pair).toFixed(3)
    )
    pairs.push(pair)
  }
  return verdictOf(name, pairs)
}

const compare = async (site: Site, name: string, sides: Sides, plan: Plan, level: Level): Promise<Verdict> => {
  const clusters = sides.flatMap((side) => side.clusters)
  for (const cluster of clusters) await site.start([cluster])
  try {
    return await turns(site, name, sides, plan, level)
  } finally {
    for (const cluster of clusters) await site.stop(cluster)
  }
}

/** The core in one process, where nobody waits for a disk or another process: the steadiest figure. */
const core = {
  name: "the core in memory",
  level: writesBy(256),
  sideOf: (_: Site, name: string, { service }: Programs, env: Readonly<Record<string, string>> = {}) =>
    memoryOf(inMemory({ name, program: service, env }))
}

/** Everything that a write by HTTP passes through; from the sources, since not every commit has a bundle. */
const whole = {
  name: "servers",
  // Enough for large batches: how large they are decides more of a write's cost than any change does.
  level: writesBy(256),
  sideOf: (site: Site, name: string, { server }: Programs, env: Readonly<Record<string, string>> = {}) =>
    httpOf(
      servers(site.folderOf(name), {
        name,
        program: server,
        nodeFlags: ["--import", burner],
        env: { ...env, ...fromSources }
      }),
      "leader"
    )
}

const kindsOf = (options: Options) => {
  const kinds = [core, whole].filter(({ name }) =>
    options.only === undefined || options.only.some((word) => name.includes(word))
  )
  if (kinds.includes(whole)) needWrk("check")
  return kinds
}

/** Runs the check on a pair that must not be told apart, and on one that differs by a known part. */
const prove = async (site: Site, plan: Plan, options: Options): Promise<ReadonlyArray<Verdict>> => {
  const verdicts: Array<Verdict> = []
  for (const { level, name, sideOf } of kindsOf(options)) {
    const sides = (what: string, env: Readonly<Record<string, string>>): Sides => [
      sideOf(site, `${what}-before`, own),
      sideOf(site, `${what}-now`, own, env)
    ]
    const same = await compare(site, `${name}, the same twice`, sides("same", {}), plan, level)
    const micros = slowedBy * median(same.pairs.map(({ before }) => before.micros))
    const slowed = sides("slower", { BENCH_BURN_MICROS: String(micros) })
    verdicts.push(same, await compare(site, `${name}, slower by ${100 * slowedBy} %`, slowed, plan, level))
  }
  return verdicts
}

const against = async (site: Site, plan: Plan, options: Options): Promise<ReadonlyArray<Verdict>> => {
  const commit = options.against ?? "HEAD"
  const { programs, remove } = checkOut(commit)
  try {
    const verdicts: Array<Verdict> = []
    for (const { level, name, sideOf } of kindsOf(options)) {
      const sides: Sides = [sideOf(site, "before", programs), sideOf(site, "now", own)]
      verdicts.push(await compare(site, `${name}, since ${commit}`, sides, plan, level))
    }
    return verdicts
  } finally {
    remove()
  }
}

/** Whether the check said what was known before. */
const isRight = ({ name, worse }: Verdict) => worse === name.includes("slower")

export const check: Section = {
  name: "check",
  title: "Processor time per write, before and now",
  about: "whether a write costs more than at an earlier commit (--against; --prove tries the check itself)",
  run: (options) =>
    atSite(options, async (site) => {
      const plan = planOf(options, { rounds: 40, seconds: 2 })
      const ahead = goAhead()
      const { print, save } = reporter("check", check.title, {
        ...options,
        // The page shows what the check is worth, not what somebody compared.
        json: options.json ?? (options.prove ? undefined : resultsFile("check-against", encryption, resultsFolder))
      }, "the sources")
      const verdicts = options.prove ? await prove(site, plan, options) : await against(site, plan, options)
      const report = save({
        notes: [
          `pairs of turns of ${plan.seconds} s. The core: 256 callers and three nodes in one process; servers: 256 ` +
          `clients of HTTP at the leader. Worse is a median above ${threshold} whose interval is above 1`,
          "a ratio of servers is of their time over that of the load generator in the same turn, which does the same for " +
          "both sides and is dearer when the machine is; the microseconds are as they were measured",
          ahead ? "ahead of the machine's other processes" : "with no right to go ahead of other processes"
        ],
        tables: [{
          title: "Processor time of all nodes for a write, now / before",
          heads: ["", "pairs", "median", "95 % between", "before µs", "now µs", "verdict"],
          rows: verdicts.map(({ high, low, name, pairs, ratio, worse }) => [
            name,
            String(pairs.length),
            ratio.toFixed(3),
            `${low.toFixed(3)} and ${high.toFixed(3)}`,
            median(pairs.map(({ before }) => before.micros)).toFixed(1),
            median(pairs.map(({ now }) => now.micros)).toFixed(1),
            worse ? "worse" : "not worse"
          ])
        }],
        charts: [],
        raw: verdicts
      })
      print(report)
      if (options.prove && !verdicts.every(isRight)) throw new Error("the check is not to be trusted here")
      if (!options.prove && verdicts.some(({ worse }) => worse)) throw new Error("a write has become dearer")
    })
}
