/** What the storage asks of the disk beside reading and writing files; a test may answer differently. */
import { Context } from "effect"
import { statfs } from "node:fs/promises"

export interface DiskFunctions {
  /** Runs one commit of an environment. */
  readonly commit: (run: () => Promise<void>) => Promise<void>
  /** Bytes of the directory's volume that a process without privileges may still use. */
  readonly freeBytes: (directory: string) => Promise<number>
}

export const realDisk: DiskFunctions = {
  commit: (run) => run(),
  freeBytes: async (directory) => {
    const { bavail, bsize } = await statfs(directory)
    return bavail * bsize
  }
}

export const Disk = Context.Reference<DiskFunctions>("@distkv/storage-lmdb/Disk", { defaultValue: () => realDisk })
