/** Memory for the encoded rows of a checkpoint: a few large pieces, since small ones cost more than their content. */
import type { Entry } from "@distkv/core"
import { encodeRow, sizeOfRow } from "./StateRows.ts"

const pieceBytes = 256 * 1024

export class RowArena {
  private piece = Buffer.alloc(0)
  private used = 0

  /** Encodes an entry and hands out its key and its row, both views of the arena. */
  row(entry: Entry, use: (key: Buffer, row: Buffer) => void): void {
    const keyLength = Buffer.byteLength(entry.key)
    const size = sizeOfRow(keyLength, entry)
    if (this.used + size > this.piece.length) {
      this.piece = Buffer.allocUnsafeSlow(Math.max(pieceBytes, size))
      this.used = 0
    }
    const start = this.used
    const end = encodeRow(this.piece, start, keyLength, entry)
    this.used = end
    use(this.piece.subarray(start, start + keyLength), this.piece.subarray(start + keyLength, end))
  }
}
