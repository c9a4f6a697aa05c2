/**
 * The log in append files: every durable step is one frame, written by one synchronous write to a file that was filled
 * before. See `Frame.ts` and `SegmentRecovery.ts`.
 *
 * A full segment is followed by the next one, which is made ahead of time, from the file of a segment that is no longer
 * needed where there is one. The first frame of each segment repeats hard state and base, so the segments before it
 * can go.
 *
 * Steps and reads may overlap, steps may not; the caller gives one after another.
 */
import type { HardState, Incarnation, LogEntry, LogId, LogIndex, LogSize, TermRun } from "@distkv/core"
import { howToReplace, StorageFailed } from "@distkv/core"
import { frameSize, putFrame, readEntries, readHead, type Step } from "./Frame.ts"
import type { OpenSegment } from "./OpenSegment.ts"
import { encodeHead, newHead, segmentHeadBytes, segmentName } from "./Segment.ts"
import type { SegmentFiles } from "./SegmentFiles.ts"
import { type Recovered, recoverSegments } from "./SegmentRecovery.ts"
import type { Spans } from "./Spans.ts"

export const defaultSegmentBytes = 16 * 1024 * 1024

/** The file of a segment that is being made: it has another name until its head is durable. */
const unfinished = "next"

/** How many segments that are no longer needed are kept for the next ones. */
const keptSpares = 1

/** A buffer that was used for one large step is not kept for ever. */
const keptBufferBytes = 4 * 1024 * 1024

export class SegmentLog {
  private readonly files: SegmentFiles
  private readonly segmentBytes: number
  /** Oldest first; those after `current` have no frames yet. */
  private readonly segments: Array<OpenSegment>
  private current: number
  private at: number
  private sequence: number
  private readonly spans: Spans
  private latest: HardState | null
  private owner: Incarnation | null
  /** Makes the segment after the last one. */
  private making: Promise<void> | null = null
  private buffer = Buffer.allocUnsafeSlow(64 * 1024)
  private readers = 0
  /** Segments that are no longer needed, once nobody reads them. */
  private readonly freed: Array<OpenSegment> = []

  private constructor(files: SegmentFiles, segmentBytes: number, recovered: Recovered) {
    this.files = files
    this.segmentBytes = segmentBytes
    this.segments = [...recovered.segments]
    this.current = recovered.current
    this.at = recovered.at
    this.sequence = recovered.sequence
    this.spans = recovered.spans
    this.latest = recovered.hardState
    this.owner = recovered.incarnation
  }

  /** Reads what is there. Rejects with `StorageFailed` where it is damaged or newer. */
  static async open(files: SegmentFiles, segmentBytes: number = defaultSegmentBytes): Promise<SegmentLog> {
    await files.remove(unfinished)
    const log = new SegmentLog(files, segmentBytes, await recoverSegments(files))
    log.free()
    return log
  }

  /** As durable; null before the first step. */
  get hardState(): HardState | null {
    return this.latest
  }

  /** Whose log it is; null before the first step. */
  get incarnation(): Incarnation | null {
    return this.owner
  }

  /** The last entry that is no longer kept. */
  get base(): LogId {
    return this.spans.base
  }

  get last(): LogIndex {
    return this.spans.last
  }

  get terms(): ReadonlyArray<TermRun> {
    return this.spans.terms
  }

  get sizes(): ReadonlyArray<LogSize> {
    return this.spans.sizes
  }

  /** Makes the log that of a node, whose first hard state this is. */
  async found(incarnation: Incarnation, hardState: HardState): Promise<void> {
    this.owner = incarnation
    await this.write({ hardState, base: null, reset: false, entries: [] })
  }

  /** Resolves when the step is durable. One at a time; after one that failed, nothing may be written any more. */
  async write(step: Step): Promise<void> {
    const { owner } = this
    if (owner === null) throw new StorageFailed({ message: "the log belongs to nobody yet; nothing was written" })
    const segment = await this.place(step)
    const isFirst = this.at === segmentHeadBytes
    const whole = isFirst ? this.withState(step) : step
    const size = frameSize(whole)
    if (this.buffer.length < size) this.buffer = Buffer.allocUnsafeSlow(2 * size)
    putFrame(this.buffer, 0, whole, { sequence: this.sequence, incarnation: owner, seed: segment.head.seed })
    await segment.file.write(this.buffer.subarray(0, size), this.at)
    if (this.buffer.length > keptBufferBytes) this.buffer = Buffer.allocUnsafeSlow(64 * 1024)
    segment.bytes = Math.max(segment.bytes, this.at + size)
    this.take(step, segment, size)
  }

  /** The entries from `from` (or the first one kept) to at most `to`, as many as fit in `maxBytes` but at least one. */
  async read(from: LogIndex, to: LogIndex, maxBytes: number): Promise<ReadonlyArray<LogEntry>> {
    const found: Array<LogEntry> = []
    const begin = Math.max(from, this.base.index + 1)
    let bytes = 0
    this.readers++
    try {
      for (const { at, bytes: size, first, last, segment } of [...this.spans.within(begin, to)]) {
        const content = await segment.file.read(at, size)
        const head = readHead(content, 0, segment.head.seed)
        const entries = head === null || typeof head === "number" || head.first !== first
          ? "the frame is not the one that was written"
          : readEntries(content, 0, head, begin, Math.min(to, last))
        if (typeof entries === "string") throw damaged(`${entries} (at ${at} of ${segment.name})`)
        for (const entry of entries) {
          bytes += entry.record.length
          if (found.length > 0 && bytes > maxBytes) return found
          found.push(entry)
        }
      }
      return found
    } finally {
      this.readers--
    }
  }

  /** Waits for what is under way in the background, and closes the files. */
  async close(): Promise<void> {
    await this.making?.catch(ignore)
    await Promise.all([...this.segments, ...this.freed].map(({ file }) => file.close()))
  }

  /** The segment that takes the step: the present one, or the next where it is full. */
  private async place(step: Step): Promise<OpenSegment> {
    const present = this.segments[this.current]
    if (present !== undefined) {
      if (this.at === segmentHeadBytes || this.at + frameSize(step) <= present.bytes) return present
    }
    if (this.current + 1 >= this.segments.length) this.prepare()
    // Where it could not be made, the failure is this step's.
    await this.making
    this.current++
    this.at = segmentHeadBytes
    this.prepare()
    return this.segments[this.current]!
  }

  private withState(step: Step): Step {
    return { ...step, hardState: step.hardState ?? this.latest, base: step.base ?? this.spans.base }
  }

  private take(step: Step, segment: OpenSegment, size: number): void {
    const { base, entries, hardState, reset } = step
    const at = this.at
    this.at += size
    this.sequence++
    if (hardState !== null) this.latest = hardState
    if (base !== null) {
      if (reset) this.spans.reset(base)
      else this.spans.drop(base)
    }
    const first = entries[0]?.index
    if (first !== undefined) {
      const last = first + entries.length - 1
      this.spans.add({ segment, at, bytes: size, first, last }, entries.map(({ term }) => term))
    }
    if (base !== null) this.free()
  }

  /** Gives up the oldest segments of which nothing is kept; their files are used again. */
  private free(): void {
    while (this.current > 0 && !this.spans.uses(this.segments[0]!)) {
      this.freed.push(this.segments.shift()!)
      this.current--
    }
    this.prepare()
  }

  /** Makes the next segment, unless it is there, and removes what is free beyond that. */
  private prepare(): void {
    if (this.making !== null && this.current + 1 < this.segments.length && this.freed.length <= keptSpares) return
    const before = this.making?.catch(forgiveLackOfSpace) ?? Promise.resolve()
    this.making = before.then(async () => {
      if (this.current + 1 >= this.segments.length) this.segments.push(await this.make())
      // From the oldest on: a crash must not leave an older one with a gap behind it.
      while (this.freed.length > keptSpares && this.readers === 0) await this.discard(this.freed.shift()!)
    })
    // A step that needs the segment is told; until then there is nobody to tell.
    this.making.catch(ignore)
  }

  private async make(): Promise<OpenSegment> {
    const number = (this.segments.at(-1)?.head.number ?? 0) + 1
    const head = newHead(number)
    const name = segmentName(number)
    const used = this.readers === 0 ? this.freed.shift() : undefined
    const wanted = Math.max(this.segmentBytes, 2 * segmentHeadBytes)
    if (used !== undefined && used.bytes === wanted) {
      // Under another name first: a crash in between must not leave a segment with a head of another number.
      await this.files.rename(used.name, unfinished)
      await used.file.write(encodeHead(head), 0)
      await this.files.rename(unfinished, name)
      return { head, name, file: used.file, bytes: used.bytes }
    }
    if (used !== undefined) await this.discard(used)
    const file = await this.files.create(unfinished, wanted).catch(markLackOfSpace)
    await file.write(encodeHead(head), 0)
    await this.files.rename(unfinished, name)
    return { head, name, file, bytes: wanted }
  }

  private async discard(segment: OpenSegment): Promise<void> {
    await this.files.remove(segment.name)
    await segment.file.close()
  }
}

const ignore = () => {}

/**
 * There was no room for a new file. Nothing was promised of it, so it is tried again when it is needed, where any other
 * failure is that of the log.
 */
class LackOfSpace extends Error {}

const markLackOfSpace = (cause: unknown): never => {
  const lacks = cause instanceof Error && "code" in cause && (cause.code === "ENOSPC" || cause.code === "EDQUOT")
  throw lacks ? new LackOfSpace(cause.message, { cause }) : cause
}

const forgiveLackOfSpace = (cause: unknown): void => {
  if (!(cause instanceof LackOfSpace)) throw cause
}

const damaged = (why: string) => new StorageFailed({ message: `the log is damaged: ${why}. ${howToReplace}` })
