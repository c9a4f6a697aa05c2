import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { makePlan } from "../../src/cli/demo/DemoPlan.ts"
import { parseHostPort } from "../../src/cli/HostPort.ts"
import { temporaryDirectory } from "../process/TestNode.ts"

/** Listens on a port that the system draws, until the scope closes. */
const occupied = Effect.map(
  Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      const server = net.createServer()
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
  ),
  (server) => {
    const address = server.address()
    return typeof address === "object" && address !== null ? address.port : 0
  }
)

const anyHttp = { host: "127.0.0.1", port: 0 }

describe("the plan of a demo", () => {
  it.live("the second run finds the nodes of the first at the same SSH addresses", () =>
    Effect.gen(function*() {
      const dir = path.join(yield* temporaryDirectory, "demo")
      const first = yield* makePlan({ dir, nodes: undefined, http: anyHttp })
      assert.deepStrictEqual(first.nodes.map(({ id }) => id), ["n1", "n2", "n3"])
      assert.strictEqual(new Set(first.nodes.flatMap(({ http, raft }) => [http, raft])).size, 6)
      const second = yield* makePlan({ dir, nodes: undefined, http: undefined })
      assert.deepStrictEqual(second, first)
    }))

  it.live("a demo grows by new nodes, and never shrinks", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      const three = yield* makePlan({ dir, nodes: 3, http: anyHttp })
      const four = yield* makePlan({ dir, nodes: 4, http: undefined })
      assert.deepStrictEqual(four.nodes.slice(0, 3), [...three.nodes])
      assert.strictEqual(four.nodes[3]?.id, "n4")
      const fewer = yield* Effect.flip(makePlan({ dir, nodes: 2, http: undefined }))
      assert.include(fewer.message, "another --dir")
    }))

  it.live("an HTTP address that the caller insists on and that is taken is an error", () =>
    Effect.gen(function*() {
      const port = yield* occupied
      const dir = yield* temporaryDirectory
      const error = yield* Effect.flip(makePlan({ dir, nodes: 1, http: { host: "127.0.0.1", port } }))
      assert.include(error.message, `127.0.0.1:${port} is taken`)
    }))

  it.live("an HTTP address of an earlier run that is taken now gives way", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      const port = yield* occupied
      const plan = yield* makePlan({ dir, nodes: 1, http: anyHttp })
      const kept = { ...plan, nodes: [{ ...plan.nodes[0], http: `127.0.0.1:${port}` }] }
      fs.writeFileSync(path.join(dir, "demo.json"), JSON.stringify(kept))
      const again = yield* makePlan({ dir, nodes: undefined, http: undefined })
      assert.notStrictEqual(parseHostPort(again.nodes[0].http)?.port, port)
      assert.strictEqual(again.nodes[0].raft, plan.nodes[0].raft)
    }))

  it.live("an SSH address of an earlier run that is taken now is an error, since the others know it", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      const port = yield* occupied
      const plan = yield* makePlan({ dir, nodes: 1, http: anyHttp })
      const kept = { ...plan, nodes: [{ ...plan.nodes[0], raft: `127.0.0.1:${port}` }] }
      fs.writeFileSync(path.join(dir, "demo.json"), JSON.stringify(kept))
      const error = yield* Effect.flip(makePlan({ dir, nodes: undefined, http: undefined }))
      assert.include(error.message, "does this demo run already")
    }))

  it.live("a plan that cannot be read is said to be one, and left alone", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      fs.writeFileSync(path.join(dir, "demo.json"), '{"formatVersion":2}')
      const error = yield* Effect.flip(makePlan({ dir, nodes: undefined, http: undefined }))
      assert.include(error.message, "is not a demo's plan")
      assert.strictEqual(fs.readFileSync(path.join(dir, "demo.json"), "utf8"), '{"formatVersion":2}')
    }))
})
