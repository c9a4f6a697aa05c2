import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { crc32 } from "node:zlib"
import { compareKeys, Entry, type Key } from "../../src/domain/Entry.ts"
import type { HistoryEvent } from "../../src/domain/HistoryEvent.ts"
import { emptyMembership } from "../../src/domain/Membership.ts"
import type { LogIndex, Revision, Term } from "../../src/domain/Position.ts"
import {
  MalformedSnapshot,
  maxChunkBytes,
  type SnapshotHeader,
  type SnapshotId,
  type SnapshotRow
} from "../../src/domain/Snapshot.ts"
import { SnapshotReader } from "../../src/domain/SnapshotReader.ts"
import { SnapshotWriter } from "../../src/domain/SnapshotWriter.ts"
import { Damage, damaged, key, plain } from "./Samples.ts"

const runs = { arbitrary: { runs: 300, size: 20 } }

const revision = (n: number) => n as Revision

const headerOf = (rows: ReadonlyArray<SnapshotRow>): SnapshotHeader => ({
  clusterId: null,
  last: { term: 3 as Term, index: 70 as LogIndex },
  membership: emptyMembership,
  revision: revision(Number.MAX_SAFE_INTEGER),
  compactRevision: revision(0),
  historyBytes: 10,
  historyCutBytes: 5,
  keys: rows.filter((row) => row._tag === "Entry").length,
  digest: null
})

interface Written {
  readonly id: SnapshotId
  readonly chunks: ReadonlyArray<Uint8Array>
  readonly bytes: Uint8Array
}

const written = (header: SnapshotHeader, rows: ReadonlyArray<SnapshotRow>): Written => {
  const chunks: Array<Uint8Array> = []
  const writer = new SnapshotWriter(header, (chunk) => chunks.push(chunk))
  for (const row of rows) writer.add(row)
  const id = writer.end()
  return { id, chunks, bytes: new Uint8Array(Buffer.concat(chunks)) }
}

const readBack = (bytes: Uint8Array, pieces: (at: number) => number = () => bytes.length) => {
  const rows: Array<SnapshotRow> = []
  const headers: Array<SnapshotHeader> = []
  const reader = new SnapshotReader({ header: (header) => headers.push(header), row: (row) => rows.push(row) })
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + Math.max(1, pieces(at)))
    reader.push(bytes.slice(at, end))
    at = end
  }
  return { ...reader.end(), rows, headers }
}

const ordered = (entries: ReadonlyArray<Entry>, keys: ReadonlyArray<Key>): ReadonlyArray<SnapshotRow> =>
  [...new Set(keys)].sort(compareKeys).slice(0, entries.length)
    .map((name, i) => ({ _tag: "Entry", entry: { ...entries[i]!, key: name } }))

const events = (entries: ReadonlyArray<Entry>): ReadonlyArray<SnapshotRow> =>
  entries.map((entry, i): SnapshotRow => {
    const event: HistoryEvent = {
      revision: revision(Math.floor(i / 2) + 1),
      position: i,
      key: entry.key,
      entry: i % 3 === 0 ? null : entry,
      previous: i % 4 === 0
        ? null
        : {
          createRevision: entry.createRevision,
          modRevision: entry.modRevision,
          version: entry.version,
          leaseId: entry.leaseId
        },
      historyBytes: i * 10
    }
    return { _tag: "Event", event }
  })

const sessions = (count: number): ReadonlyArray<SnapshotRow> =>
  Array.from({ length: count }, (_, i) => ({ _tag: "Session", row: new Uint8Array(20).fill(i) }))

const manyEntries = Arbitrary.array(Arbitrary.schema(Entry), { maxLength: 12 })
const manyKeys = Arbitrary.array(key, { minLength: 0, maxLength: 12 })

const large = (): ReadonlyArray<SnapshotRow> =>
  [3, 300_000, 0, 262_144, 1_048_576, 100, 700_000].map((size, i): SnapshotRow => ({
    _tag: "Entry",
    entry: {
      key: `key ${i}` as Key,
      value: Uint8Array.from({ length: size }, (_, at) => at * 7 + i),
      createRevision: revision(i),
      modRevision: revision(i + 1),
      version: i + 1,
      leaseId: i % 2 === 0 ? null : revision(9)
    }
  }))

describe("the stream of a snapshot", () => {
  it.prop("gives back every row and the header, in whatever pieces it comes", [
    manyEntries,
    manyKeys,
    Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 400 }))
  ], ([entries, keys, piece]) => {
    const rows = [...ordered(entries, keys), ...events(entries), ...sessions(3)]
    const { bytes, chunks, id } = written(headerOf(rows), rows)
    for (const pieces of [() => bytes.length, (at: number) => 1 + (at * 31) % piece]) {
      const again = readBack(bytes, pieces)
      assert.deepStrictEqual(again.rows.map(plain), rows.map(plain))
      assert.deepStrictEqual(again.headers, [headerOf(rows)])
      assert.deepStrictEqual(again.id, id)
    }
    assert.isTrue(chunks.every((chunk) => chunk.length <= maxChunkBytes))
    assert.strictEqual(id.bytes, bytes.length)
    assert.strictEqual(id.checksum, crc32(bytes))
  }, runs)

  it("cuts rows that are larger than a chunk, and leaves no chunk half empty but the last of a section", () => {
    const rows = [...large(), ...sessions(2)]
    const { bytes, chunks } = written(headerOf(rows), rows)
    const entryChunks = chunks.filter((chunk) => chunk[8] === 1)
    assert.isAbove(entryChunks.length, 8)
    assert.isTrue(entryChunks.slice(0, -1).every((chunk) => chunk.length === maxChunkBytes))
    assert.deepStrictEqual(readBack(bytes, (at) => 1 + (at % 70_000)).rows.map(plain), rows.map(plain))
  })

  it("finds every flipped bit and every cut", () => {
    const rows = [...large().slice(0, 1), ...sessions(2)]
    const { bytes } = written(headerOf(rows), rows)
    for (let at = 0; at < bytes.length; at++) {
      const broken = bytes.map((byte, i) => i === at ? byte ^ (1 << (at & 7)) : byte)
      assert.throws(() => readBack(broken), MalformedSnapshot, undefined, `byte ${at}`)
      assert.throws(() => readBack(bytes.subarray(0, at)), MalformedSnapshot, undefined, `cut at ${at}`)
    }
    assert.throws(() => readBack(new Uint8Array(Buffer.concat([bytes, bytes]))), MalformedSnapshot)
  })

  it("refuses chunks that are left out, repeated, or in another order, each of them sound", () => {
    const rows = [...large(), ...sessions(2)]
    const { chunks } = written(headerOf(rows), rows)
    const put = (order: ReadonlyArray<number>) => new Uint8Array(Buffer.concat(order.map((i) => chunks[i]!)))
    const all = chunks.map((_, i) => i)
    for (const i of all) {
      assert.throws(() => readBack(put(all.filter((other) => other !== i))), MalformedSnapshot)
      assert.throws(() => readBack(put(all.flatMap((other) => other === i ? [i, i] : [other]))), MalformedSnapshot)
    }
    assert.throws(() => readBack(put([0, 2, 1, ...all.slice(3)])), MalformedSnapshot)
  })

  it("refuses rows out of order, rows that the header does not announce, and a newer format", () => {
    const [first, second] = large()
    const swapped = written(headerOf([first!, second!]), [second!, first!])
    assert.throws(() => readBack(swapped.bytes), /out of order/)
    assert.throws(() => readBack(written(headerOf([first!]), [first!, second!]).bytes), /announced/)
    const { bytes } = written(headerOf([]), [])
    const newer = bytes.slice()
    newer[9] = 2
    const length = 9 + new DataView(newer.buffer).getUint32(4, true)
    new DataView(newer.buffer).setUint32(0, crc32(newer.subarray(4, length), 0), true)
    assert.throws(() => readBack(newer), /format 2/)
  })

  it("refuses a chunk or a row that claims to be larger than any", () => {
    const huge = new Uint8Array(16)
    new DataView(huge.buffer).setUint32(4, 0xffff_fff0, true)
    assert.throws(() => readBack(huge), /claims to have/)
    const rows = large().slice(0, 1)
    const { chunks } = written(headerOf(rows), rows)
    const chunk = chunks[1]!.slice()
    new DataView(chunk.buffer).setUint32(9, 0x7fff_ffff, true)
    new DataView(chunk.buffer).setUint32(0, crc32(chunk.subarray(4), 1), true)
    assert.throws(() => readBack(new Uint8Array(Buffer.concat([chunks[0]!, chunk]))), /claims to have/)
  })

  it.prop("takes damaged streams for nothing", [manyEntries, manyKeys, Damage], ([entries, keys, damage]) => {
    const rows = [...ordered(entries, keys), ...events(entries)]
    const { bytes } = written(headerOf(rows), rows)
    const broken = damaged(bytes, damage)
    if (Buffer.compare(broken, bytes) === 0) return
    assert.throws(() => readBack(broken), MalformedSnapshot)
  }, runs)
})
