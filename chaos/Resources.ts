/**
 * What a run makes outside of itself (processes, namespaces, mounts, directories) is undone in reverse order however
 * the run ends: at its end, on a signal, on a defect. What a run that was itself killed left behind is removed by the
 * next one, which knows it by the process id in its name.
 */
import { execFileSync } from "node:child_process"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { constants } from "node:os"
import { join } from "node:path"

/** What everything that a run makes is called, followed by its process id. */
export const prefix = "distkv-chaos"

/** The name of something that this run makes. */
export const named = (name: string): string => `${prefix}-${process.pid}-${name}`

const undo = new Set<() => void>()

/** Has `action` done when the run ends. The function returned does it now. */
export const atEnd = (action: () => void): () => void => {
  undo.add(action)
  return () => {
    if (undo.delete(action)) action()
  }
}

/** Runs a command of the system to its end; fails with what it complained of. */
export const system = (command: string, ...args: ReadonlyArray<string>): string =>
  execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] })

/** The same, where a failure means that there was nothing to do. */
export const systemIfPossible = (command: string, ...args: ReadonlyArray<string>): string | undefined => {
  try {
    return system(command, ...args)
  } catch {
    return undefined
  }
}

/** Stands in a directory that later runs leave alone. */
const keptMark = "kept"

/** A directory of this run, removed at its end unless it is to be kept. */
export const makeDirectory = (parent: string, keep: () => boolean): string => {
  const directory = mkdtempSync(join(parent, named("")))
  atEnd(() => {
    if (keep()) writeFileSync(join(directory, keptMark), "")
    else rmSync(directory, { recursive: true, force: true })
  })
  return directory
}

const isRunning = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"
  }
}

const madeByDeadRun = (name: string): boolean => {
  const pid = Number(new RegExp(`^${prefix}-(\\d+)-`).exec(name)?.[1] ?? Number.NaN)
  return Number.isSafeInteger(pid) && !isRunning(pid)
}

/** Ends nodes of such a run that were stopped when it was killed; all others have ended with it. */
const endLeftProcesses = (): void => {
  for (const pid of readdirSync("/proc").map(Number).filter((one) => one > 1)) {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")
      if (!words.includes("start")) continue
      if (words.some((word) => madeByDeadRun(word.slice(word.lastIndexOf("/", word.indexOf(prefix)) + 1)))) {
        process.kill(pid, "SIGKILL")
      }
    } catch {
      // It ended meanwhile.
    }
  }
}

/** Ends the processes, and removes the namespaces, mounts and directories of runs that ended without being able to. */
export const removeLeftovers = (parent: string): void => {
  endLeftProcesses()
  for (const line of (systemIfPossible("ip", "netns", "list") ?? "").split("\n")) {
    const [name = ""] = line.split(" ")
    if (madeByDeadRun(name)) systemIfPossible("ip", "netns", "delete", name)
  }
  for (const line of readFileSync("/proc/mounts", "utf8").split("\n")) {
    const [, path = ""] = line.split(" ")
    const [name] = path.split("/").filter((part) => part.startsWith(prefix))
    if (name !== undefined && madeByDeadRun(name)) systemIfPossible("umount", "--lazy", path)
  }
  for (const name of readdirSync(parent)) {
    if (!madeByDeadRun(name) || existsSync(join(parent, name, keptMark))) continue
    rmSync(join(parent, name), { recursive: true, force: true })
  }
}

process.once("exit", () => {
  for (const action of [...undo].reverse()) {
    undo.delete(action)
    try {
      action()
    } catch (error) {
      console.error(error instanceof Error ? error.message : error)
    }
  }
})
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => process.exit(128 + constants.signals[signal]))
}
