/** Small files that are replaced whole and survive a loss of power. */
import { mkdir, open, readFile, rename } from "node:fs/promises"
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

/** Makes a directory with its parents, readable by its owner only, so that a loss of power leaves them there. */
export const makeDirectory = async (directory: string): Promise<void> => {
  const first = await mkdir(directory, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  for (let made = directory; made.length >= first.length; made = dirname(made)) await syncDirectory(dirname(made))
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
