/** Processes that a benchmark starts: none outlives it, and what they use of the processor can be read. */
import { type ChildProcess, fork, spawn, type SpawnOptions } from "node:child_process"
import { once } from "node:events"
import { readdirSync, readFileSync } from "node:fs"
import { constants } from "node:os"

const started = new Set<ChildProcess>()

/** Kept until it ends, so that an ending of this process, however it comes, ends it too. */
const keep = (child: ChildProcess): ChildProcess => {
  started.add(child)
  child.once("exit", () => started.delete(child))
  return child
}

export const start = (command: string, args: ReadonlyArray<string>, options: SpawnOptions): ChildProcess =>
  keep(spawn(command, args, options))

/** What `distkv start` gives its own process, and the handbook advises for services, on either side. */
const nodeOptions = ["--max-semi-space-size=16", "--v8-pool-size=1"]

/** A program of this folder, on this Node, with a channel for messages; standard output stays the benchmark's own. */
export const startProgram = (
  file: URL,
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>> = {}
): ChildProcess => {
  const execArgv = [...process.execArgv, ...nodeOptions]
  return keep(fork(file, args, { execArgv, stdio: ["ignore", 2, 2, "ipc"], env: { ...process.env, ...env } }))
}

export const pidOf = (child: ChildProcess): number => {
  if (child.pid === undefined) throw new Error(`${child.spawnfile} could not be started`)
  return child.pid
}

/** Ends a process at once, also one that is stopped, and waits until it has gone. */
export const end = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, "exit")
  child.kill("SIGKILL")
  await gone
}

/** Ends everything that still runs. */
export const endAll = async (): Promise<void> => {
  await Promise.all([...started].filter(({ pid }) => pid !== undefined).map(end))
}

/** Runs a command to its end and answers with what it printed; fails when it failed. */
export const output = async (
  command: string,
  args: ReadonlyArray<string>,
  options: SpawnOptions = {}
): Promise<string> => {
  const child = start(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] })
  let printed = ""
  let complained = ""
  child.stdout?.setEncoding("utf8").on("data", (text: string) => printed += text)
  child.stderr?.setEncoding("utf8").on("data", (text: string) => complained += text)
  const [code]: Array<unknown> = await once(child, "close")
  if (code !== 0) throw new Error(`${command} ended with ${String(code)}: ${complained.trim() || printed.trim()}`)
  return printed
}

/** Nanoseconds on a processor; 0 for a thread that has ended meanwhile. */
const threadNanos = (pid: number, thread: string): number => {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0])
  } catch {
    return 0
  }
}

/**
 * Microseconds of processor time, user's and system's, that a process' threads have used since their start. The
 * process' own sum is in ticks of 10 ms, which is too coarse for measurements of a second.
 */
export const cpuMicros = (pid: number): number =>
  readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => sum + threadNanos(pid, thread) / 1000, 0)

process.once("exit", () => started.forEach((child) => child.kill("SIGKILL")))
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => process.exit(128 + constants.signals[signal]))
}
