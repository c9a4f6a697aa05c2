import { assert, describe, it } from "@effect/vitest"
import { crc32 } from "node:zlib"
import { encodeCommand, MalformedRecord } from "../../src/domain/CommandCodec.ts"
import type { Key } from "../../src/domain/Entry.ts"
import { commandKind, LogEntryFields } from "../../src/domain/LogEntry.ts"
import type { LogIndex, Term } from "../../src/domain/Position.ts"
import { entryOf, fieldsOf, readRecord, stamp } from "../../src/domain/RecordCodec.ts"
import { Damage, damaged, plain } from "./Samples.ts"

const runs = { arbitrary: { runs: 600, size: 30 } }

const example = () =>
  encodeCommand({
    _tag: "Put",
    key: "k" as Key,
    value: new Uint8Array([1, 2, 3]),
    ifRevision: null,
    previous: false,
    leaseId: null
  })

/** The checksum made right again, as somebody would who forges a record on purpose. */
const resealed = (record: Uint8Array): Uint8Array => {
  if (record.length < 4) return record
  new DataView(record.buffer, record.byteOffset).setUint32(0, crc32(record.subarray(4)), true)
  return record
}

describe("the codec of records", () => {
  it.prop("gives back every entry of the Schema", [LogEntryFields], ([fields]) => {
    const entry = entryOf(fields)
    assert.deepStrictEqual(plain(fieldsOf(entry)), plain(fields))
    assert.deepStrictEqual(plain(readRecord(entry.record.slice())), plain(entry))
    assert.strictEqual(entry.kind, commandKind[fields.command._tag])
  }, runs)

  it("lays a record out byte by byte as its description says", () => {
    const { record } = stamp(example(), 0x0102030405 as Term, 7 as LogIndex)
    assert.deepStrictEqual([...record.subarray(4, 24)], [1, 1, 0, 0, 5, 4, 3, 2, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0])
    assert.deepStrictEqual([...record.subarray(48)], [0, 0, 1, 0, 3, 0, 0, 0, 0x6b, 1, 2, 3])
    const view = new DataView(record.buffer, record.byteOffset, record.length)
    assert.strictEqual(view.getUint32(0, true), crc32(record.subarray(4)))
    assert.strictEqual(crc32(Buffer.from("123456789")), 0xcbf43926, "the checksum is the common CRC-32")
  })

  it("stamps into the very bytes, and the place of the last stamp counts", () => {
    const record = example()
    stamp(record, 1 as Term, 5 as LogIndex)
    const entry = stamp(record, 2 as Term, 4 as LogIndex)
    assert.strictEqual(entry.record, record)
    assert.deepStrictEqual(plain(readRecord(record)), plain(entry))
  })

  it("finds every damaged byte, and does not take an unstamped record", () => {
    const { record } = stamp(example(), 3 as Term, 9 as LogIndex)
    assert.throws(() => readRecord(example()), MalformedRecord)
    for (let at = 0; at < record.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const broken = record.map((byte, i) => i === at ? byte ^ (1 << bit) : byte)
        assert.throws(() => readRecord(broken), MalformedRecord, undefined, `bit ${bit} of byte ${at}`)
      }
    }
    for (let length = 0; length < record.length; length++) {
      assert.throws(() => readRecord(record.subarray(0, length)), MalformedRecord)
    }
  })

  it("refuses another version, an unknown kind, reserved bytes and too large numbers under a right checksum", () => {
    for (
      const [at, byte] of [[4, 2], [5, 200], [6, 1], [7, 1], [14, 0x20], [22, 0x20], [30, 0x20], [38, 0x20], [47, 1]]
    ) {
      const { record } = stamp(example(), 3 as Term, 9 as LogIndex)
      record[at ?? 0] = byte ?? 0
      assert.throws(() => readRecord(resealed(record)), MalformedRecord, undefined, `byte ${at}`)
    }
    const highest = stamp(example(), Number.MAX_SAFE_INTEGER as Term, Number.MAX_SAFE_INTEGER as LogIndex)
    assert.strictEqual(readRecord(highest.record).index, Number.MAX_SAFE_INTEGER)
    assert.throws(() => stamp(example(), 2 ** 53 as Term, 1 as LogIndex), RangeError)
  })

  it.prop("takes forged records for nothing, or for an entry with exactly those bytes", [LogEntryFields, Damage], (
    [fields, damage]
  ) => {
    const record = resealed(damaged(entryOf(fields).record, damage))
    let again: LogEntryFields
    try {
      again = fieldsOf(readRecord(record))
    } catch (error) {
      assert.instanceOf(error, MalformedRecord)
      return
    }
    assert.deepStrictEqual(entryOf(again).record, record.slice())
  }, { arbitrary: { runs: 2000, size: 30 } })

  it("reads a record wherever it lies in a larger buffer", () => {
    const { record } = stamp(example(), 3 as Term, 9 as LogIndex)
    const frame = Buffer.alloc(record.length + 7)
    frame.set(record, 5)
    const entry = readRecord(frame.subarray(5, 5 + record.length))
    assert.strictEqual(entry.index, 9)
    assert.strictEqual(fieldsOf(entry).command._tag, "Put")
  })
})
