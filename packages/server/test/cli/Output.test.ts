import { assert, describe, it } from "@effect/vitest"
import { inertText, table } from "../../src/cli/Output.ts"

describe("what a terminal shows", () => {
  it("no key or value can move the cursor, break a line, or pass for an escape", () => {
    assert.strictEqual(inertText("a\nb\t\u001b[31m\u0085\u2028"), "a\\nb\\t\\u001b[31m\\u0085\\u2028")
    assert.strictEqual(inertText("\\n"), "\\\\n")
    assert.strictEqual(inertText("größe 世界 🎈"), "größe 世界 🎈")
  })

  it("columns are as wide as their widest cell", () => {
    assert.deepStrictEqual(table([["A", "LONG"], ["wide", "x"]]), ["A     LONG", "wide  x"])
    assert.deepStrictEqual(table([]), [])
  })
})
