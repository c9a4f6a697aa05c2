/** A log in segments, as the storage keeps it: watched, and stopped for good by the first step that fails. */
import type { HardState, Identity, LogEntry, LogId, LogIndex, LogSize, Term, TermRun } from "@distkv/core"
import { StorageFailed } from "@distkv/core"
import { settlesSoon, watched } from "../CommitWatch.ts"
import type { DiskFunctions } from "../Disk.ts"
import type { FailStop } from "../Failure.ts"
import type { LogBackend, LogStep } from "../LogBackend.ts"
import type { Step } from "./Frame.ts"
import type { SegmentLog } from "./SegmentLog.ts"

export interface SegmentOptions {
  readonly disk: DiskFunctions
  readonly failStop: FailStop
  readonly commitTimeoutMs: number
  /** Called where a failed write may still be under way when the log is given up. */
  readonly abandoned: () => void
}

export class SegmentBackend implements LogBackend {
  private readonly log: SegmentLog
  private readonly options: SegmentOptions
  private underWay: Promise<void> = Promise.resolve()

  constructor(log: SegmentLog, options: SegmentOptions) {
    this.log = log
    this.options = options
  }

  get hardState(): HardState | null {
    return this.log.hardState
  }

  get base(): LogId {
    return this.log.base
  }

  get last(): LogIndex {
    return this.log.last
  }

  get isOwned(): boolean {
    return this.log.incarnation !== null
  }

  checkOwnerUnsafe({ incarnation, nodeId }: Identity): void {
    const owner = this.log.incarnation
    if (owner === null || owner === incarnation) return
    throw new StorageFailed({
      message: `the log belongs to incarnation ${owner}, but the identity file says ${nodeId} (incarnation ` +
        `${incarnation}): put back the files that belong together`
    })
  }

  termUnsafe(index: LogIndex): Term | undefined {
    if (index === this.base.index) return this.base.term
    if (index < this.base.index || index > this.last) return undefined
    return this.termsUnsafe().findLast(({ first }) => first <= index)?.term
  }

  termsUnsafe(): ReadonlyArray<TermRun> {
    return this.log.terms
  }

  get sizes(): ReadonlyArray<LogSize> {
    return this.log.sizes
  }

  claim({ incarnation }: Identity, hardState: HardState): Promise<void> {
    return this.run(() => this.log.found(incarnation, hardState))
  }

  commit({ entries, hardState, reset }: LogStep): Promise<void> {
    return this.write({ hardState, base: reset, reset: reset !== null, entries })
  }

  async compact(to: LogIndex): Promise<void> {
    const term = this.termUnsafe(to)
    if (term === undefined) throw new StorageFailed({ message: `the log has no entry ${to}; nothing was dropped` })
    await this.write({ hardState: null, base: { term, index: to }, reset: false, entries: [] })
  }

  read(from: LogIndex, to: LogIndex, maxBytes: number): Promise<ReadonlyArray<LogEntry>> {
    return this.log.read(from, to, maxBytes)
  }

  /** Segments come and go; what they lack shows in their frames. */
  async bytes(): Promise<number> {
    return 0
  }

  async close(): Promise<void> {
    const { abandoned, failStop } = this.options
    // A write that is stuck would hold up the close for ever; its descriptors end with the process.
    if (failStop.failure === null || await settlesSoon(this.underWay)) await this.log.close()
    else abandoned()
  }

  private async write(step: Step): Promise<void> {
    if (step.entries.length === 0 && step.hardState === null && step.base === null) return
    await this.run(() => this.log.write(step))
  }

  private run(write: () => Promise<void>): Promise<void> {
    const { commitTimeoutMs, disk, failStop } = this.options
    failStop.check()
    this.underWay = disk.commit(write)
    return watched("log", this.underWay, commitTimeoutMs, failStop)
  }
}
