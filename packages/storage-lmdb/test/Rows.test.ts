import type { Entry, HistoryEvent, Key, PreviousEntry, Revision } from "@distkv/core"
import { StorageFailed } from "@distkv/core"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { BlockWriter, findEventUnsafe } from "../src/HistoryBlocks.ts"
import { RowArena } from "../src/RowArena.ts"
import { smallRow } from "../src/SmallRow.ts"
import { decodeRowUnsafe } from "../src/StateRows.ts"

const entry: Entry = {
  key: "clé/1" as Key,
  value: Uint8Array.of(0, 1, 254, 255),
  createRevision: 3 as Revision,
  modRevision: 2 ** 40 + 5 as Revision,
  version: 4,
  leaseId: 9 as Revision
}

const { createRevision, leaseId, modRevision, version } = entry
const previous: PreviousEntry = { createRevision, modRevision, version, leaseId }

const events: ReadonlyArray<HistoryEvent> = [
  { revision: 7 as Revision, position: 0, key: entry.key, entry, previous: null, historyBytes: 10 },
  {
    revision: 7 as Revision,
    position: 1,
    key: "b" as Key,
    entry: null,
    previous,
    historyBytes: 20
  },
  {
    revision: 9 as Revision,
    position: 0,
    key: entry.key,
    entry,
    previous: { ...previous, leaseId: null },
    historyBytes: 30
  }
]

const eventBlock = (): readonly [key: Buffer, block: Buffer] => {
  const blocks: Array<readonly [Buffer, Buffer]> = []
  const writer = new BlockWriter((key, block) => blocks.push([key, block]))
  for (const event of events) writer.add(event)
  writer.flush()
  return blocks[0]!
}

const rowOf = (entry: Entry): readonly [key: Buffer, row: Buffer] => {
  const rows: Array<readonly [Buffer, Buffer]> = []
  new RowArena().row(entry, (key, row) => rows.push([key, row]))
  return rows[0]!
}

/** Every way to flip one bit. */
function* flips(bytes: Buffer): Generator<Buffer> {
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes)
    flipped[bit >> 3] = flipped[bit >> 3]! ^ (1 << (bit & 7))
    yield flipped
  }
}

/** Every beginning. */
function* cuts(bytes: Buffer): Generator<Buffer> {
  for (let length = 0; length < bytes.length; length++) yield Buffer.from(bytes.subarray(0, length))
}

/** Decodes a row, with this as the row of its value; null where only the key is asked for. */
const decode = (key: Buffer, row: Buffer, value: Buffer | null | undefined) =>
  decodeRowUnsafe(entry.key, key, row, row.length, value === null ? null : () => value)

const inline = entry
const large: Entry = { ...entry, value: Uint8Array.from({ length: 1025 }, (_, i) => i) }
const valueRow = Buffer.from(large.value)

describe("a row of the state", () => {
  it("says what was written, with or without the value, which it holds or vouches for", () => {
    assert.deepStrictEqual(decode(...rowOf(inline), undefined), inline)
    assert.deepStrictEqual(decode(...rowOf(large), valueRow), large)
    for (const one of [inline, large]) {
      assert.deepStrictEqual(decode(...rowOf(one), null), { ...one, value: new Uint8Array(0) })
    }
  })

  it("is refused with any bit flipped, in its key too, and when it is cut short", () => {
    for (const one of [inline, large]) {
      const [key, row] = rowOf(one)
      for (const value of [valueRow, null]) {
        for (const bad of [...flips(row), ...cuts(row)]) assert.throws(() => decode(key, bad, value), StorageFailed)
        for (const bad of flips(key)) assert.throws(() => decode(bad, row, value), StorageFailed)
      }
    }
  })

  it("is refused where its value has any bit flipped, is cut short or too long, or is not there", () => {
    const [key, row] = rowOf(large)
    const tooLong = Buffer.concat([valueRow, Buffer.alloc(1)])
    for (const bad of [...flips(valueRow), ...cuts(valueRow), tooLong, undefined]) {
      assert.throws(() => decode(key, row, bad), StorageFailed)
    }
  })
})

describe("a block of the history", () => {
  it("gives the first event of a revision or after it", () => {
    const [key, block] = eventBlock()
    const find = (revision: number) => findEventUnsafe(key, block, revision as Revision)
    assert.deepStrictEqual(find(0), events[0])
    assert.deepStrictEqual(find(7), events[0])
    assert.deepStrictEqual(find(8), events[2])
    assert.isUndefined(find(10))
  })

  it("is refused with any bit flipped, in its key too, and when it is cut short", () => {
    const [key, block] = eventBlock()
    for (const bad of [...flips(block), ...cuts(block)]) {
      assert.throws(() => findEventUnsafe(key, bad, 0 as Revision), StorageFailed)
    }
    for (const bad of flips(key)) assert.throws(() => findEventUnsafe(bad, block, 0 as Revision), StorageFailed)
  })
})

describe("a small row", () => {
  const row = smallRow("name", Schema.Struct({ text: Schema.String, number: Schema.Int }))

  it("says what was written", () => {
    const value = { text: 'é\u0000"', number: -1 }
    assert.deepStrictEqual(row.decodeUnsafe(row.encode(value)), value)
  })

  it("is refused with any bit flipped, when it is cut short, and as another row", () => {
    const bytes = row.encode({ text: "text", number: 7 })
    for (const bad of [...flips(bytes), ...cuts(bytes)]) assert.throws(() => row.decodeUnsafe(bad), StorageFailed)
    const other = smallRow("other", Schema.Struct({ text: Schema.String, number: Schema.Int }))
    assert.throws(() => other.decodeUnsafe(bytes), StorageFailed)
  })
})
