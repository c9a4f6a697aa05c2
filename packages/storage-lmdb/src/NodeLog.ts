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
import { after, flawOfWrite, initialHardState, StorageFailed } from "@distkv/core"
import type { FailStop } from "./Failure.ts"
import { reasonOf, Sequence } from "./Failure.ts"
import { writeIdentity } from "./IdentityFile.ts"
import type { LogBackend, LogStep } from "./LogBackend.ts"
import type { Mark, MarkFile } from "./MarkFile.ts"

export interface LogParts {
  readonly backend: LogBackend
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

export class NodeLog {
  private readonly parts: LogParts
  private readonly backend: LogBackend
  private readonly writes = new Sequence()
  private readonly marks = new Sequence()
  private identity: Identity | null

  constructor(parts: LogParts) {
    this.parts = parts
    this.backend = parts.backend
    this.identity = parts.identity
  }

  /** Where it stands; before anything is written, what was found at the start. */
  get found(): { readonly hardState: HardState | null; readonly base: LogId; readonly last: LogIndex } {
    const { base, hardState, last } = this.backend
    return { hardState, base, last }
  }

  /** The term at an index from the base to the last one; undefined elsewhere. Throws `StorageFailed`. */
  termUnsafe(index: LogIndex): Term | undefined {
    return this.backend.termUnsafe(index)
  }

  recover(): Promise<RecoveredLog> {
    return this.writes.run(async () => {
      const { backend, identity } = this
      const { base, hardState, last, sizes = [] } = backend
      return {
        identity,
        hardState: identity === null ? null : hardState,
        base,
        first: after(base.index),
        last,
        terms: backend.termsUnsafe(),
        ...(sizes.length > 0 && { sizes })
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
      const { base, hardState, last: before } = this.backend
      if (hardState === null) {
        throw new StorageFailed({ message: "nothing can be written before the identity is saved; nothing was written" })
      }
      const flaw = flawOfWrite(write, after(base.index), before)
      if (flaw !== null) throw new StorageFailed({ message: `${flaw}; nothing was written` })
      const last = write.entries.at(-1)?.index ?? write.reset?.index ?? before
      const newState = isSame(write.hardState, hardState) ? null : write.hardState
      const step = { hardState: newState, reset: write.reset ?? null, entries: write.entries }
      if (newState === null && last >= before) await this.backend.commit(step)
      else await this.marks.run(() => this.commitMarked(step, hardState, last))
    })
  }

  /** Slice by slice, so that writes are not held up by a long one. */
  async compact(to: LogIndex): Promise<void> {
    while (this.backend.base.index < to) {
      await this.writes.run(async () => {
        this.parts.failStop.check()
        const { base, last } = this.backend
        if (to > last) {
          throw new StorageFailed({ message: `the log ends at ${last} and has no entry ${to}; nothing was dropped` })
        }
        // A snapshot may have passed it while it waited.
        if (base.index < to) await this.backend.compact(to)
      })
    }
  }

  read(from: LogIndex, to: LogIndex, maxBytes: number): Promise<ReadonlyArray<LogEntry>> {
    return this.backend.read(from, to, maxBytes)
  }

  /** Raises the mark to what is durable by now. */
  raiseMark(): Promise<void> {
    return this.marks.run(async () => {
      const { backend, failStop, mark, stateBytes } = this.parts
      const { hardState, last } = backend
      const before = mark.mark
      if (hardState === null || before === null || failStop.failure !== null) return
      const exact = before.floor === last && isSame(before.hardState, hardState) &&
        before.logBytes === await backend.bytes() && before.stateBytes === await stateBytes()
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

  /** The first identity: log and state are its own, and there is a term and a mark, before the file names it. */
  private async foundNode(identity: Identity): Promise<void> {
    const { backend, claimState, mark } = this.parts
    await claimState(identity)
    await backend.claim(identity, initialHardState)
    await this.marks.run(() =>
      this.orStop(
        `the mark ${mark.path} cannot be written`,
        async () => mark.create(await this.markOf(identity.incarnation, initialHardState, 0 as LogIndex))
      )
    )
  }

  private async commitMarked(step: LogStep, oldState: HardState, last: LogIndex): Promise<void> {
    const floor = this.parts.mark.mark?.floor ?? 0
    if (last < floor) await this.writeMark(oldState, last)
    await this.backend.commit(step)
    if (step.hardState !== null) await this.writeMark(step.hardState, last)
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
    const { backend, stateBytes } = this.parts
    return { incarnation, hardState, floor, logBytes: await backend.bytes(), stateBytes: await stateBytes() }
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
