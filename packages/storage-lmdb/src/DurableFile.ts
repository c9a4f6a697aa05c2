/** Small files that are replaced whole and survive a loss of power. */
import { mkdir, open, readFile, rename, stat } from "node:fs/promises"
import { dirname } from "node:path"

const ownerOnly = 0o600

/** The content of a file, or null where there is none. */
export const readFileIfPresent = async (path: string): Promise<Buffer | null> => {
  try {
    return await readFile(path)
  } catch (cause) {
    if (isMissing(cause)) return null
    throw cause
  }
}

const isMissing = (cause: unknown): boolean => cause instanceof Error && "code" in cause && cause.code === "ENOENT"

/**
 * Replaces `path` in one step: after a crash there is the old content or the new, never a part. When this resolves the
 * new content is on stable storage.
 */
export const replaceFile = async (path: string, content: Uint8Array): Promise<void> => {
  const temporary = `${path}.new`
  const file = await open(temporary, "w", ownerOnly)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
  await syncDirectory(dirname(path))
}

/** Rejects where there is no such directory. */
export const checkDirectory = async (directory: string): Promise<void> => {
  if (!(await stat(directory)).isDirectory()) throw new Error("it is no directory")
}

/**
 * Makes a directory with its parents, readable by its owner only, so that a loss of power leaves them there. One by
 * one, from the first that is missing: where a file system lets nobody make directories, a recursive `mkdir` never
 * returns.
 */
export const makeDirectory = async (directory: string): Promise<void> => {
  const missing: Array<string> = []
  for (let at = directory; !await exists(at); at = dirname(at)) missing.unshift(at)
  for (const made of missing) {
    try {
      await mkdir(made, { mode: 0o700 })
    } catch (cause) {
      // Somebody else may have made it at the same time.
      if (!(cause instanceof Error && "code" in cause && cause.code === "EEXIST")) throw cause
    }
    await syncDirectory(dirname(made))
  }
  await checkDirectory(directory)
}

const exists = async (path: string): Promise<boolean> => {
  try {
    await stat(path)
    return true
  } catch (cause) {
    if (isMissing(cause)) return false
    throw cause
  }
}

/** Makes what was created or renamed in a directory durable; does nothing where a system cannot open directories. */
export const syncDirectory = async (directory: string): Promise<void> => {
  if (process.platform === "win32") return
  const handle = await open(directory, "r")
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
