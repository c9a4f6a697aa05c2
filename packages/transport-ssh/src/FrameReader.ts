/**
 * Cuts the bytes of a lane into frames: length u32 big-endian, then that many bytes, the first of which is the kind.
 *
 * The length is checked before anything is kept for it, so that a peer cannot make this node hold more than one frame.
 * A frame is a view of what arrived wherever it arrived in one piece.
 */
export class FrameReader {
  /** The largest frame accepted at the moment. */
  limit: number
  private readonly onFrame: (kind: number, body: Uint8Array) => boolean
  private pieces: Array<Buffer> = []
  private held = 0
  /** The length of the frame that is being gathered, -1 while its own four bytes are. */
  private wanted = -1

  /** `onFrame` answers whether to go on. */
  constructor(limit: number, onFrame: (kind: number, body: Uint8Array) => boolean) {
    this.limit = limit
    this.onFrame = onFrame
  }

  /** Takes in what arrived; a string says why no more will be read. */
  push(chunk: Buffer): string | null {
    this.pieces.push(chunk)
    this.held += chunk.length
    while (true) {
      if (this.wanted < 0) {
        if (this.held < 4) return null
        this.wanted = this.take(4).readUInt32BE(0)
        if (this.wanted === 0) return "an empty frame"
        if (this.wanted > this.limit) return `a frame of ${this.wanted} bytes, and ${this.limit} are the most`
      }
      if (this.held < this.wanted) return null
      const frame = this.take(this.wanted)
      this.wanted = -1
      if (!this.onFrame(frame[0] ?? 0, frame.subarray(1))) return null
    }
  }

  /** The next `length` bytes, which are there. */
  private take(length: number): Buffer {
    this.held -= length
    const first = this.pieces[0] ?? Buffer.alloc(0)
    if (first.length > length) {
      this.pieces[0] = first.subarray(length)
      return first.subarray(0, length)
    }
    if (first.length === length) {
      this.pieces.shift()
      return first
    }
    const all = Buffer.concat(this.pieces)
    this.pieces = all.length > length ? [all.subarray(length)] : []
    return all.subarray(0, length)
  }
}
