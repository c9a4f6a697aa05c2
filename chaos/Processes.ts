/** Processes of a run: none outlives it. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { closeSync, openSync } from "node:fs"
import { atEnd } from "./Resources.ts"

/** A command with its arguments. */
export type Command = readonly [name: string, ...args: ReadonlyArray<string>]

/**
 * Starts a process whose output goes to the end of a file. It gets a channel for messages, so that a node ends itself
 * when this process is gone.
 */
export const start = (
  [name, ...args]: Command,
  log: string,
  environment: Readonly<Record<string, string>> = {}
): ChildProcess => {
  const out = openSync(log, "a")
  const env = { ...process.env, ...environment }
  const child = spawn(name, args, { stdio: ["ignore", out, out, "ipc"], env })
  closeSync(out)
  const end = atEnd(() => void child.kill("SIGKILL"))
  child.once("exit", end)
  child.on("error", () => undefined)
  return child
}

export const pidOf = (child: ChildProcess): number => {
  if (child.pid === undefined) throw new Error(`${child.spawnfile} could not be started`)
  return child.pid
}

export const isAlive = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null

/** Sends a signal and waits until the process has gone. */
export const end = async (child: ChildProcess, signal: NodeJS.Signals): Promise<void> => {
  if (!isAlive(child)) return
  const gone = once(child, "exit")
  child.kill(signal)
  await gone
}
