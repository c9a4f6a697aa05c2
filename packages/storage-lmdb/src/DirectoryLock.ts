/**
 * One node per data directory, whatever processes and containers share it.
 *
 * LMDB itself lets several processes open one environment. Node has no file locks of its own, but the SQLite that it
 * brings has: an exclusive transaction on an otherwise unused file `lock` is a lock that the operating system holds,
 * gone with the process however that ends, and seen by a second node of the same process too. Nothing else may open
 * this file: where locks belong to processes, closing any of its descriptors would release the lock.
 */
import { AlreadyOpened, StorageFailed } from "@distkv/core"
import type { Scope } from "effect"
import { Effect } from "effect"
import { chmodSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { reasonOf } from "./Failure.ts"

/** SQLite's result codes for a file that another connection has locked. */
const busy = 5
const locked = 6

const isTaken = (cause: unknown): boolean =>
  cause instanceof Error && "errcode" in cause && (cause.errcode === busy || cause.errcode === locked)

const acquire = (directory: string): DatabaseSync => {
  const path = join(directory, "lock")
  const database = new DatabaseSync(path)
  try {
    // With its journal in memory nothing but the empty file itself is ever made.
    database.exec("PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE")
    chmodSync(path, 0o600)
    return database
  } catch (cause) {
    database.close()
    throw cause
  }
}

/** A lock that can be left in place. */
export interface DirectoryLock {
  /** Keeps the directory locked until the process ends, because something may still write to it. */
  readonly keep: () => void
}

/** Holds the lock on the directory until the scope is closed. */
export const lockDirectory = (
  directory: string
): Effect.Effect<DirectoryLock, AlreadyOpened | StorageFailed, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try({
      try: () => ({ database: acquire(directory), kept: false }),
      catch: (cause) =>
        isTaken(cause)
          ? new AlreadyOpened({ directory })
          : new StorageFailed({ message: `the directory ${directory} cannot be locked: ${reasonOf(cause)}`, cause })
    }),
    (lock) => Effect.sync(() => lock.kept || lock.database.close())
  ).pipe(Effect.map((lock) => ({
    keep: () => {
      lock.kept = true
    }
  })))
