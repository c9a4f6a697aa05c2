/** The store's commands against a real node: what they print, and with which status they end. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as path from "node:path"
import { runProgram, type SpawnOptions, startNode, temporaryDirectory } from "./TestNode.ts"

const serving = Effect.gen(function*() {
  const node = yield* startNode(path.join(yield* temporaryDirectory, "n1"), ["--node-id", "n1", "--bootstrap"])
  yield* node.serves
  return (args: ReadonlyArray<string>, options: SpawnOptions = {}) =>
    runProgram(args, { ...options, env: { DISTKV_ENDPOINT: node.ready.http } })
})

describe("get, set, delete and list", () => {
  it.live("a value comes back byte for byte, from an argument and from standard input", () =>
    Effect.gen(function*() {
      const run = yield* serving
      assert.strictEqual((yield* run(["set", "text", "größe\n"])).stdout, "created at revision 1\n")
      assert.strictEqual((yield* run(["get", "text"])).stdout, "größe\n")
      const bytes = new Uint8Array(70_000).map((_, i) => i % 251)
      assert.strictEqual((yield* run(["set", "bytes", "-"], { input: bytes })).status, 0)
      const json = JSON.parse((yield* run(["get", "bytes", "--json"])).stdout)
      assert.strictEqual(json.value, Buffer.from(bytes).toString("base64"))
      assert.deepStrictEqual([json.key, json.modRevision, json.version], ["bytes", "2", 1])
      assert.strictEqual((yield* run(["set", "--", "-k", "-v"])).status, 0)
      assert.strictEqual((yield* run(["get", "--", "-k"])).stdout, "-v")
    }), 60_000)

  it.live("each outcome has its exit status", () =>
    Effect.gen(function*() {
      const run = yield* serving
      const status = (args: ReadonlyArray<string>) => Effect.map(run(args), (ended) => ended.status)
      assert.strictEqual(yield* status(["get", "absent"]), 3)
      assert.strictEqual(yield* status(["set", "k", "1", "--create"]), 0)
      assert.strictEqual(yield* status(["set", "k", "2", "--create"]), 4)
      assert.strictEqual(yield* status(["set", "k", "2", "--if-revision", "1"]), 0)
      assert.strictEqual(yield* status(["set", "k", "3", "--if-revision", "1"]), 4)
      assert.strictEqual(yield* status(["delete", "k", "--if-revision", "1"]), 4)
      assert.strictEqual(yield* status(["delete", "k"]), 0)
      assert.strictEqual(yield* status(["delete", "k"]), 0)
      assert.strictEqual(yield* status(["set", "k".repeat(1025), "v"]), 2)
      assert.strictEqual(yield* status(["transfer", "nobody"]), 1)
    }), 60_000)

  it.live("without a leader it is status 5", () =>
    Effect.gen(function*() {
      const node = yield* startNode(path.join(yield* temporaryDirectory, "n1"), [])
      const { status } = yield* runProgram(["set", "k", "v", "--timeout", "300ms", "--endpoint", node.ready.http])
      assert.strictEqual(status, 5)
    }), 60_000)

  it.live(
    "list prints every key under a prefix in the order of bytes, over any number of pages",
    () =>
      Effect.gen(function*() {
        const run = yield* serving
        for (const key of ["b/2", "b/1", "a", "b/\n", "c"]) yield* run(["set", key, `v ${key}`])
        assert.strictEqual((yield* run(["list", "b/"])).stdout, "b/\\n\tv b/\\n\nb/1\tv b/1\nb/2\tv b/2\n")
        assert.strictEqual((yield* run(["list", "--keys-only", "--reverse", "--limit", "2"])).stdout, "c\nb/2\n")
        const lines = (yield* run(["list", "--json"])).stdout.trim().split("\n")
        assert.deepStrictEqual(lines.map((line) => JSON.parse(line).key), ["a", "b/\n", "b/1", "b/2", "c"])
        const cleared = JSON.parse((yield* run(["delete", "--prefix", "b/", "--json"])).stdout)
        assert.strictEqual(cleared.deleted, 3)
        assert.strictEqual((yield* run(["list", "--keys-only"])).stdout, "a\nc\n")
      }),
    60_000
  )

  it.live("status shows the member, and as JSON what the HTTP interface says", () =>
    Effect.gen(function*() {
      const run = yield* serving
      const shown = yield* run(["status"])
      assert.strictEqual(shown.status, 0)
      assert.match(shown.stdout, /leader +n1, term \d+/)
      assert.match(shown.stdout, /n1 +leader +yes/)
      const json = JSON.parse((yield* run(["status", "--json"])).stdout)
      assert.deepStrictEqual([json.nodeId, json.role, json.leader, json.failureTolerance], ["n1", "leader", "n1", 0])
    }), 60_000)
})
