/** `distkv demo`, as `npm start` runs it. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, type Scope } from "effect"
import * as path from "node:path"
import {
  eventually,
  type Program,
  runProgram,
  spawnProgram,
  temporaryDirectory,
  type TestFailed,
  within
} from "./TestNode.ts"

interface DemoNode {
  readonly nodeId: string
  readonly http: string
  readonly pid: number
}

const runDemo = Effect.fnUntraced(function*(dir: string): Effect.fn.Return<
  { readonly program: Program; readonly nodes: ReadonlyArray<DemoNode> },
  TestFailed,
  Scope.Scope
> {
  const program = yield* spawnProgram(["demo", "--dir", dir, "--http", "127.0.0.1:0", "--json"])
  const nodes = yield* eventually(
    "the demo serves",
    Duration.seconds(60),
    Effect.sync((): ReadonlyArray<DemoNode> | undefined =>
      program.stdout().includes("\n") ? JSON.parse(program.stdout()).nodes : undefined
    ),
    program.stderr
  )
  return { program, nodes }
})

const ends = (program: Program) => within("the demo ends", Duration.seconds(30), program.ended, program.stderr)

describe("the demo", () => {
  it.live(
    "runs three nodes that serve each other's writes, ends cleanly, and finds its data at the next run",
    () =>
      Effect.gen(function*() {
        const dir = path.join(yield* temporaryDirectory, "demo")
        const first = yield* runDemo(dir)
        assert.deepStrictEqual(first.nodes.map(({ nodeId }) => nodeId), ["n1", "n2", "n3"])
        const set = yield* runProgram(["set", "greeting", "hello", "--endpoint", first.nodes[0]!.http])
        assert.strictEqual(set.status, 0, set.stderr)
        for (const { http } of first.nodes) {
          const got = yield* runProgram(["get", "greeting", "--endpoint", http])
          assert.deepStrictEqual([got.status, got.stdout], [0, "hello"])
        }
        yield* first.program.signal("SIGINT")
        const ended = yield* ends(first.program)
        assert.deepStrictEqual([ended.status, ended.stderr], [0, ""])
        const second = yield* runDemo(dir)
        const got = yield* runProgram(["get", "greeting", "--endpoint", second.nodes[2]!.http])
        assert.deepStrictEqual([got.status, got.stdout], [0, "hello"])
        yield* second.program.signal("SIGTERM")
        assert.strictEqual((yield* ends(second.program)).status, 0)
      }),
    120_000
  )

  it.live("tells of a node that dies, and how to start it again; the others go on", () =>
    Effect.gen(function*() {
      const dir = path.join(yield* temporaryDirectory, "demo")
      const { nodes, program } = yield* runDemo(dir)
      process.kill(nodes[0]!.pid, "SIGKILL")
      yield* eventually(
        "the demo tells of it",
        Duration.seconds(10),
        Effect.sync(() => program.stderr().includes("n1 was ended by SIGKILL") ? true : undefined)
      )
      assert.include(program.stderr(), "start --data-dir")
      const set = yield* runProgram(["set", "after", "x", "--timeout", "20s", "--endpoint", nodes[1]!.http])
      assert.strictEqual(set.status, 0, set.stderr)
      yield* program.signal("SIGINT")
      assert.strictEqual((yield* ends(program)).status, 0)
    }), 120_000)
})
