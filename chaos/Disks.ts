/** Sick disks of real nodes: a small file system that fills up, and syncs that are slow or fail (by strace). */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs"
import { join } from "node:path"
import { atEnd, system, systemIfPossible } from "./Resources.ts"

/** Whether file systems can be mounted here; tried. */
export const mountsWork = (directory: string): boolean => {
  const probe = join(directory, "probe")
  mkdirSync(probe)
  if (systemIfPossible("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", probe) === undefined) return false
  system("umount", probe)
  return true
}

/** Makes `directory` a file system of its own of so many MiB. */
export const mountSmall = (directory: string, mebibytes: number): void => {
  mkdirSync(directory, { recursive: true })
  system("mount", "-t", "tmpfs", "-o", `size=${mebibytes}m`, "tmpfs", directory)
  atEnd(() => system("umount", "--lazy", directory))
}

/** Fills the file system of `directory` to the last byte. The function returned makes room again. */
export const fill = (directory: string): () => void => {
  const ballast = join(directory, "ballast")
  const file = openSync(ballast, "w")
  const block = Buffer.alloc(1024 * 1024)
  for (let size = block.length; size >= 1;) {
    try {
      if (writeSync(file, block, 0, size) < size) size >>= 1
    } catch {
      size >>= 1
    }
  }
  closeSync(file)
  return () => rmSync(ballast, { force: true })
}

/** Whether a process can be traced here; tried, on a process of our own. */
export const tracingWorks = (): boolean =>
  spawnSync("strace", ["-f", "-o", "/dev/null", "-e", "trace=fdatasync", "true"], { stdio: "ignore" }).status === 0

/** What is done to every sync of a process, in strace's words: `delay_enter=200ms`, `error=EIO`. */
export const tamperWithSyncs = async (pid: number, how: string): Promise<() => Promise<void>> => {
  const tracer: ChildProcess = spawn(
    "strace",
    ["-f", "-qq", "-o", "/dev/null", "-p", String(pid), "-e", "trace=fdatasync", "-e", `inject=fdatasync:${how}`],
    { stdio: "ignore" }
  )
  // A tracer that is killed would leave its process stopped; told to end, it lets go first.
  const end = atEnd(() => void tracer.kill("SIGTERM"))
  tracer.on("error", () => undefined)
  await once(tracer, "spawn")
  return async () => {
    if (tracer.exitCode === null && tracer.signalCode === null) {
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
    end()
  }
}
