/**
 * One LMDB environment with its only writer: commits are atomic, durable when they succeed, and one after another.
 *
 * The options are not free choices. Without `overlappingSync` nothing can be read before it is durable. Without
 * `eventTurnBatching` a failed commit rejects one promise and no more, where it would otherwise end the process.
 * `batch` commits on a thread of LMDB's, so the event loop goes on; it would commit a part if its body threw, so
 * everything is encoded and checked before.
 */
import { howToReplace, StorageFailed } from "@distkv/core"
import type { Scope } from "effect"
import { Effect } from "effect"
import type { Database, RootDatabase, Transaction } from "lmdb"
import { open } from "lmdb"
import { stat } from "node:fs/promises"
import { settlesSoon, watched } from "./CommitWatch.ts"
import type { DiskFunctions } from "./Disk.ts"
import type { FailStop } from "./Failure.ts"
import { storageFailed } from "./Failure.ts"
import { prepareLmdbFile } from "./LmdbHeader.ts"

/** What LMDB's own types leave out. */
interface FastReads {
  /** The value in a buffer that LMDB uses again for its next answer, and whose real length is in `length` only. */
  readonly getBinaryFast: (key: Buffer, options?: { readonly transaction: Transaction }) => Buffer | undefined
  /** The value in bytes of its own. */
  readonly getBinary: (key: Buffer, options?: { readonly transaction: Transaction }) => Buffer | undefined
}

export type Rows = Omit<Database<Buffer, Buffer>, keyof FastReads> & FastReads

const binary = { encoding: "binary", keyEncoding: "binary" } as const

/** Address space that is set aside; costs no disk, and the map grows beyond it by itself. */
const mapBytes = 2 ** 36

/** Changes that are to be committed together. Keys are copied when committed, values must not change until then. */
export class Batch {
  private readonly steps: Array<Rows | Buffer | null> = []

  get size(): number {
    return this.steps.length / 3
  }

  put(rows: Rows, key: Buffer, value: Buffer): void {
    this.steps.push(rows, key, value)
  }

  remove(rows: Rows, key: Buffer): void {
    this.steps.push(rows, key, null)
  }

  /** Removes everything. */
  clear(rows: Rows): void {
    this.steps.push(rows, null, null)
  }

  /** Hands the changes to LMDB; only within the body of its `batch`. */
  record(): void {
    const { steps } = this
    for (let i = 0; i < steps.length; i += 3) {
      const rows = steps[i] as Rows
      const key = steps[i + 1] as Buffer | null
      const value = steps[i + 2] as Buffer | null
      // What these return is settled together with the batch.
      if (key === null) void rows.clearAsync()
      else if (value === null) void rows.remove(key)
      else void rows.put(key, value)
    }
  }
}

export interface EnvironmentOptions {
  /** The environment's file. */
  readonly path: string
  /** How messages name it. */
  readonly name: string
  readonly disk: DiskFunctions
  readonly failStop: FailStop
  readonly commitTimeoutMs: number
  /** Called where a failed commit may still be under way when the environment is given up. */
  readonly abandoned: () => void
}

export class Environment {
  private readonly root: RootDatabase<Buffer, Buffer>
  private readonly options: EnvironmentOptions

  constructor(root: RootDatabase<Buffer, Buffer>, options: EnvironmentOptions) {
    this.root = root
    this.options = options
  }

  rows(name: string): Rows {
    return this.root.openDB({ name, ...binary })
  }

  /** A view of what is committed now, unchanged by later commits until `done`. */
  snapshot(): Transaction {
    return this.root.useReadTransaction()
  }

  /** Resolves when the batch is durable; rejects with `StorageFailed`, and then all later ones do. */
  async commit(batch: Batch): Promise<void> {
    const { commitTimeoutMs, disk, failStop, name } = this.options
    failStop.check()
    if (batch.size === 0) return
    const committed = disk.commit(async () => {
      await this.root.batch(() => {
        batch.record()
      })
    })
    await watched(name, committed, commitTimeoutMs, failStop)
  }

  /** The size of the file, in bytes; it never shrinks. */
  async fileBytes(): Promise<number> {
    return (await stat(this.options.path)).size
  }

  async close(): Promise<void> {
    const { abandoned, failStop } = this.options
    const closed = this.root.close().then(() => true)
    if (failStop.failure === null) {
      await closed
    } else if (!await settlesSoon(closed)) {
      abandoned()
    }
  }
}

/** Opens an environment whose file is sound, for as long as the scope. */
export const openEnvironment = (options: EnvironmentOptions): Effect.Effect<Environment, StorageFailed, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try({
      try: () => {
        const lmdbOptions = {
          path: options.path,
          ...binary,
          maxDbs: 32,
          mapSize: mapBytes,
          overlappingSync: false,
          eventTurnBatching: false,
          permissionsMode: 0o600
        }
        const root = open<Buffer, Buffer>(lmdbOptions)
        return new Environment(root, options)
      },
      catch: (cause) => storageFailed(`the ${options.name} ${options.path} cannot be opened`, cause)
    }),
    // A close that fails has nothing more to lose: everything that was promised is durable.
    (environment) => Effect.ignore(Effect.tryPromise(() => environment.close()))
  )

/**
 * Fails where one of the files must not be opened; to be asked about all of them before the first is. `leastBytes` are
 * the sizes that they are known to have had, in the same order.
 */
export const prepareFiles = Effect.fnUntraced(
  function*(
    files: ReadonlyArray<EnvironmentOptions>,
    leastBytes: ReadonlyArray<number>
  ): Effect.fn.Return<void, StorageFailed> {
    for (const [i, { name, path }] of files.entries()) {
      const flaw = yield* Effect.sync(() => prepareLmdbFile(path, leastBytes[i] ?? 0))
      if (flaw !== null) {
        return yield* new StorageFailed({ message: `the ${name} ${path} is damaged: ${flaw}. ${howToReplace}` })
      }
    }
  }
)
