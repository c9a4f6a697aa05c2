/**
 * Rare parts of records and messages travel as JSON text, made by their Schema.
 *
 * One value has one text: decoding refuses a text that it would not have written itself, so bytes that were changed
 * on the way never pass for something else, and what was decoded can be encoded again without a difference.
 */
import { Option, Schema } from "effect"

export interface JsonText<A> {
  /** Throws a `SchemaError` for a value that is not of the Schema: a mistake of the program. */
  readonly encode: (value: A) => string
  /** Null for anything but a text of `encode`. */
  readonly decode: (text: string) => A | null
}

/** The JSON text of values of `schema`. */
export const jsonText = <A, Encoded>(schema: Schema.Codec<A, Encoded>): JsonText<A> => {
  const codec = Schema.fromJsonString(Schema.toCodecJson(schema))
  const encode = Schema.encodeSync(codec)
  const decode = Schema.decodeUnknownOption(codec)
  return {
    encode,
    decode: (text) => {
      const decoded = decode(text)
      return Option.isSome(decoded) && encode(decoded.value) === text ? decoded.value : null
    }
  }
}
