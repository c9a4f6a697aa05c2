/**
 * Reading and writing the pieces of which records and messages are made: integers little-endian, text as UTF-8.
 *
 * Everything here is plain synchronous code on plain `Uint8Array`s; it is called for every command and every entry.
 */
import { Buffer, isUtf8 } from "node:buffer"

const twoTo32 = 2 ** 32

/**
 * Fresh bytes whose content is undefined: whoever asks for them writes all of them. Small ones share a slab, which
 * makes them several times cheaper than `new Uint8Array(size)`.
 */
export const allocate = (size: number): Uint8Array => {
  if (size > largestInSlab) return new Uint8Array(Buffer.allocUnsafeSlow(size).buffer)
  if (slabUsed + size > slabBytes) {
    slab = Buffer.allocUnsafeSlow(slabBytes).buffer
    slabUsed = 0
  }
  const bytes = new Uint8Array(slab, slabUsed, size)
  slabUsed = (slabUsed + size + 7) & ~7
  return bytes
}

const slabBytes = 64 * 1024
const largestInSlab = slabBytes / 8
let slab = new ArrayBuffer(0)
let slabUsed = slabBytes

/** A plain `Uint8Array` over the same memory, whatever kind of view `bytes` is. */
export const viewOf = (bytes: Uint8Array, from: number, to: number): Uint8Array =>
  new Uint8Array(bytes.buffer, bytes.byteOffset + from, to - from)

/** A plain copy in memory of its own, which keeps nothing else alive. */
export const copyOf = (bytes: Uint8Array, from: number, to: number): Uint8Array =>
  Uint8Array.prototype.slice.call(bytes, from, to)

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

export const putU16 = (bytes: Uint8Array, at: number, value: number): number => {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  return at + 2
}

export const putU32 = (bytes: Uint8Array, at: number, value: number): number => {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
  return at + 4
}

/** Writes an integer from 0 to 2^53 - 1. Anything else is a mistake of the program: `RangeError`. */
export const putU64 = (bytes: Uint8Array, at: number, value: number): number => {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not an integer from 0 to 2^53 - 1: ${value}`)
  putU32(bytes, at, value)
  putU32(bytes, at + 4, Math.floor(value / twoTo32))
  return at + 8
}

/** Copies `source` to `at`. */
export const putBytes = (bytes: Uint8Array, at: number, source: Uint8Array): number => {
  bytes.set(source, at)
  return at + source.length
}

/** Writes `text`, whose length in UTF-8 is `length`; the same from here or from `utf8Length`. */
export const putText = (bytes: Uint8Array, at: number, text: string, length: number): number => {
  const end = at + length
  if (text.length === length && length <= 48) {
    // As many bytes as code units is ASCII; for a short one a loop is cheaper than a call into the runtime.
    for (let i = 0; i < length; i++) bytes[at + i] = text.charCodeAt(i)
    return end
  }
  bufferOf(bytes).write(text, at, length, "utf8")
  return end
}

/** The length of a well-formed string in UTF-8. */
export const utf8Length = (text: string): number => {
  const { length } = text
  if (length > 48) return Buffer.byteLength(text, "utf8")
  // Short texts are mostly ASCII, and a loop over one is cheaper than a call into the runtime.
  for (let i = 0; i < length; i++) {
    if (text.charCodeAt(i) > 127) return Buffer.byteLength(text, "utf8")
  }
  return length
}

export const getU16 = (bytes: Uint8Array, at: number): number => byteAt(bytes, at) | (byteAt(bytes, at + 1) << 8)

export const getU32 = (bytes: Uint8Array, at: number): number =>
  (byteAt(bytes, at) | (byteAt(bytes, at + 1) << 8) | (byteAt(bytes, at + 2) << 16) | (byteAt(bytes, at + 3) << 24)) >>>
  0

/** Reads a u64; above 2^53 - 1 the answer is above it too (and not exact), so that a caller can refuse it. */
export const getU64 = (bytes: Uint8Array, at: number): number => getU32(bytes, at) + getU32(bytes, at + 4) * twoTo32

// Callers have checked the length; the fallback only satisfies the compiler.
const byteAt = (bytes: Uint8Array, at: number): number => bytes[at] ?? 0

// What `toString` of a buffer ends in. It takes any array of bytes: no buffer has to be made for each key.
const { utf8Slice } = Buffer.prototype as unknown as {
  readonly utf8Slice: (this: Uint8Array, from: number, to: number) => string
}

/** The text at `from` to `to`, or null when it is not valid UTF-8. A byte order mark is kept as a character. */
export const getText = (bytes: Uint8Array, from: number, to: number): string | null => {
  const text = utf8Slice.call(bytes, from, to)
  // Decoding puts U+FFFD in the place of what is invalid, so only text that holds one needs a second look.
  return text.includes("\ufffd") && !isUtf8(viewOf(bytes, from, to)) ? null : text
}
