/**
 * The texts of keys that were read lately, found again by their bytes.
 *
 * A key in use is read from every record that names it. The text that is there already costs no allocation, brings its
 * hash along, and is the very string that maps of keys hold, so that finding it there needs no comparison.
 */
import { getText } from "./Bytes.ts"

/** Of each place the text that was read last; a power of two. */
const places = 32_768
/** Longer ones are read anew each time, so that what is kept stays small. */
const longest = 48
const texts = new Array<string>(places).fill("")

/** As `getText`. */
export const getKeyText = (bytes: Uint8Array, from: number, to: number): string | null => {
  if (to - from > longest) return getText(bytes, from, to)
  let hash = to - from
  for (let at = from; at < to; at++) hash = Math.imul(hash ^ bytes[at]!, 0x0100_0193)
  const place = (hash ^ (hash >>> 15)) & (places - 1)
  const known = texts[place]!
  if (isAt(known, bytes, from, to)) return known
  const text = getText(bytes, from, to)
  // As many characters as bytes: each character is its byte, and the two can be compared one by one.
  if (text?.length === to - from) texts[place] = text
  return text
}

const isAt = (text: string, bytes: Uint8Array, from: number, to: number): boolean => {
  if (text.length !== to - from) return false
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== bytes[from + i]) return false
  return true
}
