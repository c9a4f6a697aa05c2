/**
 * The checkpointed state of one node: rows, history and position, each checkpoint one commit.
 *
 * While a checkpoint is under way all reads go to a view from before it, since LMDB shows a commit a moment before its
 * success is known here. The rows are encoded in slices, so that a large checkpoint never holds up the event loop for
 * long; only handing them to LMDB is one step.
 */
import type { Checkpoint, Entry, HistoryEvent, Key, Revision, Scan, StateMeta } from "@distkv/core"
import { StorageFailed } from "@distkv/core"
import type { Transaction } from "lmdb"
import type { Environment, Rows } from "./Environment.ts"
import { Batch } from "./Environment.ts"
import type { FailStop } from "./Failure.ts"
import { reading, Sequence } from "./Failure.ts"
import { blockKey, BlockWriter, findEventUnsafe } from "./HistoryBlocks.ts"
import type { MetaRows, Owner } from "./MetaRows.ts"
import { ownerRow, stateMetaRow } from "./MetaRows.ts"
import { RowArena } from "./RowArena.ts"
import { rangeOfScan } from "./ScanRange.ts"
import { changeSessionRow, sessionRowUnsafe } from "./SessionRows.ts"
import { decodeRowUnsafe, liesApart } from "./StateRows.ts"
import { Turns } from "./Turns.ts"

const doing = "the state cannot be read"

export class LmdbState {
  private readonly environment: Environment
  private readonly meta: MetaRows
  private readonly kv: Rows
  private readonly values: Rows
  private readonly history: Rows
  private readonly sessions: Rows
  private readonly failStop: FailStop
  private readonly writes = new Sequence()
  /** The position as of the last checkpoint that succeeded. */
  private position: StateMeta | null
  /** Whether there may be rows in `values`, from which every change of a key has to remove. */
  private hasValues: boolean
  /** Whether the environment says whose it is. */
  private owned: boolean
  /** Set while a checkpoint is under way. */
  private view: { readonly transaction: Transaction } | undefined

  /** Throws `StorageFailed` where the position is damaged. */
  constructor(environment: Environment, meta: MetaRows, failStop: FailStop) {
    this.environment = environment
    this.meta = meta
    this.failStop = failStop
    this.kv = reading(doing, () => environment.rows("kv"))
    this.values = reading(doing, () => environment.rows("values"))
    this.history = reading(doing, () => environment.rows("history"))
    this.sessions = reading(doing, () => environment.rows("sessions"))
    this.hasValues = reading(doing, () => [...this.values.getKeys({ limit: 1 })]).length > 0
    this.position = meta.getUnsafe(stateMetaRow)
    this.owned = meta.getUnsafe(ownerRow) !== null
  }

  get found(): StateMeta | null {
    return this.position
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
      const transaction = reading(doing, () => this.environment.snapshot())
      this.view = { transaction }
      try {
        await this.environment.commit(batch)
        this.position = checkpoint.meta
      } finally {
        this.view = undefined
        transaction.done()
      }
    })
  }

  getUnsafe(key: Key): Entry | undefined {
    const keyBytes = Buffer.from(key)
    return reading(doing, () => {
      const found = this.kv.getBinaryFast(keyBytes, this.view)
      return found === undefined ? undefined : decodeRowUnsafe(key, keyBytes, found, found.length, this.findValue)
    })
  }

  *scanUnsafe(scan: Scan): Generator<Entry, void, undefined> {
    const range = rangeOfScan(scan)
    if (range === null) return
    const findValue = scan.keysOnly ? null : this.findValue
    const rows = reading(doing, () => this.kv.getRange({ ...range, ...this.view })[Symbol.iterator]())
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
      for (const { key, value } of this.history.getRange({ start, reverse: true, limit: 1, ...this.view })) {
        const event = findEventUnsafe(key, value, wanted)
        if (event !== undefined) return event
      }
      for (const { key, value } of this.history.getRange({ start, limit: 1, ...this.view })) {
        return findEventUnsafe(key, value, wanted)
      }
      return undefined
    })
  }

  *sessionsUnsafe(): Generator<Uint8Array, void, undefined> {
    const rows = reading(doing, () => [...this.sessions.getRange({ ...this.view })])
    for (const { key, value } of rows) yield sessionRowUnsafe(key, value)
  }

  /** Waits for what is under way; not after a failure, when it may never settle. */
  async close(): Promise<void> {
    if (this.failStop.failure === null) await this.writes.idle()
  }

  private readonly findValue = (keyBytes: Buffer): Buffer | undefined => this.values.getBinaryFast(keyBytes, this.view)

  private async encode({ history, meta, rows, sessions }: Checkpoint): Promise<Batch> {
    const batch = new Batch()
    const turns = new Turns()
    const arena = new RowArena()
    for (const [key, entry] of rows) {
      if (entry === null) this.remove(batch, Buffer.from(key))
      else arena.row(entry, (keyBytes, row) => this.put(batch, keyBytes, row, entry.value))
      if (turns.isOver()) await turns.next()
    }
    this.cutHistory(batch, meta.compactRevision)
    const blocks = new BlockWriter((key, block) => batch.put(this.history, key, block))
    for (const event of history) {
      if (event.revision > meta.compactRevision) blocks.add(event)
      if (turns.isOver()) await turns.next()
    }
    blocks.flush()
    for (const row of sessions) {
      changeSessionRow(batch, this.sessions, row)
      if (turns.isOver()) await turns.next()
    }
    this.meta.put(batch, stateMetaRow, meta)
    return batch
  }

  private put(batch: Batch, keyBytes: Buffer, row: Buffer, value: Uint8Array): void {
    batch.put(this.kv, keyBytes, row)
    if (liesApart(value)) {
      this.hasValues = true
      batch.put(this.values, keyBytes, Buffer.from(value.buffer, value.byteOffset, value.length))
    } else if (this.hasValues) batch.remove(this.values, keyBytes)
  }

  private remove(batch: Batch, keyBytes: Buffer): void {
    batch.remove(this.kv, keyBytes)
    if (this.hasValues) batch.remove(this.values, keyBytes)
  }

  /**
   * Removes the blocks whose events are all at or below `revision`: of those that begin there all but the last, which
   * may reach beyond. What remains of its events is not shown any more.
   */
  private cutHistory(batch: Batch, revision: Revision): void {
    const keys = reading(doing, () => [...this.history.getKeys({ end: blockKey(revision + 1, 0) })])
    for (const key of keys.slice(0, -1)) batch.remove(this.history, key)
  }
}
