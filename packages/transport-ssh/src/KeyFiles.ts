/** Reading and writing key files so that a crash or a second process never leaves half of one. */
import { StorageFailed } from "@distkv/core"
import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"

const failed = (what: string, file: string) => (cause: unknown): StorageFailed =>
  new StorageFailed({
    message: `cannot ${what} ${file}: ${cause instanceof Error ? cause.message : String(cause)}`,
    cause
  })

const isMissing = (cause: unknown): boolean => cause instanceof Error && "code" in cause && cause.code === "ENOENT"
const isPresent = (cause: unknown): boolean => cause instanceof Error && "code" in cause && cause.code === "EEXIST"

const syncDirectory = (directory: string): void => {
  const descriptor = fs.openSync(directory, "r")
  try {
    fs.fsyncSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}

const writeTemporary = (file: string, text: string, mode: number): string => {
  const temporary = `${file}.${randomBytes(6).toString("hex")}.tmp`
  const descriptor = fs.openSync(temporary, "wx", mode)
  try {
    fs.writeSync(descriptor, text)
    fs.fsyncSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
  return temporary
}

/** A file's text; null when there is no such file. */
export const readText = (file: string): Effect.Effect<string | null, StorageFailed> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(fs.readFileSync(file, "utf8"))
    } catch (cause) {
      return isMissing(cause) ? Effect.succeed(null) : Effect.fail(failed("read", file)(cause))
    }
  })

/** A file's permission bits; null when there is no such file. */
export const modeOf = (file: string): Effect.Effect<number | null, StorageFailed> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(fs.statSync(file).mode & 0o777)
    } catch (cause) {
      return isMissing(cause) ? Effect.succeed(null) : Effect.fail(failed("look at", file)(cause))
    }
  })

export const makeDirectory = (directory: string): Effect.Effect<void, StorageFailed> =>
  Effect.try({ try: () => void fs.mkdirSync(directory, { recursive: true }), catch: failed("make", directory) })

/**
 * Makes a file that is not there yet, durable and complete from its first instant, with its permissions from the start.
 * False when there is one already, which then stays as it is: two processes may try at once.
 */
export const createFile = (file: string, text: string, mode: number): Effect.Effect<boolean, StorageFailed> =>
  Effect.try({
    try: () => {
      const temporary = writeTemporary(file, text, mode)
      try {
        fs.linkSync(temporary, file)
      } catch (cause) {
        if (isPresent(cause)) return false
        throw cause
      } finally {
        fs.unlinkSync(temporary)
      }
      syncDirectory(path.dirname(file))
      return true
    },
    catch: failed("write", file)
  })

/** Replaces a file's text in one step. */
export const replaceFile = (file: string, text: string, mode: number): Effect.Effect<void, StorageFailed> =>
  Effect.try({
    try: () => {
      const temporary = writeTemporary(file, text, mode)
      try {
        fs.renameSync(temporary, file)
      } catch (cause) {
        fs.unlinkSync(temporary)
        throw cause
      }
      syncDirectory(path.dirname(file))
    },
    catch: failed("write", file)
  })
