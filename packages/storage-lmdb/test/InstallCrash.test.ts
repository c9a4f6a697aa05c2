import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { crc32 } from "node:zlib"
import { runUntil } from "./child.ts"
import { countRows } from "./damage.ts"
import { openDirectory, temporaryDirectory } from "./directories.ts"
import { installedKeys, installedValue } from "./installs.ts"

const cycles = 14

const everything = { from: null, to: null, prefix: null, reverse: false, keysOnly: false }

/** The number of the state that is there, which must be there whole; 0 for none. */
const found = (directory: string) =>
  Effect.scoped(Effect.gen(function*() {
    const { log, state } = yield* openDirectory({ directory, log: undefined })
    yield* log.recover
    const n = (yield* state.recover)?.applied.index ?? 0
    const values = new Set([...state.scanUnsafe(everything)].map(({ value }) => Buffer.from(value).toString()))
    const keys = [...state.scanUnsafe({ ...everything, keysOnly: true })].length
    assert.strictEqual(keys, n === 0 ? 0 : installedKeys, `state ${n}`)
    assert.deepStrictEqual([...values], n === 0 ? [] : [installedValue(n)])
    return n
  }))

/** Rows of both generations of a sub-database: only one of them may have any. */
const rowsOf = (directory: string) => {
  const path = join(directory, "state.mdb")
  return Effect.forEach(["kv", "kv.1", "values", "values.1"], (rows) => countRows(path, rows))
}

describe("a node that is killed while snapshots are built, received, prepared and installed", () => {
  // scenario: S06
  it.live(
    `has the old state or the new one, whole, and nothing besides, ${cycles} times`,
    () =>
      Effect.gen(function*() {
        const directory = yield* temporaryDirectory
        let before = 0
        const killedAt = new Map<string, number>()
        for (let cycle = 0; cycle < cycles; cycle++) {
          // So many words after a step has begun, another step each time: somewhere within it, or in the next ones.
          const step = ["receiving", "preparing", "installing", "preparing"][cycle % 4]!
          const more = crc32(`cycle ${cycle}`) % 40
          const wanted = before + 1 + cycle % 2
          const lines = yield* runUntil("install.ts", [directory, String(before)], (sofar) => {
            const at = sofar.indexOf(`${step} ${wanted}`)
            return at >= 0 && sofar.length > at + more
          })
          const steps = lines.filter((line) => line !== "tick")
          const installed = steps.filter((line) => line.startsWith("installed")).length
          const [last = ""] = (steps.filter((line) => !line.startsWith("built")).at(-1) ?? "").split(" ")
          killedAt.set(last, (killedAt.get(last) ?? 0) + 1)

          const now = yield* found(directory)
          assert.oneOf(now, [before + installed, before + installed + 1], `cycle ${cycle}, killed after ${last}`)
          before = now
          assert.deepStrictEqual(readdirSync(directory).filter((name) => name.endsWith(".snapshot")), [])
          const [kv = 0, kv1 = 0, values = 0, values1 = 0] = yield* rowsOf(directory)
          assert.deepStrictEqual([kv + kv1, kv * kv1, values + values1, values * values1], [
            now === 0 ? 0 : installedKeys,
            0,
            now === 0 ? 0 : installedKeys,
            0
          ])
        }
        assert.isAtLeast(before, cycles / 2, "too few installs to have proved anything")
        assert.isAtLeast(killedAt.size, 2, `killed in ${[...killedAt.keys()].join(", ")} only`)
      }),
    240_000
  )
})
