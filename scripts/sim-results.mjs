// A file that a long run goes on with: which seeds are done, and what they added up to over all calls.
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { performance } from "node:perf_hooks"
import { Totals } from "./sim-totals.mjs"

/** @typedef {import("../packages/core/src/testing/Simulation.ts").SimReport} SimReport */
/** @typedef {{ revision: string, began: string, seeds: number, seconds: number }} Call One call of the program. */

const saveEveryMs = 10_000

/** The commit that is run, with a plus where the tree differs from it. */
const revision = () => {
  try {
    const git = (/** @type {Array<string>} */ ...args) => execFileSync("git", args, { encoding: "utf8" }).trim()
    return git("rev-parse", "--short", "HEAD") + (git("status", "--porcelain", "-uno") === "" ? "" : "+")
  } catch {
    return "unknown"
  }
}

export class Results {
  /**
   * Reads the file, or begins without one; throws where the file belongs to runs of another kind.
   * @param {string | undefined} file
   * @param {{ from: number, kind: string }} start The first seed, and what else is in the tokens.
   */
  constructor(file, { from, kind }) {
    this.file = file
    const saved = file !== undefined && existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : null
    if (saved !== null && (saved.kind !== kind || saved.from !== from)) {
      throw new Error(
        `${file} holds runs from seed ${saved.from}${saved.kind}, not from ${from}${kind}: give it another name`
      )
    }
    this.from = from
    this.kind = kind
    /** The seed after the last that was handed out. */
    this.next = saved?.next ?? from
    /** Seeds that were handed out and have not come back. @type {Set<number>} */
    this.open = new Set()
    /** Those of earlier calls, to be run again. @type {Array<number>} */
    this.again = saved?.open ?? []
    this.totals = Totals.from(saved?.totals ?? null)
    /** @type {Array<Call>} */
    this.earlier = saved?.calls ?? []
    /** @type {Call} */
    this.call = { revision: revision(), began: new Date().toISOString(), seeds: 0, seconds: 0 }
    this.savedAt = 0
  }

  /** Hands out a seed. */
  take() {
    const seed = this.again.shift() ?? this.next++
    this.open.add(seed)
    return seed
  }

  /** How many seeds were handed out, over all calls. */
  get taken() {
    return this.next - this.from - this.again.length
  }

  /**
   * @param {number} seed
   * @param {SimReport} report
   */
  add(seed, report) {
    this.totals.add(report)
    this.open.delete(seed)
    this.call.seeds++
    if (performance.now() - this.savedAt > saveEveryMs) this.save()
  }

  /** Replaces the file at once or not at all. */
  save() {
    if (this.file === undefined) return
    this.savedAt = performance.now()
    this.call.seconds = Math.round(this.totals.secondsNow)
    const { from, kind, next, totals } = this
    const open = [...this.open, ...this.again]
    const calls = [...this.earlier, this.call]
    writeFileSync(`${this.file}.new`, `${JSON.stringify({ from, kind, next, open, calls, totals }, null, 1)}\n`)
    renameSync(`${this.file}.new`, this.file)
  }

  /** One line for each call, where there was more than this one. */
  calls() {
    if (this.earlier.length === 0) return []
    return [...this.earlier, this.call].map(({ began, revision, seconds, seeds }) =>
      `${began} at ${revision}: ${seeds} seeds in ${seconds} s`
    )
  }
}
