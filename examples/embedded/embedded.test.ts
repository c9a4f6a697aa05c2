import { DistKv } from "@distkv/core"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { store, visit } from "./main.ts"
import { threeNodes } from "./threeNodes.ts"

const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "distkv-embedded-"))),
  (dir) => Effect.sync(() => fs.rmSync(dir, { recursive: true, force: true }))
)

const textOf = (file: string): string => fs.readFileSync(fileURLToPath(new URL(file, import.meta.url)), "utf8")

describe("distkv inside a service", () => {
  it("the README shows the example as it is", () => {
    assert.include(textOf("../../README.md"), `\`\`\`ts\n${textOf("./main.ts")}\`\`\`\n`)
  })

  it.live("the example counts, and goes on counting when it is started again", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const twice = Effect.all([visit, visit])
      assert.deepStrictEqual(yield* Effect.provide(twice, store(directory)), [1, 2])
      assert.deepStrictEqual(yield* Effect.provide(twice, store(directory)), [3, 4])
    }), 30_000)

  it.live(
    "three nodes in one process see each other's writes, and count every visit once",
    () =>
      Effect.gen(function*() {
        const nodes = yield* threeNodes
        const visits = nodes.flatMap((kv) => Array.from({ length: 5 }, () => Effect.provideService(visit, DistKv, kv)))
        const counts = yield* Effect.all(visits, { concurrency: "unbounded" })
        assert.deepStrictEqual(counts.toSorted((a, b) => a - b), visits.map((_, i) => i + 1))
        for (const kv of nodes) {
          const entry = yield* kv.get("visits", { timeout: Duration.seconds(5) })
          assert.strictEqual(new TextDecoder().decode(entry.value), "15")
        }
      }),
    30_000
  )
})
