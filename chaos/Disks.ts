/** Small file systems that fill up. */
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
