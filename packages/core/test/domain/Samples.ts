/** What the property tests of the codecs are fed with: keys of every kind of character, and damage of every kind. */
import { Arbitrary, Schema } from "effect"
import type { Command } from "../../src/domain/Command.ts"
import type { Entry, Key } from "../../src/domain/Entry.ts"
import type { Revision } from "../../src/domain/Position.ts"

/** One and more of every length in UTF-8, both sides of the surrogates, and what decoders are tempted to change. */
const characters = Schema.Literals([
  "a",
  "b",
  "/",
  "~",
  "\u0000",
  "\u007f",
  "\u0080",
  "é",
  "\u07ff",
  "\u0800",
  "\ud7ff",
  "\ue000",
  "\ufeff",
  "\ufffd",
  "\uffff",
  "\u{10000}",
  "😀",
  "\u{10ffff}"
])

/** Well-formed strings of at most `maxLength` such characters. */
export const text = (minLength: number, maxLength: number) =>
  Arbitrary.map(
    Arbitrary.array(Arbitrary.schema(characters), { minLength, maxLength }),
    (parts) => parts.join("")
  )

/** Keys of such characters. */
export const key = Arbitrary.map(text(1, 12), (joined) => joined as Key)

/** The command with its own keys replaced by those given, which reach characters that a Schema's samples do not. */
export const withKeys = (command: Command, keys: ReadonlyArray<Key>): Command => {
  const first = keys[0] ?? "k" as Key
  switch (command._tag) {
    case "Put":
    case "Delete":
      return { ...command, key: first }
    case "DeleteRange":
      return command.range._tag === "Prefix"
        ? { _tag: "DeleteRange", range: { _tag: "Prefix", prefix: first } }
        : command.range._tag === "Between"
        ? { _tag: "DeleteRange", range: { _tag: "Between", from: first, to: keys[1] ?? null } }
        : command
    case "Txn":
      return { _tag: "Txn", puts: [...new Set(keys)].map((key, i) => ({ key, value: new Uint8Array(i).fill(i) })) }
    default:
      return command
  }
}

/** One way to damage bytes; positions are shares of the length, so that one value fits every message. */
export const Damage = Schema.TaggedUnion({
  Flip: { at: Schema.Int, bits: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 255 })) },
  Cut: { at: Schema.Int },
  Grow: { by: Schema.Uint8Array },
  Remove: { at: Schema.Int },
  Replace: { at: Schema.Int, by: Schema.Uint8Array }
})

/** The bytes as they are after the damage; never the argument itself. */
export const damaged = (bytes: Uint8Array, damage: typeof Damage.Type): Uint8Array => {
  const place = "at" in damage && bytes.length > 0 ? Math.abs(damage.at) % bytes.length : 0
  switch (damage._tag) {
    case "Flip":
      return bytes.map((byte, i) => i === place ? byte ^ damage.bits : byte)
    case "Cut":
      return bytes.slice(0, place)
    case "Grow":
      return joined(bytes, damage.by)
    case "Remove":
      return joined(bytes.slice(0, place), bytes.slice(place + 1))
    case "Replace":
      return joined(bytes.slice(0, place), damage.by, bytes.slice(place + damage.by.length))
  }
}

const joined = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => new Uint8Array(Buffer.concat(parts))

/**
 * The same value for comparing: objects with an ordinary prototype, bytes as plain copies, no negative zero; an error
 * becomes its class and fields.
 */
export const plain = (value: unknown): unknown => {
  if (value instanceof Uint8Array) return Uint8Array.from(value)
  if (Array.isArray(value)) return value.map(plain)
  if (value instanceof Error) return { class: value.constructor, ...fieldsOf(value) }
  if (typeof value === "object" && value !== null) return fieldsOf(value)
  return value === 0 ? 0 : value
}

const fieldsOf = (value: object): Record<string, unknown> =>
  Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plain(field)]))

/** An entry whose key and value are not plain ASCII. */
export const someEntry: Entry = {
  key: "é😀" as Key,
  value: new Uint8Array([0, 255, 128]),
  createRevision: 3 as Revision,
  modRevision: 9 as Revision,
  version: 4,
  leaseId: null
}
