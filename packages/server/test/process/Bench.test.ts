/** `distkv bench` against real nodes. */
import { encryption } from "@distkv/transport-ssh"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as http from "node:http"
import * as path from "node:path"
import { runProgram, startNode, temporaryDirectory } from "./TestNode.ts"

const serving = Effect.gen(function*() {
  const node = yield* startNode(path.join(yield* temporaryDirectory, "n1"), ["--node-id", "n1", "--bootstrap"])
  yield* node.serves
  return node.ready.http
})

const short = ["--clients", "8", "--duration", "300ms", "--warm-up", "50ms", "--keys", "40", "--value-size", "100"]

/** A node that refuses every other call, as one without room does. */
const refusing = (target: string) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly server: http.Server; readonly url: string }>((resume) => {
      let calls = 0
      const server = http.createServer((request, response) => {
        const isLoad = request.method === "PUT" && !(request.url ?? "").includes("timeout=")
        if (isLoad && ++calls % 2 === 0) {
          request.resume()
          const said = { type: "about:blank", title: "Overloaded", status: 429, detail: "the inbox is full" }
          const problem = { ...said, code: "Overloaded", applied: "no", retryAfterMs: 1000 }
          response.writeHead(429, { "content-type": "application/problem+json" }).end(JSON.stringify(problem))
          return
        }
        const { headers, method, url } = request
        const onward = http.request(new URL(url ?? "/", target), { method: method ?? "GET", headers }, (reply) => {
          response.writeHead(reply.statusCode ?? 502, reply.headers)
          reply.pipe(response)
        })
        onward.on("error", () => response.destroy())
        request.pipe(onward)
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(Effect.succeed({ server, url: `http://127.0.0.1:${port}` }))
      })
    }),
    ({ server }) => Effect.sync(() => server.close().closeAllConnections())
  )

describe("distkv bench", () => {
  it.live("measures writes and reads, and removes its keys and no others", () =>
    Effect.gen(function*() {
      const endpoint = yield* serving
      const run = (args: ReadonlyArray<string>) => runProgram([...args, "--endpoint", endpoint])
      yield* run(["set", "mine", "stays"])
      const measured = yield* run(["bench", ...short, "--read-ratio", "0.5", "--json"])
      assert.strictEqual(measured.status, 0, measured.stderr)
      const { clients, encryption: told, keys, reads, valueSize, writes } = JSON.parse(measured.stdout)
      assert.deepStrictEqual(told, { n1: encryption })
      assert.deepStrictEqual([clients, keys, valueSize], [8, 40, 100])
      for (const { count, errors, latencyMs, perSecond } of [reads, writes]) {
        assert.isAbove(count, 0)
        assert.isAbove(perSecond, 0)
        assert.deepStrictEqual(errors, {}, "every key that is read exists")
        assert.isAbove(latencyMs.p50, 0)
        assert.isAtLeast(latencyMs.p99, latencyMs.p50)
        assert.isAtLeast(latencyMs.max, latencyMs.p99)
      }
      assert.strictEqual((yield* run(["list", "--keys-only"])).stdout, "mine\n")
    }), 60_000)

  it.live("prints a table for people, without a progress bar where there is no terminal", () =>
    Effect.gen(function*() {
      const { status, stderr, stdout } = yield* runProgram(["bench", ...short, "--endpoint", yield* serving])
      assert.strictEqual(status, 0, stderr)
      assert.match(stdout, /^8 clients for [\d.]+ s, values of 100 bytes, 40 keys, 0 % linearizable reads\n/)
      const name = encryption === "native" ? "native code" : "JavaScript"
      assert.include(stdout, `\nSSH between the nodes: ${name}\n`)
      assert.match(stdout, /\nwrites +\d+ +\d+ +[\d.]+ /)
      assert.notInclude(stdout, "reads +\\d")
      assert.strictEqual(stderr, "")
    }), 60_000)

  it.live("counts refused calls by their code, apart from the others", () =>
    Effect.gen(function*() {
      const { url } = yield* refusing(yield* serving)
      const { status, stdout } = yield* runProgram(["bench", ...short, "--endpoint", url, "--json"])
      const { writes } = JSON.parse(stdout)
      assert.strictEqual(status, 0)
      assert.isAbove(writes.count, 0)
      assert.deepStrictEqual(Object.keys(writes.errors), ["Overloaded"])
    }), 60_000)

  it.live("without a leader it is status 5, and nobody there status 1", () =>
    Effect.gen(function*() {
      const node = yield* startNode(path.join(yield* temporaryDirectory, "n1"), [])
      const waiting = ["--timeout", "300ms", "--endpoint"]
      assert.strictEqual((yield* runProgram(["bench", ...short, ...waiting, node.ready.http])).status, 5)
      assert.strictEqual((yield* runProgram(["bench", ...short, ...waiting, "http://127.0.0.1:1"])).status, 1)
    }), 60_000)
})
