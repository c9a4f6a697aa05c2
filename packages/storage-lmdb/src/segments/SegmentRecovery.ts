/**
 * Reads all segments at the start and tells a torn end from damage.
 *
 * One frame is written at a time, and the next one only when it is durable. So a loss of power leaves at most one frame
 * that is not whole, at the very end, and nobody was told of it. Whatever is wrong before a sound frame is damage: what
 * stood there was acknowledged. A damaged last frame cannot be told from a torn one here; the mark knows better.
 */
import type { HardState, Incarnation, Term } from "@distkv/core"
import { howToReplace, logStart, StorageFailed } from "@distkv/core"
import { newerFormat } from "../Failure.ts"
import { frameAfter, type FrameHead, frameVersion, readEntries, readHead } from "./Frame.ts"
import type { OpenSegment } from "./OpenSegment.ts"
import { decodeHead, numberOfName, segmentHeadBytes, segmentVersion } from "./Segment.ts"
import type { SegmentFiles } from "./SegmentFiles.ts"
import { Spans } from "./Spans.ts"

/** What the segments say. */
export interface Recovered {
  /** All of them, oldest first. */
  readonly segments: ReadonlyArray<OpenSegment>
  /** The one that is written to, as a place in `segments`, and where in it; -1 where there is none. */
  readonly current: number
  readonly at: number
  /** Of the next frame. */
  readonly sequence: number
  readonly spans: Spans
  readonly hardState: HardState | null
  /** Of the node that wrote them; null where nothing was written. */
  readonly incarnation: Incarnation | null
}

export const recoverSegments = async (files: SegmentFiles): Promise<Recovered> => {
  const numbers = (await files.list()).map((name) => ({ name, number: numberOfName(name) }))
  const segments: Array<OpenSegment> = []
  const reader = new Reader()
  try {
    for (const { name, number } of numbers.sort((a, b) => (a.number ?? 0) - (b.number ?? 0))) {
      if (number !== null) segments.push(await openSegment(files, name, number))
    }
    for (const [i, segment] of segments.entries()) {
      reader.read(segment, i, await segment.file.read(0, segment.bytes))
    }
    return reader.finish(segments)
  } catch (cause) {
    await Promise.all(segments.map(({ file }) => file.close()))
    throw cause
  }
}

const openSegment = async (files: SegmentFiles, name: string, number: number): Promise<OpenSegment> => {
  const file = await files.open(name)
  try {
    const head = decodeHead(await file.read(0, segmentHeadBytes))
    if (typeof head === "number") throw newerFormat(`the log's segment ${name}`, head, segmentVersion)
    if (head === null || head.number !== number) throw damaged(`its segment ${name} has no whole head`)
    return { head, name, file, bytes: await file.bytes() }
  } catch (cause) {
    await file.close()
    throw cause
  }
}

/** Takes in one segment after another. */
class Reader {
  private readonly spans = new Spans(logStart)
  private hardState: HardState | null = null
  private incarnation: Incarnation | null = null
  private sequence = 1
  private current = -1
  private at = segmentHeadBytes
  private isFirst = true

  read(segment: OpenSegment, place: number, bytes: Buffer): void {
    let at = segmentHeadBytes
    while (true) {
      const head = this.headAt(segment, bytes, at)
      if (head === null) break
      const entries = readEntries(bytes, at, head)
      if (typeof entries === "string") break
      this.take(segment, at, head, entries.map(({ term }) => term))
      at += head.bytes
      this.current = place
      this.at = at
    }
    const later = this.laterFrame(segment, bytes, at)
    if (later !== null) {
      throw damaged(`the bytes at ${at} of ${segment.name} are not what was written, but a frame at ${later} is`)
    }
  }

  finish(segments: ReadonlyArray<OpenSegment>): Recovered {
    const { at, current, hardState, incarnation, sequence, spans } = this
    if (hardState === null && incarnation !== null) throw damaged("no frame holds a term and vote")
    if (spans.firstHeld > spans.base.index + 1) {
      throw damaged(`it begins at index ${spans.firstHeld}, but only what is up to ${spans.base.index} was dropped`)
    }
    spans.drop(spans.base)
    return {
      segments,
      current: current === -1 && segments.length > 0 ? 0 : current,
      at: current === -1 ? segmentHeadBytes : at,
      sequence,
      spans,
      hardState,
      incarnation
    }
  }

  /** The head of the frame that is due at `at`; null where there is none. */
  private headAt(segment: OpenSegment, bytes: Buffer, at: number): FrameHead | null {
    const head = readHead(bytes, at, segment.head.seed)
    if (typeof head === "number") throw newerFormat(`the log's segment ${segment.name}`, head, frameVersion)
    if (head === null) return null
    // What was dropped with earlier segments has taken the first sequences.
    if (this.isFirst && head.sequence >= this.sequence) return head
    if (head.sequence > this.sequence) {
      throw damaged(`before frame ${head.sequence} in ${segment.name} the frames from ${this.sequence} are missing`)
    }
    return head.sequence === this.sequence ? head : null
  }

  private take(
    segment: OpenSegment,
    at: number,
    head: FrameHead,
    terms: ReadonlyArray<Term>
  ): void {
    const { base, bytes, count, first, hardState, incarnation, reset, sequence } = head
    if (this.incarnation !== null && incarnation !== this.incarnation) {
      throw damaged(`${segment.name} holds frames of incarnation ${this.incarnation} and of ${incarnation}`)
    }
    const { spans } = this
    this.isFirst = false
    this.incarnation = incarnation
    this.sequence = sequence + 1
    if (hardState !== null) this.hardState = hardState
    if (base !== null) {
      if (reset) spans.reset(base)
      else spans.drop(base)
    }
    if (count === 0) return
    // Earlier frames may have been dropped with their segments, and a base that says so comes later.
    if (spans.last > spans.base.index && first > spans.last + 1) {
      throw damaged(`after index ${spans.last} comes ${first} in ${segment.name}`)
    }
    spans.add({ segment, at, bytes, first, last: first + count - 1 }, terms)
  }

  /** Where after `at` a frame of this segment begins that was written after the one due; null where none does. */
  private laterFrame(segment: OpenSegment, bytes: Buffer, at: number): number | null {
    for (let found = at; (found = frameAfter(bytes, found + 1)) >= 0;) {
      const head = readHead(bytes, found, segment.head.seed)
      if (head !== null && (typeof head === "number" || head.sequence > this.sequence)) return found
    }
    return null
  }
}

const damaged = (why: string) => new StorageFailed({ message: `the log is damaged: ${why}. ${howToReplace}` })
