/** A segment whose file is open. */
import type { SegmentHead } from "./Segment.ts"
import type { SegmentFile } from "./SegmentFiles.ts"

export interface OpenSegment {
  readonly head: SegmentHead
  readonly name: string
  readonly file: SegmentFile
  /** The size of the file, in bytes; a single large frame may make it longer. */
  bytes: number
}
