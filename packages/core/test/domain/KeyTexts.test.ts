/** A key's text is that of its bytes, whatever was read before. */
import { assert, describe, it } from "@effect/vitest"
import { getText } from "../../src/domain/Bytes.ts"
import { getKeyText } from "../../src/domain/KeyTexts.ts"

const bytesOf = (text: string) => new TextEncoder().encode(text)

describe("the texts of keys", () => {
  it("are those of the bytes, for more keys than there are places, read twice and from within other bytes", () => {
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 100_000; i++) {
        const key = `${i % 7 === 0 ? "ключ" : "key"}-${(i * 0x9e37_79b1) >>> 0}`
        const bytes = bytesOf(`<${key}>`)
        assert.strictEqual(getKeyText(bytes, 1, bytes.length - 1), key)
      }
    }
  })

  it("do not take what is no UTF-8 for what is, and the other way round", () => {
    const plain = bytesOf("abc")
    assert.strictEqual(getKeyText(plain, 0, 3), "abc")
    for (let high = 0; high < 256; high++) {
      const bytes = new Uint8Array([97, high, 99])
      assert.strictEqual(getKeyText(bytes, 0, 3), getText(bytes, 0, 3))
      assert.strictEqual(getKeyText(bytes, 0, 2), getText(bytes, 0, 2))
    }
    assert.strictEqual(getKeyText(new Uint8Array([0xc3, 0xa9]), 0, 2), "é")
    assert.isNull(getKeyText(new Uint8Array([0xe9]), 0, 1), "its text would have been as long as its bytes")
  })

  it("are read anew where they are long", () => {
    const long = "k".repeat(1024)
    assert.strictEqual(getKeyText(bytesOf(long), 0, 1024), long)
    assert.strictEqual(getKeyText(bytesOf(long), 0, 1023), long.slice(1))
  })
})
