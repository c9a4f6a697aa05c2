/** One key of the store with its value and metadata, as readers and watchers see it. */
import { Schema } from "effect"
import { Revision } from "./Position.ts"

/** The longest key, in bytes of UTF-8. */
export const maxKeyBytes = 1024

const encoder = new TextEncoder()

/** Whether `text` is a well-formed string of 1 to 1,024 bytes in UTF-8. */
export const isKey = (text: string): boolean => {
  const length = text.length
  if (length === 0 || length > maxKeyBytes || !text.isWellFormed()) return false
  return length * 3 <= maxKeyBytes || encoder.encode(text).length <= maxKeyBytes
}

/** A key: a well-formed string of 1 to 1,024 bytes in UTF-8, ordered by those bytes. */
export const Key = Schema.String.check(
  Schema.makeFilter((text: string) => isKey(text) || "a key is a well-formed string of 1 to 1024 bytes in UTF-8")
).pipe(Schema.brand("Key"))
export type Key = typeof Key.Type

/** The longest bound of a range, in bytes of UTF-8: that of a longest key followed by U+0000, its successor. */
export const maxBoundBytes = maxKeyBytes + 1

/** Whether `text` can bound a range: well-formed and not too long, but it may be empty. */
export const isBound = (text: string): boolean =>
  text.length <= maxBoundBytes && text.isWellFormed() && encoder.encode(text).length <= maxBoundBytes

/**
 * Compares two well-formed strings by their UTF-8 bytes; negative, zero or positive.
 *
 * UTF-16 code units order like UTF-8 bytes except that surrogates (characters above U+FFFF) sort below U+E000..U+FFFF,
 * so units from 0xD800 on are rotated before they are compared.
 */
export const compareKeys = (a: string, b: string): number => {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return rotate(x) - rotate(y)
  }
  return a.length - b.length
}

const rotate = (unit: number): number => unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800

/**
 * A present key. `createRevision` and `modRevision` are the store's revisions at which it was created and last
 * changed; `version` is 1 on creation and +1 per change; `leaseId` is the lease that it is attached to, or null.
 */
export const Entry = Schema.Struct({
  key: Key,
  value: Schema.Uint8Array,
  createRevision: Revision,
  modRevision: Revision,
  version: Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)),
  leaseId: Schema.NullOr(Revision)
})
export interface Entry {
  readonly key: Key
  readonly value: Uint8Array
  readonly createRevision: Revision
  readonly modRevision: Revision
  readonly version: number
  readonly leaseId: Revision | null
}

/** An entry without its value. */
export type EntryMetadata = Omit<Entry, "value">

const noValue = new Uint8Array(0)

/** The entry for who wants keys and metadata only: its value is empty. */
export const withoutValue = (entry: Entry): Entry => entry.value.length === 0 ? entry : { ...entry, value: noValue }
