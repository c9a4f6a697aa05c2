import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import type { Key } from "../../src/domain/Entry.ts"
import { LogEntryFields } from "../../src/domain/LogEntry.ts"
import { Outcome } from "../../src/domain/Outcome.ts"
import {
  appendEntryOverheadBytes,
  appendOverheadBytes,
  decodeMessage,
  encodedSize,
  encodeMessage,
  MalformedMessage,
  maxMessageBytes
} from "../../src/domain/PeerCodec.ts"
import type { AppendRequest, PeerMessage } from "../../src/domain/PeerMessage.ts"
import { PeerMessageFields } from "../../src/domain/PeerMessage.ts"
import type { LogIndex, Revision, Term } from "../../src/domain/Position.ts"
import { entryOf, fieldsOf } from "../../src/domain/RecordCodec.ts"
import { Damage, damaged, key, plain, someEntry } from "./Samples.ts"

const runs = { arbitrary: { runs: 1500, size: 20 } }

/** The append with its entries moved to where an append may have them: after `previous`, terms never falling. */
const placed = (append: Extract<PeerMessageFields, { _tag: "AppendRequest" }>): AppendRequest => {
  const terms = [append.term, append.previous.term, ...append.entries.map((entry) => entry.term)].sort((a, b) => a - b)
  const previous = {
    term: terms[0] ?? append.term,
    index: Math.min(append.previous.index, Number.MAX_SAFE_INTEGER - append.entries.length) as LogIndex
  }
  return {
    ...append,
    term: terms.at(-1) ?? append.term,
    previous,
    entries: append.entries.map((fields, i) =>
      entryOf({ ...fields, term: terms[i + 1] ?? fields.term, index: (previous.index + i + 1) as LogIndex })
    )
  }
}

const messageOf = (fields: PeerMessageFields): PeerMessage => fields._tag === "AppendRequest" ? placed(fields) : fields

const trip = (message: PeerMessage): PeerMessage => decodeMessage(encodeMessage(message))

/** An error's cause loses on its first trip what JSON cannot say; everything else comes back as it was. */
const holdsCause = (message: PeerMessage): boolean =>
  (message._tag === "ForwardReply" && message.result._tag === "Refused" &&
    message.result.error._tag === "StorageFailed") ||
  (message._tag === "AdminReply" && message.result._tag === "Failed" && message.result.error._tag === "StorageFailed")

const survives = (bytes: Uint8Array): void => {
  let message: PeerMessage
  try {
    message = decodeMessage(bytes)
  } catch (error) {
    assert.instanceOf(error, MalformedMessage)
    return
  }
  assert.deepStrictEqual(encodeMessage(message), bytes.slice())
  const fields = message._tag === "AppendRequest" ? { ...message, entries: message.entries.map(fieldsOf) } : message
  assert.isTrue(Schema.is(PeerMessageFields)(fields), "what decodes is of the Schema")
}

const append = (count: number, valueBytes = 5): AppendRequest => ({
  _tag: "AppendRequest",
  term: 4 as Term,
  previous: { term: 2 as Term, index: 10 as LogIndex },
  committed: 9 as LogIndex,
  round: 77,
  entries: Array.from({ length: count }, (_, i) =>
    entryOf({
      term: 3 as Term,
      index: (11 + i) as LogIndex,
      session: 0 as LogIndex,
      sequence: 0 as LogIndex,
      unacknowledged: 0 as LogIndex,
      command: {
        _tag: "Put",
        key: `key ${i}` as Key,
        value: new Uint8Array(valueBytes).fill(i),
        ifRevision: null,
        previous: false,
        leaseId: null
      }
    }))
})

describe("the codec of peer messages", () => {
  it.prop("gives back every message of the Schema", [PeerMessageFields], ([fields]) => {
    const message = messageOf(fields)
    const arrived = trip(message)
    if (!holdsCause(message)) assert.deepStrictEqual(plain(arrived), plain(message))
    assert.deepStrictEqual(plain(trip(arrived)), plain(arrived))
    survives(encodeMessage(message))
  }, runs)

  it.prop("gives back appends entry by entry", [Arbitrary.array(Arbitrary.schema(LogEntryFields), { maxLength: 6 })], (
    [entries]
  ) => {
    const message = placed({ ...append(0), entries })
    const bytes = encodeMessage(message)
    assert.strictEqual(bytes.length, encodedSize(message))
    const arrived = decodeMessage(bytes)
    assert.deepStrictEqual(plain(arrived), plain(message))
    assert.isTrue(
      arrived._tag === "AppendRequest" && arrived.entries.every(({ record }) => record.buffer === bytes.buffer)
    )
  }, { arbitrary: { runs: 400, size: 20 } })

  it.prop("gives back every outcome, keys of every character and bytes included", [Outcome, key], ([outcome, name]) => {
    const named = outcome._tag === "Put" && outcome.previous !== null
      ? { ...outcome, previous: { ...outcome.previous, key: name } }
      : outcome
    const message: PeerMessage = {
      _tag: "ForwardReply",
      id: 1,
      result: { _tag: "Applied", index: 5 as LogIndex, outcome: named }
    }
    assert.deepStrictEqual(plain(trip(message)), plain(message))
  }, { arbitrary: { runs: 1000, size: 40 } })

  it.prop("takes damaged messages for nothing, or for a message with exactly those bytes", [
    PeerMessageFields,
    Damage,
    Damage
  ], (
    [fields, first, second]
  ) => {
    const bytes = encodeMessage(messageOf(fields))
    survives(damaged(bytes, first))
    survives(damaged(damaged(bytes, first), second))
  }, { arbitrary: { runs: 3000, size: 20 } })

  it.prop("takes random bytes for nothing, or for a message with exactly those bytes", [
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 14 })),
    Schema.Uint8Array
  ], ([kind, rest]) => {
    survives(rest)
    survives(new Uint8Array([kind, 1, 0, 0, ...rest]))
    survives(new Uint8Array([kind, 1, ...rest]))
  }, { arbitrary: { runs: 3000, size: 60 } })

  it("says the sizes that it uses", () => {
    assert.strictEqual(encodeMessage(append(0)).length, appendOverheadBytes)
    const three = append(3)
    const records = three.entries.reduce((sum, { record }) => sum + record.length, 0)
    assert.strictEqual(encodeMessage(three).length, appendOverheadBytes + 3 * appendEntryOverheadBytes + records)
  })
})

describe("an append", () => {
  it("is refused when its entries leave a hole, repeat, or do not begin after `previous`", () => {
    const { entries } = append(4)
    for (const wrong of [[1, 2, 3], [0, 2], [0, 0], [1, 0], [0, 1, 1]]) {
      const chosen = wrong.flatMap((i) => entries[i] ?? [])
      assert.throws(() => trip({ ...append(0), entries: chosen }), MalformedMessage, /has index/)
    }
  })

  it("is refused when its terms fall, or pass the leader's", () => {
    const { entries } = append(2)
    const of = (term: number, previous: number): AppendRequest => ({
      ...append(0),
      term: term as Term,
      previous: { term: previous as Term, index: 10 as LogIndex },
      entries
    })
    assert.strictEqual(trip(of(3, 3))._tag, "AppendRequest")
    assert.throws(() => trip(of(2, 2)), MalformedMessage, /has term/)
    assert.throws(() => trip(of(4, 4)), MalformedMessage, /has term/)
    const [first, second] = entries
    assert.isDefined(first)
    assert.isDefined(second)
    const older = entryOf({ ...fieldsOf(second), term: 2 as Term })
    assert.throws(() => trip({ ...of(4, 1), entries: [first, older] }), MalformedMessage, /has term/)
  })

  it("is refused whole when one byte of one record is wrong", () => {
    const bytes = encodeMessage(append(3))
    for (let at = appendOverheadBytes; at < bytes.length; at++) {
      const broken = bytes.map((byte, i) => i === at ? byte ^ 1 : byte)
      assert.throws(() => decodeMessage(broken), MalformedMessage, undefined, `byte ${at}`)
    }
  })

  it("is refused when its count is more or less than its entries, however large it claims to be", () => {
    const bytes = encodeMessage(append(2))
    for (const count of [0, 1, 3, 0xffffffff]) {
      const broken = bytes.slice()
      new DataView(broken.buffer).setUint32(4, count, true)
      assert.throws(() => decodeMessage(broken), MalformedMessage)
    }
  })

  it("may fill a frame, and no message may be larger", () => {
    const frame = encodeMessage(append(3, 1024 * 1024))
    assert.isBelow(frame.length, maxMessageBytes)
    assert.strictEqual(decodeMessage(frame)._tag, "AppendRequest")
    assert.throws(() => decodeMessage(encodeMessage(append(4, 1024 * 1024))), MalformedMessage, /too large/)
  })
})

describe("a message", () => {
  it("is refused when its JSON says the same in another way", () => {
    const said = (json: string) => {
      const bytes = encodeMessage({ _tag: "AdminReply", id: 1, result: { _tag: "NotLeader" } })
      return new Uint8Array([...bytes.subarray(0, 12), ...new TextEncoder().encode(json)])
    }
    assert.strictEqual(decodeMessage(said(`{"_tag":"NotLeader"}`))._tag, "AdminReply")
    const others = [
      ` {"_tag":"NotLeader"}`,
      `{"_tag":"NotLeader","x":1}`,
      `{"_tag":"Not\\u004ceader"}`,
      `{"_tag":"No"}`,
      "{",
      ""
    ]
    for (const json of others) assert.throws(() => decodeMessage(said(json)), MalformedMessage, undefined, json)
  })

  it("is refused when the entry in it could be none", () => {
    const bytes = encodeMessage({
      _tag: "ForwardReply",
      id: 1,
      result: {
        _tag: "Applied",
        index: 5 as LogIndex,
        outcome: { _tag: "CompareFailed", revision: 9 as Revision, current: { ...someEntry, key: "k" as Key } }
      }
    })
    const at = 12 + 16
    const patched = (place: number, ...values: Array<number>) => {
      const copy = bytes.slice()
      copy.set(values, at + place)
      return copy
    }
    assert.strictEqual(decodeMessage(patched(24, 5))._tag, "ForwardReply")
    assert.throws(() => decodeMessage(patched(24, 0)), MalformedMessage, "version")
    assert.throws(() => decodeMessage(patched(2, 0, 0, someEntry.value.length + 1)), MalformedMessage, "key")
    assert.throws(() => decodeMessage(patched(0, 2)), MalformedMessage, "flag")
  })
})
