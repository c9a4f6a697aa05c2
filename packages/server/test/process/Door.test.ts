/** The program's door: which Node runs what, and that signals and statuses pass through it. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { version } from "../../src/version.ts"
import { runProgram, startNode, temporaryDirectory, within } from "./TestNode.ts"

const closing = Duration.seconds(20)
const bootstrap = ["--node-id", "n1", "--bootstrap"]

/** Makes Node say that it is an older one, in the first process only. */
const olderNode = [
  "--import",
  `data:text/javascript,Object.defineProperty(process.versions, "node", { value: "20.1.0" })`
]

/** Inside the package, since the bundle leaves two packages outside, which it finds from where it is. */
const bundleDirectory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(fileURLToPath(new URL("../../dist-", import.meta.url)))),
  (dir) => Effect.sync(() => fs.rmSync(dir, { recursive: true, force: true }))
)

describe("the program's door", () => {
  it.live(
    "an older Node starts the pinned one, whose output, status and end are its own",
    () =>
      Effect.gen(function*() {
        const versioned = yield* runProgram(["--version"], { nodeFlags: olderNode })
        assert.deepStrictEqual([versioned.status, versioned.stdout], [0, `${version}\n`])
        assert.strictEqual((yield* runProgram(["frobnicate"], { nodeFlags: olderNode })).status, 2)
        const node = yield* startNode(path.join(yield* temporaryDirectory, "n1"), bootstrap, { nodeFlags: olderNode })
        yield* node.serves
        assert.notStrictEqual(node.ready.pid, node.pid, "the node is a process behind the door")
        yield* node.signal("SIGTERM")
        assert.strictEqual((yield* within("the node closes", closing, node.ended, node.stderr)).status, 0)
      }),
    60_000
  )

  it.live(
    "bounds a node's young generation and V8's threads in the very process that was started, and leaves bounds alone",
    () =>
      Effect.gen(function*() {
        const directory = yield* temporaryDirectory
        const argumentsOf = (pid: number) =>
          spawnSync("ps", ["-ww", "-o", "args=", "-p", `${pid}`], { encoding: "utf8" }).stdout
        const flagsOf = (name: string, nodeFlags: ReadonlyArray<string>) =>
          Effect.gen(function*() {
            const node = yield* startNode(path.join(directory, name), bootstrap, { nodeFlags })
            assert.strictEqual(node.ready.pid, node.pid)
            return argumentsOf(node.pid).split(" ").filter((argument) => /semi|pool/.test(argument))
          })
        assert.deepStrictEqual(yield* flagsOf("a", []), ["--max-semi-space-size=16", "--v8-pool-size=1"])
        const own = ["--max_semi_space_size=4"]
        assert.deepStrictEqual(yield* flagsOf("b", own), [...own, "--v8-pool-size=1"])
        const both = ["--v8-pool-size=2", "--max-semi-space-size=8"]
        assert.deepStrictEqual(yield* flagsOf("c", both), both)
      }),
    60_000
  )

  it.live("the bundle is the whole program", () =>
    Effect.gen(function*() {
      const dir = yield* bundleDirectory
      const script = fileURLToPath(new URL("../../../../scripts/bundle.mjs", import.meta.url))
      const built = spawnSync(process.execPath, [script, dir], { encoding: "utf8" })
      assert.deepStrictEqual([built.status, built.stderr], [0, ""])
      const file = path.join(dir, "distkv.bundle.mjs")
      const versioned = yield* runProgram(["--version"], { file })
      assert.deepStrictEqual([versioned.status, versioned.stdout], [0, `${version}\n`])
      const node = yield* startNode(path.join(yield* temporaryDirectory, "n1"), bootstrap, { file })
      yield* node.serves
      const set = yield* runProgram(["set", "k", "v", "--endpoint", node.ready.http], { file })
      assert.strictEqual(set.status, 0, set.stderr)
      yield* node.signal("SIGTERM")
      assert.strictEqual((yield* within("the node closes", closing, node.ended, node.stderr)).status, 0)
    }), 60_000)
})
