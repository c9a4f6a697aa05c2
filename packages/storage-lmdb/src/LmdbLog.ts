/**
 * The log of one node: identity file, hard state and entries, and the mark that follows them.
 *
 * Writes go one after another, in the order of their calls. Whatever lowers the last index holds the mark from before
 * its commit until after it, and lowers the mark's floor first: the mark may never promise more than the log has.
 */
import type {
  HardState,
  Identity,
  Incarnation,
  LogEntry,
  LogId,
  LogIndex,
  LogWrite,
  RecoveredLog,
  Term
} from "@distkv/core"
import { after, flawOfWrite, initialHardState, logStart, StorageFailed } from "@distkv/core"
import type { Environment } from "./Environment.ts"
import { Batch } from "./Environment.ts"
import type { FailStop } from "./Failure.ts"
import { reasonOf, Sequence } from "./Failure.ts"
import { writeIdentity } from "./IdentityFile.ts"
import { LogRows } from "./LogRows.ts"
import type { Mark, MarkFile } from "./MarkFile.ts"
import type { MetaRows } from "./MetaRows.ts"
import { baseRow, hardStateRow } from "./MetaRows.ts"

export interface LogParts {
  readonly environment: Environment
  readonly meta: MetaRows
  readonly mark: MarkFile
  readonly identityFile: string
  readonly failStop: FailStop
  /** What the identity file said. */
  readonly identity: Identity | null
  /** Makes the state this owner's. */
  readonly claimState: (identity: Identity) => Promise<void>
  /** The size of the state's file. */
  readonly stateBytes: () => Promise<number>
}

/** Entries that one commit of a compaction drops at most: more would hold up the writes beside it. */
const compactedAtOnce = 1000

export class LmdbLog {
  private readonly parts: LogParts
  private readonly rows: LogRows
  private readonly writes = new Sequence()
  private readonly marks = new Sequence()
  /** The position before the first entry kept. */
  private base: LogId
  private identity: Identity | null
  /** As durable; null before the first identity. */
  private hardState: HardState | null
  /** The last durable index. */
  private last: LogIndex

  /** Throws `StorageFailed` where the log is damaged. */
  constructor(parts: LogParts) {
    this.parts = parts
    this.rows = new LogRows(parts.environment)
    this.base = parts.meta.getUnsafe(baseRow) ?? logStart
    this.last = this.rows.lastUnsafe(this.base.index)
    this.identity = parts.identity
    this.hardState = parts.meta.getUnsafe(hardStateRow)
  }

  /** What was found at the start, before anything was written. */
  get found(): { readonly hardState: HardState | null; readonly base: LogId; readonly last: LogIndex } {
    return { hardState: this.hardState, base: this.base, last: this.last }
  }

  /** The term at an index from the base to the last one; undefined elsewhere. Throws `StorageFailed`. */
  termUnsafe(index: LogIndex): Term | undefined {
    if (index === this.base.index) return this.base.term
    return index < this.base.index || index > this.last ? undefined : this.rows.entryUnsafe(index).term
  }

  recover(): Promise<RecoveredLog> {
    return this.writes.run(async () => {
      const { base, identity, last } = this
      const first = after(base.index)
      return {
        identity,
        hardState: identity === null ? null : this.hardState,
        base,
        first,
        last,
        terms: this.rows.termsUnsafe(first, last)
      }
    })
  }

  saveIdentity(identity: Identity): Promise<void> {
    return this.writes.run(async () => {
      this.parts.failStop.check()
      if (this.identity === null) await this.foundNode(identity)
      else this.checkSameNode(this.identity, identity)
      await this.orStop("the identity file cannot be written", () => writeIdentity(this.parts.identityFile, identity))
      this.identity = identity
    })
  }

  write(write: LogWrite): Promise<void> {
    return this.writes.run(async () => {
      this.parts.failStop.check()
      const { hardState } = this
      if (hardState === null) {
        throw new StorageFailed({ message: "nothing can be written before the identity is saved; nothing was written" })
      }
      const flaw = flawOfWrite(write, after(this.base.index), this.last)
      if (flaw !== null) throw new StorageFailed({ message: `${flaw}; nothing was written` })
      const last = write.entries.at(-1)?.index ?? write.reset?.index ?? this.last
      const newState = isSame(write.hardState, hardState) ? null : write.hardState
      if (newState === null && last >= this.last) await this.commit(write, null, last)
      else await this.marks.run(() => this.commitMarked(write, hardState, newState, last))
    })
  }

  /** Slice by slice, so that writes are not held up by a long one. */
  async compact(to: LogIndex): Promise<void> {
    while (this.base.index < to) await this.writes.run(() => this.compactSlice(to))
  }

  readUnsafe(from: LogIndex, to: LogIndex, maxBytes: number): ReadonlyArray<LogEntry> {
    const entries: Array<LogEntry> = []
    const end = Math.min(to, this.last)
    let bytes = 0
    for (let index = Math.max(from, this.base.index + 1); index <= end; index++) {
      const entry = this.rows.entryUnsafe(index)
      bytes += entry.record.length
      if (entries.length > 0 && bytes > maxBytes) break
      entries.push(entry)
    }
    return entries
  }

  /** Raises the mark to what is durable by now. */
  raiseMark(): Promise<void> {
    return this.marks.run(async () => {
      const { environment, failStop, mark, stateBytes } = this.parts
      const { hardState, last } = this
      const before = mark.mark
      if (hardState === null || before === null || failStop.failure !== null) return
      const exact = before.floor === last && isSame(before.hardState, hardState) &&
        before.logBytes === await environment.fileBytes() && before.stateBytes === await stateBytes()
      if (!exact) await this.writeMark(hardState, last)
    })
  }

  /** Waits for what is under way, and leaves an exact mark. */
  async close(): Promise<void> {
    if (this.parts.failStop.failure === null) {
      await this.writes.idle()
      await this.raiseMark()
    }
    await this.parts.mark.close()
  }

  /** The first identity: the environments are its own, and there is a term and a mark, before the file names it. */
  private async foundNode(identity: Identity): Promise<void> {
    const { claimState, environment, mark, meta } = this.parts
    await claimState(identity)
    const batch = new Batch()
    meta.claim(batch, identity)
    meta.put(batch, hardStateRow, initialHardState)
    await environment.commit(batch)
    this.hardState = initialHardState
    await this.marks.run(() =>
      this.orStop(
        `the mark ${mark.path} cannot be written`,
        async () => mark.create(await this.markOf(identity.incarnation, initialHardState, 0 as LogIndex))
      )
    )
  }

  private async commitMarked(
    write: LogWrite,
    oldState: HardState,
    newState: HardState | null,
    last: LogIndex
  ): Promise<void> {
    const floor = this.parts.mark.mark?.floor ?? 0
    if (last < floor) await this.writeMark(oldState, last)
    await this.commit(write, newState, last)
    if (newState !== null) await this.writeMark(newState, last)
  }

  private async compactSlice(to: LogIndex): Promise<void> {
    this.parts.failStop.check()
    if (to > this.last) {
      throw new StorageFailed({ message: `the log ends at ${this.last} and has no entry ${to}; nothing was dropped` })
    }
    const index = Math.min(to, this.base.index + compactedAtOnce) as LogIndex
    // A snapshot may have passed it while it waited.
    if (index <= this.base.index) return
    const base = { term: this.rows.entryUnsafe(index).term, index }
    const batch = new Batch()
    this.rows.remove(batch, this.base.index + 1, index)
    this.parts.meta.put(batch, baseRow, base)
    await this.parts.environment.commit(batch)
    this.base = base
  }

  private async commit({ entries, reset }: LogWrite, hardState: HardState | null, last: LogIndex): Promise<void> {
    const batch = new Batch()
    if (hardState !== null) this.parts.meta.put(batch, hardStateRow, hardState)
    if (reset !== undefined) {
      this.rows.clear(batch)
      this.parts.meta.put(batch, baseRow, reset)
    }
    this.rows.put(batch, entries)
    if (reset === undefined) this.rows.remove(batch, last + 1, this.last)
    await this.parts.environment.commit(batch)
    if (reset !== undefined) this.base = reset
    this.last = last
    if (hardState !== null) this.hardState = hardState
  }

  private async writeMark(hardState: HardState, floor: LogIndex): Promise<void> {
    const { mark } = this.parts
    const before = mark.mark
    if (before === null) throw this.parts.failStop.fail(`the mark ${mark.path} is missing`)
    await this.orStop(
      `the mark ${mark.path} cannot be written`,
      async () => mark.write(await this.markOf(before.incarnation, hardState, floor))
    )
  }

  private async markOf(incarnation: Incarnation, hardState: HardState, floor: LogIndex): Promise<Mark> {
    const { environment, stateBytes } = this.parts
    return { incarnation, hardState, floor, logBytes: await environment.fileBytes(), stateBytes: await stateBytes() }
  }

  /** Does what must not fail; where it does, nothing may be written any more. */
  private async orStop<A>(message: string, run: () => Promise<A>): Promise<A> {
    try {
      return await run()
    } catch (cause) {
      throw this.parts.failStop.fail(`${message}: ${reasonOf(cause)}`, cause)
    }
  }

  private checkSameNode(before: Identity, next: Identity): void {
    if (before.nodeId === next.nodeId && before.incarnation === next.incarnation) return
    throw new StorageFailed({
      message:
        `this directory belongs to node ${before.nodeId} (incarnation ${before.incarnation}) and cannot become ` +
        `that of ${next.nodeId} (incarnation ${next.incarnation}); nothing was written`
    })
  }
}

const isSame = (a: HardState | null, b: HardState | null): boolean => a?.term === b?.term && a?.votedFor === b?.votedFor
