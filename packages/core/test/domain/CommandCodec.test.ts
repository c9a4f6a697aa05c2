import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { Command } from "../../src/domain/Command.ts"
import { decodeCommand, encodeCommand, isProposable, MalformedRecord } from "../../src/domain/CommandCodec.ts"
import type { Key } from "../../src/domain/Entry.ts"
import { recordHeaderBytes } from "../../src/domain/LogEntry.ts"
import type { Revision } from "../../src/domain/Position.ts"
import { Damage, damaged, key, plain, withKeys } from "./Samples.ts"

const keys = Arbitrary.array(key, { minLength: 1, maxLength: 5 })
const runs = { arbitrary: { runs: 800, size: 30 } }

const put = (fields: Partial<Extract<Command, { _tag: "Put" }>> = {}): Command => ({
  _tag: "Put",
  key: "k" as Key,
  value: new Uint8Array([1, 2, 3]),
  ifRevision: null,
  previous: false,
  leaseId: null,
  ...fields
})

/** What decoding does with any bytes: a command that encodes to the same bytes, or `MalformedRecord`. */
const survives = (record: Uint8Array): void => {
  let command: Command
  try {
    command = decodeCommand(record)
  } catch (error) {
    assert.instanceOf(error, MalformedRecord)
    assert.isFalse(isProposable(record))
    return
  }
  assert.isTrue(Schema.is(Command)(command), "what decodes is of the Schema")
  const again = encodeCommand(command)
  assert.deepStrictEqual([again[4], again[5]], [record[4], record[5]])
  assert.deepStrictEqual(again.subarray(recordHeaderBytes), record.slice(recordHeaderBytes))
}

describe("the codec of commands", () => {
  it.prop("gives back every command of the Schema", [Command], ([command]) => {
    assert.deepStrictEqual(plain(decodeCommand(encodeCommand(command))), plain(command))
  }, runs)

  it.prop("gives back keys of every character", [Command, keys], ([sample, replaced]) => {
    const command = withKeys(sample, replaced)
    assert.deepStrictEqual(plain(decodeCommand(encodeCommand(command))), plain(command))
  }, runs)

  it.prop("keeps session, sequence and what is unacknowledged beside the command", [Command, Schema.Int], (
    [command, n]
  ) => {
    const sequence = Math.abs(n)
    const record = encodeCommand(command, 7, sequence, 3)
    const view = new DataView(record.buffer, record.byteOffset)
    assert.deepStrictEqual(
      [24, 32, 40].map((at) => view.getBigUint64(at, true)),
      [7n, BigInt(sequence), 3n]
    )
    assert.isTrue(
      record.subarray(0, 4).every((byte) => byte === 0) && record.subarray(8, 24).every((byte) => byte === 0)
    )
  }, runs)

  it.prop("takes damaged records for nothing, or for a command with exactly those bytes", [
    Command,
    keys,
    Damage,
    Damage
  ], (
    [sample, replaced, first, second]
  ) => {
    const record = encodeCommand(withKeys(sample, replaced))
    survives(damaged(record, first))
    survives(damaged(damaged(record, first), second))
  }, { arbitrary: { runs: 3000, size: 30 } })

  it("takes no prefix of a record for a command, and nothing longer", () => {
    const samples: ReadonlyArray<Command> = [
      put({ ifRevision: 5 as Revision, previous: true, leaseId: 9 as Revision }),
      { _tag: "Delete", key: "é😀" as Key, ifRevision: 1 as Revision },
      { _tag: "DeleteRange", range: { _tag: "Prefix", prefix: "a" as Key } },
      { _tag: "DeleteRange", range: { _tag: "Between", from: "", to: "b" } },
      { _tag: "DeleteRange", range: { _tag: "All" } },
      {
        _tag: "Txn",
        puts: [{ key: "a" as Key, value: new Uint8Array(2) }, { key: "b" as Key, value: new Uint8Array(0) }]
      },
      { _tag: "CutHistory", revision: 4 as Revision },
      { _tag: "Configure", membership: { members: [], tombstones: [], outgoing: null } },
      { _tag: "NoOp" }
    ]
    for (const command of samples) {
      const record = encodeCommand(command)
      for (let length = 0; length < record.length; length++) {
        assert.throws(() => decodeCommand(record.subarray(0, length)), MalformedRecord)
      }
      assert.throws(() => decodeCommand(new Uint8Array([...record, 0])), MalformedRecord)
    }
  })

  it("refuses what is not UTF-8, in every way of not being it", () => {
    for (
      const bad of [[0x80], [0xc0, 0x80], [0xc3], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xff], [0xef, 0xbf]]
    ) {
      const record = encodeCommand(put({ key: "x".repeat(bad.length) as Key, value: new Uint8Array(0) }))
      record.set(bad, record.length - bad.length)
      assert.throws(() => decodeCommand(record), MalformedRecord, "UTF-8")
    }
    const replacement = put({ key: "\ufffd" as Key })
    assert.deepStrictEqual(plain(decodeCommand(encodeCommand(replacement))), plain(replacement))
  })

  it("refuses numbers beyond 2^53 - 1, and encodes none", () => {
    const record = encodeCommand({ _tag: "CutHistory", revision: Number.MAX_SAFE_INTEGER as Revision })
    assert.strictEqual(decodeCommand(record)._tag, "CutHistory")
    record[54] = 0x20
    assert.throws(() => decodeCommand(record), MalformedRecord, "2^53")
    for (const revision of [-1, 0.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY]) {
      assert.throws(() => encodeCommand({ _tag: "CutHistory", revision: revision as Revision }), RangeError)
    }
  })

  it("encodes nothing that it would not decode", () => {
    const bad: ReadonlyArray<Command> = [
      put({ key: "" as Key }),
      put({ key: "a".repeat(1025) as Key }),
      put({ key: "a".repeat(70_000) as Key }),
      put({ key: "\ud800" as Key }),
      { _tag: "Delete", key: "a" as Key, ifRevision: 0 as Revision },
      { _tag: "DeleteRange", range: { _tag: "Prefix", prefix: "" as Key } },
      { _tag: "DeleteRange", range: { _tag: "Between", from: "a".repeat(1026), to: null } },
      { _tag: "DeleteRange", range: { _tag: "Between", from: null, to: "\udc00" } },
      { _tag: "Txn", puts: Array.from({ length: 129 }, (_, i) => ({ key: `${i}` as Key, value: new Uint8Array(0) })) },
      {
        _tag: "Txn",
        puts: [{ key: "a" as Key, value: new Uint8Array(0) }, { key: "a" as Key, value: new Uint8Array(1) }]
      }
    ]
    for (const command of bad) assert.throws(() => encodeCommand(command), RangeError)
  })

  it("copies the value into the record, so that its owner may go on writing to it", () => {
    const value = new Uint8Array([1, 2, 3])
    const record = encodeCommand(put({ value }))
    value.fill(9)
    const command = decodeCommand(record)
    assert.deepStrictEqual(command._tag === "Put" && plain(command.value), new Uint8Array([1, 2, 3]))
  })

  it("lets the unknown version and the unknown kind be refused, not guessed at", () => {
    for (const [at, byte] of [[4, 0], [4, 2], [5, 7], [5, 255]] as const) {
      const record = encodeCommand(put())
      record[at] = byte
      assert.throws(() => decodeCommand(record), MalformedRecord)
      assert.isFalse(isProposable(record))
    }
  })

  it("refuses what could be encoded in no way, though every length in it is right", () => {
    const patched = (command: Command, ...patches: ReadonlyArray<readonly [at: number, ...bytes: Array<number>]>) => {
      const record = encodeCommand(command)
      for (const [at, ...bytes] of patches) record.set(bytes, at)
      return record
    }
    const u16 = (value: number): [number, number] => [value & 255, value >> 8]
    const puts = (count: number, name: (i: number) => string) =>
      Array.from({ length: count }, (_, i) => ({ key: name(i) as Key, value: new Uint8Array(0) }))
    const full = encodeCommand({ _tag: "Txn", puts: puts(128, (i) => `${i}`) })
    const overfull = new Uint8Array([...full, 1, 0, 0, 0, 0, 0, 0, 0, 0x78])
    overfull.set(u16(129), 50)
    const spaced = encodeCommand({ _tag: "Configure", membership: { members: [], tombstones: [], outgoing: null } })
    const bad: Readonly<Record<string, Uint8Array>> = {
      "a delete guarded by revision 0": patched(
        { _tag: "Delete", key: "a" as Key, ifRevision: 1 as Revision },
        [52, 0]
      ),
      "an empty key": patched(put({ value: new Uint8Array(3) }), [50, ...u16(0)], [52, 4]),
      "a key of 1,025 bytes": patched(
        put({ key: "k".repeat(1000) as Key, value: new Uint8Array(25).fill(0x6b) }),
        [50, ...u16(1025)],
        [52, 0]
      ),
      "a bound of 1,026 bytes": patched(
        { _tag: "DeleteRange", range: { _tag: "Between", from: "a".repeat(1025), to: "b" } },
        [50, ...u16(1026)],
        [52, ...u16(0)]
      ),
      "a key twice": patched({ _tag: "Txn", puts: puts(2, (i) => `${i}`) }, [54 + 9 + 8, 0x30]),
      "129 operations": overfull,
      "a range of another form": patched({ _tag: "DeleteRange", range: { _tag: "All" } }, [48, 3]),
      "a prefix that is not there": patched({ _tag: "DeleteRange", range: { _tag: "All" } }, [48, 0]),
      "JSON with a blank": new Uint8Array([...spaced, 0x20])
    }
    for (const [what, record] of Object.entries(bad)) {
      assert.throws(() => decodeCommand(record), MalformedRecord, undefined, what)
    }
  })
})

describe("a forwarded record", () => {
  it("may be proposed when it is a client's command within every limit", () => {
    const fine: ReadonlyArray<Command> = [
      put(),
      put({ value: new Uint8Array(1024 * 1024), ifRevision: 0 as Revision, previous: true }),
      { _tag: "Delete", key: "a" as Key, ifRevision: null },
      { _tag: "DeleteRange", range: { _tag: "All" } },
      { _tag: "Txn", puts: [{ key: "a" as Key, value: new Uint8Array(1024 * 1024) }] }
    ]
    for (const command of fine) assert.isTrue(isProposable(encodeCommand(command)), command._tag)
  })

  it("is refused when it is the cluster's own command, too large, or stamped", () => {
    const bad: ReadonlyArray<Command> = [
      { _tag: "NoOp" },
      { _tag: "CutHistory", revision: 1 as Revision },
      { _tag: "Configure", membership: { members: [], tombstones: [], outgoing: null } },
      put({ value: new Uint8Array(1024 * 1024 + 1) }),
      put({ leaseId: 1 as Revision }),
      {
        _tag: "Txn",
        puts: ["a", "b", "c"].map((name) => ({ key: name as Key, value: new Uint8Array(700 * 1024) }))
      }
    ]
    for (const command of bad) assert.isFalse(isProposable(encodeCommand(command)), command._tag)
    assert.isFalse(isProposable(encodeCommand(put({ value: new Uint8Array(9) })), 8))
    for (let at = 0; at < recordHeaderBytes; at++) {
      const record = encodeCommand(put())
      record[at] = (record[at] ?? 0) ^ 0x40
      assert.isFalse(isProposable(record), `byte ${at}`)
    }
  })
})
