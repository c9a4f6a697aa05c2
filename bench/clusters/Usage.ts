/** What processes use beside the processor: memory, disk and network, as the kernel counts it. */
import { execFileSync } from "node:child_process"
import { lstatSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

const kilobytes = (status: string, field: string): number =>
  1024 * Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? Number.NaN)

/** Resident bytes: all of them, and those that belong to no file. */
export const memoryOf = (pid: number): { readonly resident: number; readonly anonymous: number } => {
  const status = readFileSync(`/proc/${pid}/status`, "utf8")
  return { resident: kilobytes(status, "VmRSS"), anonymous: kilobytes(status, "RssAnon") }
}

/** Bytes that a process has caused to be written to disks since its start. */
export const writtenBytes = (pid: number): number =>
  Number(/^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, "utf8"))?.[1] ?? Number.NaN)

/** Bytes on disk below a folder; what is removed meanwhile does not count. */
export const sizeOf = (folder: string): number =>
  readdirSync(folder, { withFileTypes: true }).reduce((sum, entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return sum + sizeOf(path)
    return sum + (lstatSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * 512
  }, 0)

/** Bytes that were sent and acknowledged over connections to or from these ports on this machine, both ways. */
export const wireBytes = (ports: ReadonlyArray<number>): number => {
  const lines = execFileSync("ss", ["-tniH"], { encoding: "utf8" }).split("\n")
  let sum = 0
  lines.forEach((line, i) => {
    const found = /^ESTAB\s+\d+\s+\d+\s+\S+:(\d+)\s+\S+:(\d+)/.exec(line)
    if (found === null || !ports.some((port) => port === Number(found[1]) || port === Number(found[2]))) return
    sum += Number(/bytes_acked:(\d+)/.exec(lines[i + 1] ?? "")?.[1] ?? 0)
  })
  return sum
}
