/**
 * Plays every script of `scenarios/`, and compares what happened with the trace beside it where the script keeps one.
 * `npm run scenarios -- --traces` writes the traces anew; look at the difference before you commit it.
 */
import { assert, describe, it } from "@effect/vitest"
import { goldenOf, readScript, scriptNames } from "./library.ts"
import { playScript } from "./playScript.ts"

describe("scripts", () => {
  for (const name of scriptNames()) {
    const script = readScript(name)
    it(`${name}: ${script.title}`, () => {
      assert.strictEqual(playScript(script), goldenOf(name), "the trace has changed")
    })
  }
})
