/**
 * The checkpointed state of one node: rows, history and position, each checkpoint one commit.
 *
 * While a checkpoint is under way all reads go to a view from before it, since LMDB shows a commit a moment before its
 * success is known here. The rows are encoded in slices, so that a large checkpoint never holds up the event loop for
 * long; only handing them to LMDB is one step.
 */
import type {
  Checkpoint,
  ClusterId,
  Entry,
  EntryMetadata,
  HistoryEvent,
  IncomingSnapshot,
  Key,
  LogId,
  Revision,
  Scan,
  SnapshotHeader,
  StateMeta,
  StoredSnapshot
} from "@distkv/core"
import { MalformedSnapshot, metaOfSnapshot, SnapshotUnwritten, StorageFailed } from "@distkv/core"
import { Effect, type Scope } from "effect"
import type { Transaction } from "lmdb"
import type { Environment } from "./Environment.ts"
import { Batch } from "./Environment.ts"
import type { FailStop } from "./Failure.ts"
import { reading, reasonOf, Sequence, started, stoppable } from "./Failure.ts"
import { blockKey, findEventUnsafe } from "./HistoryBlocks.ts"
import type { MetaRows, Owner } from "./MetaRows.ts"
import { generationRow, installedRow, ownerRow, stateMetaRow } from "./MetaRows.ts"
import { RowArena } from "./RowArena.ts"
import { rangeOfScan } from "./ScanRange.ts"
import { changeSessionRow, sessionRowUnsafe } from "./SessionRows.ts"
import { buildSnapshot, type View } from "./SnapshotBuild.ts"
import { onFile, removeSnapshotFiles, SnapshotFile } from "./SnapshotFile.ts"
import { fillTables } from "./SnapshotInstall.ts"
import { decodeRowUnsafe, type FindValue } from "./StateRows.ts"
import { otherGeneration, StateTables } from "./StateTables.ts"
import { Turns } from "./Turns.ts"

const doing = "the state cannot be read"

export class LmdbState {
  private readonly environment: Environment
  private readonly meta: MetaRows
  private readonly failStop: FailStop
  private readonly directory: string
  private readonly writes = new Sequence()
  private tables: StateTables
  /** The position as of the last checkpoint that succeeded. */
  private position: StateMeta | null
  private lastInstalled: LogId | null
  /** Whether the environment says whose it is. */
  private owned: boolean
  /** Set while a checkpoint or an install is under way. */
  private view: { readonly transaction: Transaction } | undefined
  /** Snapshots built so far: each has a file of its own. */
  private built = 0

  /** `directory` is where the files of snapshots go. Throws `StorageFailed` where the position is damaged. */
  constructor(environment: Environment, meta: MetaRows, failStop: FailStop, directory: string) {
    this.environment = environment
    this.meta = meta
    this.failStop = failStop
    this.directory = directory
    this.tables = new StateTables(environment, meta.getUnsafe(generationRow) ?? 0)
    this.position = meta.getUnsafe(stateMetaRow)
    this.lastInstalled = meta.getUnsafe(installedRow)
    this.owned = meta.getUnsafe(ownerRow) !== null
  }

  get found(): StateMeta | null {
    return this.position
  }

  /** The last entry of the snapshot that was installed last. */
  get installed(): LogId | null {
    return this.lastInstalled
  }

  get isOwned(): boolean {
    return this.owned
  }

  recover(): Promise<StateMeta | null> {
    return this.writes.run(async () => this.position)
  }

  /** Makes the environment that of `owner`. */
  claim(owner: Owner): Promise<void> {
    return this.writes.run(async () => {
      const batch = new Batch()
      this.meta.claim(batch, owner)
      await this.environment.commit(batch)
      this.owned = true
    })
  }

  /** `checkpoint` must not change before this has settled. */
  checkpoint(checkpoint: Checkpoint): Promise<void> {
    return this.writes.run(async () => {
      if (!this.owned) {
        throw new StorageFailed({ message: "there is no checkpoint before the identity is saved; nothing was written" })
      }
      const batch = await this.encode(checkpoint)
      await this.commitUnseen(batch, () => (this.position = checkpoint.meta))
    })
  }

  /** Removes what a crash has left of snapshots. */
  async removeLeftovers(): Promise<void> {
    await removeSnapshotFiles(this.directory)
    if (this.owned) await this.writes.run(() => this.clearOther())
  }

  /** Builds a snapshot of the last checkpoint; null where there is none. */
  snapshot(
    clusterId: ClusterId | null
  ): Effect.Effect<StoredSnapshot | null, SnapshotUnwritten | StorageFailed, Scope.Scope> {
    return Effect.gen({ self: this }, function*() {
      const file = yield* SnapshotFile.make(this.directory, `outgoing-${++this.built}`)
      const built = yield* Effect.acquireUseRelease(
        // In line with the writes: none of them is half visible.
        started(doing, () => this.writes.run(async () => this.openView())),
        (view) =>
          stoppable(
            async (isOver) =>
              view.meta === null ? null : await buildSnapshot(view, { meta: view.meta, clusterId, isOver }, file),
            (cause) =>
              cause instanceof StorageFailed
                ? cause
                : new SnapshotUnwritten({ message: `a snapshot cannot be built: ${reasonOf(cause)}`, cause })
          ),
        (view) => Effect.sync(() => view.transaction.done())
      )
      if (built === null) return null
      const read = (offset: number, length: number) =>
        onFile("a snapshot cannot be read", () => file.read(offset, length))
      return { ...built, read }
    })
  }

  /** Begins to receive a snapshot. */
  get receive(): Effect.Effect<IncomingSnapshot, SnapshotUnwritten, Scope.Scope> {
    return Effect.map(SnapshotFile.make(this.directory, "incoming"), (file) => {
      let prepared: { readonly tables: StateTables; readonly header: SnapshotHeader } | null = null
      return {
        append: (bytes) => onFile("a snapshot cannot be received", () => file.append(bytes)),
        prepare: stoppable(
          async (isOver) => {
            const tables = await this.writes.run(() => this.clearOther())
            const commit = (batch: Batch) => this.writes.run(() => this.environment.commit(batch))
            const header = await fillTables(file, tables, commit, isOver)
            prepared = { tables, header }
            return header
          },
          (cause) =>
            cause instanceof MalformedSnapshot || cause instanceof StorageFailed
              ? cause
              : new SnapshotUnwritten({ message: `a snapshot cannot be prepared: ${reasonOf(cause)}`, cause })
        ),
        install: started("a snapshot cannot be installed", () => this.install(prepared))
      }
    })
  }

  getUnsafe(key: Key): Entry | undefined {
    return this.rowUnsafe(key, this.findValue)
  }

  metadataUnsafe(key: Key): EntryMetadata | undefined {
    return this.rowUnsafe(key, null)
  }

  *scanUnsafe(scan: Scan): Generator<Entry, void, undefined> {
    const range = rangeOfScan(scan)
    if (range === null) return
    const findValue = scan.keysOnly ? null : this.findValue
    const rows = reading(doing, () => this.tables.kv.getRange({ ...range, ...this.view })[Symbol.iterator]())
    try {
      while (true) {
        const entry = reading(doing, () => {
          const { done, value } = rows.next()
          return done === true
            ? null
            : decodeRowUnsafe(value.key.toString() as Key, value.key, value.value, value.value.length, findValue)
        })
        if (entry === null) return
        yield entry
      }
    } finally {
      rows.return?.()
    }
  }

  eventAtUnsafe(revision: Revision): HistoryEvent | undefined {
    const wanted = Math.max(revision, (this.position?.compactRevision ?? 0) + 1) as Revision
    const start = blockKey(wanted, 0)
    return reading(doing, () => {
      // The block that begins at or before the revision may hold it; otherwise the next one begins with the answer.
      for (const { key, value } of this.tables.history.getRange({ start, reverse: true, limit: 1, ...this.view })) {
        const event = findEventUnsafe(key, value, wanted)
        if (event !== undefined) return event
      }
      for (const { key, value } of this.tables.history.getRange({ start, limit: 1, ...this.view })) {
        return findEventUnsafe(key, value, wanted)
      }
      return undefined
    })
  }

  *sessionsUnsafe(): Generator<Uint8Array, void, undefined> {
    const rows = reading(doing, () => [...this.tables.sessions.getRange({ ...this.view })])
    for (const { key, value } of rows) yield sessionRowUnsafe(key, value)
  }

  /** Waits for what is under way; not after a failure, when it may never settle. */
  async close(): Promise<void> {
    if (this.failStop.failure === null) await this.writes.idle()
  }

  private rowUnsafe(key: Key, findValue: FindValue | null): Entry | undefined {
    const keyBytes = Buffer.from(key)
    return reading(doing, () => {
      const found = this.tables.kv.getBinaryFast(keyBytes, this.view)
      return found === undefined ? undefined : decodeRowUnsafe(key, keyBytes, found, found.length, findValue)
    })
  }

  private readonly findValue: FindValue = (keyBytes) => this.tables.values.getBinaryFast(keyBytes, this.view)

  private openView(): View & { readonly meta: StateMeta | null } {
    const transaction = reading(doing, () => this.environment.snapshot())
    const view = { transaction }
    const generation = this.meta.getUnsafe(generationRow, view) ?? 0
    if (generation !== this.tables.generation) {
      throw new StorageFailed({ message: "a view of the state is out of date" })
    }
    return { transaction, tables: this.tables, meta: this.meta.getUnsafe(stateMetaRow, view) }
  }

  /** The tables that are not the state, emptied. */
  private async clearOther(): Promise<StateTables> {
    const tables = new StateTables(this.environment, otherGeneration(this.tables.generation))
    if (tables.isEmpty) return tables
    const batch = new Batch()
    tables.clear(batch)
    await this.environment.commit(batch)
    return tables
  }

  private async install(
    prepared: { readonly tables: StateTables; readonly header: SnapshotHeader } | null
  ): Promise<StateMeta> {
    const installed = await this.writes.run(async () => {
      if (prepared === null) throw new StorageFailed({ message: "there is no prepared snapshot to install" })
      const { header, tables } = prepared
      const position = metaOfSnapshot(header)
      const batch = new Batch()
      this.meta.raiseFormat(batch)
      this.meta.put(batch, generationRow, tables.generation)
      this.meta.put(batch, installedRow, header.last)
      this.meta.put(batch, stateMetaRow, position)
      await this.commitUnseen(batch, () => {
        this.position = position
        this.lastInstalled = header.last
        this.tables = tables
      })
      return position
    })
    // Nobody waits for its space. Where it fails, the store has failed, and the next write says so.
    this.writes.run(() => this.clearOther()).catch(() => undefined)
    return installed
  }

  /** Commits while reads go on to see what was there before; `seen` makes them see the new. */
  private async commitUnseen(batch: Batch, seen: () => void): Promise<void> {
    const transaction = reading(doing, () => this.environment.snapshot())
    this.view = { transaction }
    try {
      await this.environment.commit(batch)
      seen()
    } finally {
      this.view = undefined
      transaction.done()
    }
  }

  private async encode({ history, meta, rows, sessions }: Checkpoint): Promise<Batch> {
    const { tables } = this
    const batch = new Batch()
    const turns = new Turns()
    const arena = new RowArena()
    for (const [key, entry] of rows) {
      if (entry === null) tables.remove(batch, Buffer.from(key))
      else arena.row(entry, (keyBytes, row) => tables.put(batch, keyBytes, row, entry))
      if (turns.isOver(entry?.value.length)) await turns.next()
    }
    this.cutHistory(batch, meta.compactRevision)
    const blocks = tables.blockWriter(() => batch)
    for (const event of history) {
      if (event.revision > meta.compactRevision) blocks.add(event)
      if (turns.isOver(event.entry?.value.length)) await turns.next()
    }
    blocks.flush()
    for (const row of sessions) {
      changeSessionRow(batch, tables.sessions, row)
      if (turns.isOver()) await turns.next()
    }
    this.meta.put(batch, stateMetaRow, meta)
    return batch
  }

  /**
   * Removes the blocks whose events are all at or below `revision`: of those that begin there all but the last, which
   * may reach beyond. What remains of its events is not shown any more.
   */
  private cutHistory(batch: Batch, revision: Revision): void {
    const { history } = this.tables
    const keys = reading(doing, () => [...history.getKeys({ end: blockKey(revision + 1, 0) })])
    for (const key of keys.slice(0, -1)) batch.remove(history, key)
  }
}
