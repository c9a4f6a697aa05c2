/**
 * Takes bytes apart without ever throwing.
 *
 * The first flaw is remembered and everything after it reads as zero or empty, so a decoder reads straight through
 * and looks at `flaw` once, at its end. What it made of flawed bytes must then be thrown away.
 */
import { copyOf, getText, getU16, getU32, getU64, viewOf } from "./Bytes.ts"
import { getKeyText } from "./KeyTexts.ts"

export class ByteReader {
  readonly bytes: Uint8Array
  /** Why the bytes are not well-formed; null as long as they are. */
  flaw: string | null = null
  private at: number

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes
    this.at = at
  }

  /** Remembers the first flaw only: later ones follow from it. */
  reject(flaw: string): void {
    this.flaw ??= flaw
  }

  /** Bytes not read yet. */
  get left(): number {
    return this.bytes.length - this.at
  }

  u8(): number {
    const at = this.take(1)
    return at < 0 ? 0 : this.bytes[at] ?? 0
  }

  u16(): number {
    const at = this.take(2)
    return at < 0 ? 0 : getU16(this.bytes, at)
  }

  u32(): number {
    const at = this.take(4)
    return at < 0 ? 0 : getU32(this.bytes, at)
  }

  /** An integer from 0 to 2^53 - 1. */
  u64(): number {
    const at = this.take(8)
    if (at < 0) return 0
    const value = getU64(this.bytes, at)
    if (value <= Number.MAX_SAFE_INTEGER) return value
    this.reject("a number beyond 2^53 - 1")
    return 0
  }

  /** A byte of which only the bits in `known` may be set. */
  flags(known: number): number {
    const flags = this.u8()
    if ((flags & ~known) !== 0) this.reject("an unknown flag")
    return flags
  }

  /** `length` bytes of valid UTF-8. */
  text(length: number): string {
    const at = this.take(length)
    if (at < 0) return ""
    const text = getText(this.bytes, at, at + length)
    if (text !== null) return text
    this.reject("text that is not UTF-8")
    return ""
  }

  /** The same of a key: most are read again and again. */
  key(length: number): string {
    const at = this.take(length)
    if (at < 0) return ""
    const text = getKeyText(this.bytes, at, at + length)
    if (text !== null) return text
    this.reject("text that is not UTF-8")
    return ""
  }

  /** The next `length` bytes, as a view. */
  view(length: number): Uint8Array {
    const at = this.take(length)
    return at < 0 ? empty : viewOf(this.bytes, at, at + length)
  }

  /** The next `length` bytes, as a copy that keeps nothing else alive. */
  copy(length: number): Uint8Array {
    const at = this.take(length)
    return at < 0 ? empty : copyOf(this.bytes, at, at + length)
  }

  /** Rejects what was not read. */
  end(): void {
    if (this.left !== 0) this.reject("bytes after the end")
  }

  private take(length: number): number {
    if (this.flaw !== null) return -1
    const at = this.at
    if (length > this.bytes.length - at) {
      this.reject("cut off")
      return -1
    }
    this.at = at + length
    return at
  }
}

const empty = new Uint8Array(0)
