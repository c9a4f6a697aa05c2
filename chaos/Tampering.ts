/**
 * Calls of a running process that are held up or fail, by strace. The log is written with `pwrite64` on files that are
 * synchronous, so that a sick disk shows there and not in a sync; the state's commits end with `fdatasync`.
 *
 * Every call of the process is slower while it is traced.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import type { ChaosNode } from "./Cluster.ts"
import { isAlive, pidOf } from "./Processes.ts"
import { atEnd, systemIfPossible } from "./Resources.ts"
import { until } from "./Waiting.ts"

/** What is tampered with: every sync, or the writes to the files of the log. */
export type Calls = "syncs" | "log writes"

export interface Tampering {
  /** How many calls were held up or failed until now. */
  readonly hits: () => number
  /** Lets the process go on as it would have. */
  readonly mend: () => Promise<void>
}

/** Segments of the log that may be begun while a fault lasts. */
const segmentsAhead = 16

/** strace tells calls by the path of their file, so those to come are named too. */
const logFiles = (directory: string): ReadonlyArray<string> => {
  const log = join(directory, "log")
  const [latest = ""] = readdirSync(log).filter((name) => /^\d+\./.test(name)).sort().reverse()
  const [digits = ""] = latest.split(".")
  const ahead = Array.from(
    { length: segmentsAhead },
    (_, i) => String(Number(digits) + i).padStart(digits.length, "0") + latest.slice(digits.length)
  )
  return [...new Set([...readdirSync(log).filter((name) => /^\d+\./.test(name)), ...ahead])]
    .map((name) => join(log, name))
}

const callsOf = (calls: Calls): string => calls === "syncs" ? "fdatasync,fsync" : "pwrite64,pwritev,write"

/** Whether a process can be traced here; tried, on a process of our own. */
export const tracingWorks = (): boolean =>
  spawnSync("strace", ["-f", "-o", "/dev/null", "-e", "inject=fdatasync:delay_enter=1ms", "true"], { stdio: "ignore" })
    .status === 0

/** Whether all threads of a process are traced by that one. */
const isTracedBy = (pid: number, tracer: number): boolean =>
  readdirSync(`/proc/${pid}/task`).every((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8").includes(`TracerPid:\t${tracer}\n`)
  )

/**
 * Does something to these calls of a node's process, in strace's words: `delay_enter=200ms`, `error=EIO`. It is in
 * force when this resolves, or the process has ended.
 */
export const tamper = async (node: ChaosNode, calls: Calls, how: string): Promise<Tampering> => {
  const { process: victim } = node
  if (victim === null) return { hits: () => 0, mend: () => Promise.resolve() }
  const pid = pidOf(victim)
  const trace = `${node.directory}.trace`
  rmSync(trace, { force: true })
  const paths = calls === "syncs" ? [] : logFiles(node.directory).flatMap((path) => ["-P", path])
  const set = callsOf(calls)
  const args = ["-f", "-qq", "-s", "0", "-o", trace, ...paths, "-e", `trace=${set}`, "-e", `inject=${set}:${how}`]
  const tracer = spawn("strace", [...args, "-p", String(pid)], { stdio: "ignore" })
  // A tracer that is killed would leave its process stopped; told to end, it lets go first.
  const end = atEnd(() => void tracer.kill("SIGTERM"))
  tracer.on("error", () => undefined)
  await once(tracer, "spawn")
  const mend = async (): Promise<void> => {
    await letGo(tracer, pid)
    end()
  }
  try {
    await until(`${node.id} is traced`, 10_000, () => {
      if (!isAlive(victim)) return true
      if (!isAlive(tracer)) throw new Error("strace has ended")
      return isTracedBy(pid, pidOf(tracer)) ? true : undefined
    })
  } catch (error) {
    await mend()
    throw error
  }
  const hits = (): number =>
    existsSync(trace)
      ? readFileSync(trace, "utf8").split("\n").filter((line) => /\((INJECTED|DELAYED)\)$/.test(line)).length
      : 0
  return { hits, mend }
}

const letGo = async (tracer: ChildProcess, pid: number): Promise<void> => {
  if (!isAlive(tracer)) return
  const gone = once(tracer, "exit")
  tracer.kill("SIGTERM")
  // Where its process ended by itself meanwhile, it may wait for ever for a thread of it.
  const force = setTimeout(() => {
    tracer.kill("SIGKILL")
    // Which also ends the stop that a tracer that was killed leaves behind.
    systemIfPossible("kill", "-CONT", String(pid))
  }, 2000)
  await gone
  clearTimeout(force)
}
