import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { compareKeys, isBound, isKey, Key, maxKeyBytes } from "../../src/domain/Entry.ts"
import { text } from "./Samples.ts"

const runs = { arbitrary: { runs: 2000, size: 40 } }

const utf8 = (value: string): Buffer => Buffer.from(value, "utf8")

describe("keys", () => {
  it.prop("are ordered like their UTF-8 bytes", [text(0, 6), text(0, 6)], ([a, b]) => {
    assert.strictEqual(Math.sign(compareKeys(a, b)), Buffer.compare(utf8(a), utf8(b)))
  }, runs)

  it("are ordered like their UTF-8 bytes at every edge of the code space, where JavaScript's order is not", () => {
    const edges = [
      "\u0000",
      "\u007f",
      "\u0080",
      "\u07ff",
      "\u0800",
      "\ud7ff",
      "\ue000",
      "\uffff",
      "\u{10000}",
      "\u{10ffff}"
    ]
    const tails = edges.flatMap((edge) => ["", "a", "\ue000", "\u{10000}"].map((tail) => edge + tail))
    for (const a of tails) {
      for (const b of tails) assert.strictEqual(Math.sign(compareKeys(a, b)), Buffer.compare(utf8(a), utf8(b)))
    }
    assert.deepStrictEqual(["\ue000", "\u{10000}"].sort(), ["\u{10000}", "\ue000"])
    assert.deepStrictEqual(["\u{10000}", "\ue000"].sort(compareKeys), ["\ue000", "\u{10000}"])
  })

  it("are 1 to 1,024 bytes of UTF-8, however many characters that is", () => {
    assert.isFalse(isKey(""))
    for (const [character, bytes] of [["a", 1], ["é", 2], ["\uffff", 3], ["😀", 4]] as const) {
      const most = Math.floor(maxKeyBytes / bytes)
      assert.isTrue(isKey(character.repeat(most)), `${most} of ${bytes} bytes`)
      assert.isFalse(isKey(character.repeat(most + 1)), `${most + 1} of ${bytes} bytes`)
    }
    assert.isTrue(isKey("a".repeat(341) + "\uffff".repeat(227) + "aa"))
    assert.isFalse(isKey("a".repeat(341) + "\uffff".repeat(227) + "aaa"))
  })

  it("hold no lone surrogate, which would become another key in UTF-8", () => {
    for (const broken of ["\ud800", "a\udfff", "\udc00\ud800", "😀\ud83d"]) {
      assert.isFalse(isKey(broken))
      assert.isFalse(isBound(broken))
      assert.isFalse(Schema.is(Key)(broken))
    }
    assert.isTrue(isKey("\ud83d\ude00"))
  })

  it("bound a range even when they are empty or one byte too long", () => {
    assert.isTrue(isBound(""))
    assert.isTrue(isBound("a".repeat(maxKeyBytes) + "\u0000"))
    assert.isFalse(isBound("a".repeat(maxKeyBytes + 2)))
    assert.isFalse(isBound("é".repeat(513)))
  })

  it.prop("are accepted exactly when their bytes are few enough", [text(0, 12)], ([short]) => {
    const long = short.repeat(40)
    assert.strictEqual(isKey(long), utf8(long).length >= 1 && utf8(long).length <= maxKeyBytes)
  }, runs)
})
