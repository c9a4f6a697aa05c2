/**
 * Rows of a few fields, as JSON with a version and a checksum: who owns an environment, term and vote, where the state
 * stands.
 *
 * | offset | size | what |
 * |---|---|---|
 * | 0 | 1 | row version, 1 |
 * | 1 | … | JSON |
 * | end - 4 | 4 | CRC-32, little-endian, of the row's name in UTF-8 and everything before |
 */
import { howToReplace, StorageFailed } from "@distkv/core"
import { Schema } from "effect"
import { crc32 } from "node:zlib"
import { reasonOf } from "./Failure.ts"

const rowVersion = 1

/** A kind of row, by its name. */
export interface SmallRow<A> {
  /** The row's key. */
  readonly key: Buffer
  readonly encode: (value: A) => Buffer
  /** Throws `StorageFailed` where the bytes are not what was written. */
  readonly decodeUnsafe: (bytes: Uint8Array) => A
}

export const smallRow = <A, Encoded>(name: string, schema: Schema.Codec<A, Encoded>): SmallRow<A> => {
  const key = Buffer.from(name)
  const codec = Schema.fromJsonString(Schema.toCodecJson(schema))
  const encode = Schema.encodeSync(codec)
  const decode = Schema.decodeUnknownSync(codec)
  const damaged = (why: string) =>
    new StorageFailed({ message: `the row "${name}" is damaged: ${why}. ${howToReplace}` })
  return {
    key,
    encode: (value) => {
      const bytes = Buffer.from(`\u0000${encode(value)}\u0000\u0000\u0000\u0000`)
      bytes[0] = rowVersion
      const end = bytes.length - 4
      bytes.writeUInt32LE(crc32(bytes.subarray(0, end), crc32(key)), end)
      return bytes
    },
    decodeUnsafe: (bytes) => {
      const row = Buffer.from(bytes)
      const end = row.length - 4
      if (end < 1) throw damaged("it is too short")
      if (row.readUInt32LE(end) !== crc32(row.subarray(0, end), crc32(key))) throw damaged("its checksum is wrong")
      if (row[0] !== rowVersion) throw damaged(`its version ${row[0]} is not known`)
      try {
        return decode(row.toString("utf8", 1, end))
      } catch (cause) {
        throw damaged(reasonOf(cause))
      }
    }
  }
}
