/**
 * The files of snapshots in the data directory: one is written from the state and then sent from, the other is
 * received. Neither outlives its scope, and a start removes what a crash has left.
 */
import { SnapshotUnwritten } from "@distkv/core"
import { Effect, type Scope } from "effect"
import { type FileHandle, open, readdir, unlink } from "node:fs/promises"
import { join } from "node:path"
import { reasonOf } from "./Failure.ts"

const suffix = ".snapshot"
const ownerOnly = 0o600

/** Removes the files of snapshots that a crash has left. */
export const removeSnapshotFiles = async (directory: string): Promise<void> => {
  for (const name of await readdir(directory)) if (name.endsWith(suffix)) await unlink(join(directory, name))
}

/** Runs work on such a file: its errors leave the node alone. */
export const onFile = <A>(doing: string, run: () => Promise<A>): Effect.Effect<A, SnapshotUnwritten> =>
  Effect.tryPromise({
    try: run,
    catch: (cause) => new SnapshotUnwritten({ message: `${doing}: ${reasonOf(cause)}`, cause })
  })

export class SnapshotFile {
  private readonly handle: FileHandle
  private readonly path: string
  private written = 0

  private constructor(handle: FileHandle, path: string) {
    this.handle = handle
    this.path = path
  }

  /** Makes a new file, gone with the scope. */
  static readonly make = (
    directory: string,
    name: string
  ): Effect.Effect<SnapshotFile, SnapshotUnwritten, Scope.Scope> =>
    Effect.acquireRelease(
      onFile("a snapshot's file cannot be made", async () => {
        const path = join(directory, name + suffix)
        return new SnapshotFile(await open(path, "w+", ownerOnly), path)
      }),
      (file) => Effect.ignore(Effect.tryPromise(() => file.remove()))
    )

  get bytes(): number {
    return this.written
  }

  /** Adds bytes at the end; they must not change until this has settled. */
  async append(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const { bytesWritten } = await this.handle.write(bytes, at, bytes.length - at, this.written)
      this.written += bytesWritten
      at += bytesWritten
    }
  }

  /** The bytes at an offset, fewer than asked for only at the end. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(length, this.written - offset)))
    const { bytesRead } = await this.handle.read(bytes, 0, bytes.length, offset)
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytesRead)
  }

  private async remove(): Promise<void> {
    await this.handle.close()
    await unlink(this.path)
  }
}
