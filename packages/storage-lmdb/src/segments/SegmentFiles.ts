/** What the segments ask of the file system; a test answers with a disk that loses power. */
import { constants, write } from "node:fs"
import type { FileHandle } from "node:fs/promises"
import { open, readdir, rename, rm } from "node:fs/promises"
import { join } from "node:path"
import { makeDirectory, syncDirectory } from "../DurableFile.ts"

/** An open file. */
export interface SegmentFile {
  /** Resolves when the bytes are on stable storage. They are read before this returns, or until it resolves. */
  readonly write: (bytes: Buffer, position: number) => Promise<void>
  /** Up to `length` bytes in memory of their own, fewer at the end of the file. */
  readonly read: (position: number, length: number) => Promise<Buffer>
  readonly bytes: () => Promise<number>
  readonly close: () => Promise<void>
}

/** A directory of files. What is created, renamed or removed is so for good when the promise resolves. */
export interface SegmentFiles {
  readonly list: () => Promise<ReadonlyArray<string>>
  /** A new file of so many zeros, in the place of any other of that name. */
  readonly create: (name: string, bytes: number) => Promise<SegmentFile>
  readonly open: (name: string) => Promise<SegmentFile>
  readonly rename: (from: string, to: string) => Promise<void>
  readonly remove: (name: string) => Promise<void>
}

const ownerOnly = 0o600
const page = Buffer.alloc(4096)
/** Pages that are on their way at once: the wait for one is the other's time. */
const pagesAtOnce = 16

/**
 * The files of a directory, which is made where it is absent.
 *
 * A file is written synchronously (`O_DSYNC`): one call instead of a write and a sync. It is filled with zeros first,
 * so that a write changes no size and no map of blocks, and costs the disk one write instead of several.
 */
export const filesIn = async (directory: string): Promise<SegmentFiles> => {
  await makeDirectory(directory)
  const at = (name: string) => join(directory, name)
  return {
    list: () => readdir(directory),
    create: async (name, bytes) => {
      const file = await open(at(name), "w", ownerOnly)
      try {
        await fill(file, bytes)
        await file.datasync()
      } finally {
        await file.close()
      }
      await syncDirectory(directory)
      return await openFile(at(name))
    },
    open: (name) => openFile(at(name)),
    rename: async (from, to) => {
      await rename(at(from), at(to))
      await syncDirectory(directory)
    },
    remove: async (name) => {
      await rm(at(name), { force: true })
      await syncDirectory(directory)
    }
  }
}

/**
 * Page by page, and not in large pieces: Linux keeps what was written by one call in one unit of its cache, and writes
 * the whole unit when any part of it is synced. A record of 500 bytes would cost the disk a mebibyte.
 */
const fill = async (file: FileHandle, bytes: number): Promise<void> => {
  for (let at = 0; at < bytes; at += pagesAtOnce * page.length) {
    const pages: Array<Promise<void>> = []
    const end = Math.min(bytes, at + pagesAtOnce * page.length)
    for (let start = at; start < end; start += page.length) {
      pages.push(writeAll(file.fd, page.subarray(0, Math.min(page.length, end - start)), start))
    }
    // All of them, also where one fails: none may be under way when the file is closed and its number is another's.
    const failed = (await Promise.allSettled(pages)).find((one) => one.status === "rejected")
    if (failed !== undefined) throw failed.reason
  }
}

const openFile = async (path: string): Promise<SegmentFile> => {
  const file = await open(path, constants.O_RDWR | (constants.O_DSYNC ?? 0), ownerOnly)
  return {
    write: async (bytes, position) => {
      await writeAll(file.fd, bytes, position)
      // Where there are no synchronous writes, a sync does the same.
      if (constants.O_DSYNC === undefined) await file.datasync()
    },
    read: (position, length) => readAll(file, position, length),
    bytes: async () => (await file.stat()).size,
    close: () => file.close()
  }
}

const writeAll = async (fd: number, bytes: Buffer, position: number): Promise<void> => {
  for (let done = 0; done < bytes.length;) done += await writeSome(fd, bytes, done, position + done)
}

/** As `FileHandle.write`, which takes 10 µs more: a tenth of what the disk takes for a small step. */
const writeSome = (fd: number, bytes: Buffer, from: number, position: number): Promise<number> =>
  new Promise((resolve, reject) => {
    write(fd, bytes, from, bytes.length - from, position, (error, written) => {
      if (error === null) resolve(written)
      else reject(error)
    })
  })

const readAll = async (file: FileHandle, position: number, length: number): Promise<Buffer> => {
  const bytes = Buffer.allocUnsafeSlow(length)
  let done = 0
  while (done < length) {
    const { bytesRead } = await file.read(bytes, done, length - done, position + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return bytes.subarray(0, done)
}
