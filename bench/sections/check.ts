/**
 * Whether a write over HTTP costs this checkout more of the processors than it costs an earlier commit.
 *
 * Writes per second say little on a machine that others use too. Processor time per write does not depend on how many
 * processors were free, but a crowded machine makes it dearer for both alike (caches, wake-ups, smaller batches). So
 * both run at the same time of the same minutes: in pairs, turn about, and each pair gives one ratio. The verdict is
 * about the median of the ratios, and how sure it is comes from the ratios themselves.
 */
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { setPriority, tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { httpOf, ownProgram, type Servers, servers } from "../clusters/Servers.ts"
import { writesBy } from "../Contender.ts"
import type { Options } from "../Options.ts"
import { reporter, shown } from "../report/Report.ts"
import { median } from "../report/Summary.ts"
import { atSite, measured, type Plan, planOf, type Site } from "../Rounds.ts"
import type { Section } from "../Section.ts"

/** A rise of the median by more than this is a regression, if it is sure. */
const threshold = 1.07

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

/** A commit's checkout with everything installed; removed by the function that comes with it. */
const checkOut = (commit: string): { readonly program: string; readonly remove: () => void } => {
  const folder = mkdtempSync(join(tmpdir(), "distkv-before-"))
  const git = (...args: ReadonlyArray<string>) => execFileSync("git", args, { cwd: repository, stdio: "ignore" })
  const remove = () => {
    git("worktree", "remove", "--force", folder)
    rmSync(folder, { force: true, recursive: true })
  }
  git("worktree", "add", "--detach", "--force", folder, commit)
  try {
    execFileSync(process.execPath, [join(folder, "scripts", "run.mjs"), "--install-only"], { stdio: ["ignore", 2, 2] })
  } catch (error) {
    remove()
    throw error
  }
  return { program: join(folder, "packages", "server", "bin", "distkv.mjs"), remove }
}

/** What one pair of turns gave: microseconds of all processes for each write. */
interface Pair {
  readonly before: number
  readonly now: number
}

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
  const ratios = pairs.map(({ before, now }) => now / before).toSorted((a, b) => a - b)
  const n = ratios.length
  const k = Math.max(0, Math.floor(n / 2 - 0.98 * Math.sqrt(n)) - (n < 6 ? 1 : 0))
  const low = ratios[k] ?? Number.NaN
  const ratio = median(ratios)
  return { name, pairs, ratio, low, high: ratios[n - 1 - k] ?? Number.NaN, worse: ratio > threshold && low > 1 }
}

const turns = async (
  site: Site,
  name: string,
  [before, now]: readonly [Servers, Servers],
  plan: Plan,
  clients: number
): Promise<Verdict> => {
  const contenders = [httpOf(before, "leader"), httpOf(now, "leader")] as const
  const level = writesBy(clients)
  const cost = async (one: typeof contenders[number], seconds: number): Promise<number> => {
    await site.wake(one.clusters)
    const { cpuMicros } = await measured(one, level, seconds * 1000)
    return cpuMicros.reduce((sum, { perOperation }) => sum + perOperation, 0)
  }
  for (const one of contenders) await cost(one, plan.warmUp)
  const pairs: Array<Pair> = []
  for (let round = 0; round < plan.rounds; round++) {
    // Each begins as often as the other: what a turn leaves behind must not fall on one side.
    const first = await cost(contenders[round % 2 === 0 ? 0 : 1], plan.seconds)
    const second = await cost(contenders[round % 2 === 0 ? 1 : 0], plan.seconds)
    const pair = round % 2 === 0 ? { before: first, now: second } : { before: second, now: first }
    console.error(
      `${name}, pair ${round + 1}: ${pair.before.toFixed(0)} and ${pair.now.toFixed(0)} µs, ` +
        (pair.now / pair.before).toFixed(3)
    )
    pairs.push(pair)
  }
  return verdictOf(name, pairs)
}

const compare = async (
  site: Site,
  name: string,
  [before, now]: readonly [Servers, Servers],
  plan: Plan,
  options: Options
): Promise<Verdict> => {
  await site.start([before])
  await site.start([now])
  try {
    return await turns(site, name, [before, now], plan, options.clients?.[0] ?? 64)
  } finally {
    await site.stop(before)
    await site.stop(now)
  }
}

/** Runs the check on a pair that must not be told apart, and on one that differs by a known part. */
const prove = async (site: Site, plan: Plan, options: Options): Promise<ReadonlyArray<Verdict>> => {
  const pair = (name: string, now: Partial<Parameters<typeof servers>[1]>) =>
    [
      servers(site.folderOf(`${name}-before`), { name: "before" }),
      servers(site.folderOf(`${name}-now`), { name: "now", ...now })
    ] as const
  const same = await compare(site, "the same twice", pair("same", {}), plan, options)
  const micros = 0.15 * median(same.pairs.map(({ before }) => before))
  const slowed = { nodeFlags: ["--import", burner], env: { BENCH_BURN_MICROS: String(micros) } }
  return [same, await compare(site, "slower by 15 %", pair("slow", slowed), plan, options)]
}

const against = async (site: Site, plan: Plan, options: Options): Promise<ReadonlyArray<Verdict>> => {
  const commit = options.against ?? "HEAD"
  const { program, remove } = checkOut(commit)
  try {
    const before = servers(site.folderOf("before"), { name: "before", program })
    const now = servers(site.folderOf("now"), { name: "now", program: ownProgram })
    return [await compare(site, `this checkout after ${commit}`, [before, now], plan, options)]
  } finally {
    remove()
  }
}

export const check: Section = {
  name: "check",
  title: "Processor time per write, before and now",
  about: "whether a write costs more than at an earlier commit (--against; --prove tries the check itself)",
  run: (options) =>
    atSite(options, async (site) => {
      const plan = planOf(options, { rounds: 20, seconds: 2 })
      const ahead = goAhead()
      const { file, save } = reporter("check", check.title, options)
      const verdicts = options.prove ? await prove(site, plan, options) : await against(site, plan, options)
      const report = save({
        notes: [
          `pairs of turns of ${plan.seconds} s, ${
            options.clients?.[0] ?? 64
          } clients writing at the leader over HTTP; ` +
          `worse is a median above ${threshold} whose interval is above 1`,
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
            median(pairs.map(({ before }) => before)).toFixed(0),
            median(pairs.map(({ now }) => now)).toFixed(0),
            worse ? "worse" : "not worse"
          ])
        }],
        charts: [],
        raw: verdicts
      })
      console.log([...report.notes, "", ...report.tables.map((one) => `${shown(one)}\n`), file].join("\n"))
      const [same, slowed] = verdicts
      const wrong = options.prove ? same?.worse !== false || slowed?.worse !== true : same?.worse === true
      if (wrong) throw new Error(options.prove ? "the check is not to be trusted here" : "a write has become dearer")
    })
}
