import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { type Answer, writeAnswer } from "../../src/http/Answer.ts"
import { Heads, pairsOf } from "../../src/http/Head.ts"
import { open } from "./RawClient.ts"

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** A server on a free port. */
const serving = (handler: Handler) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createServer>>((resume) => {
        const server = createServer({ keepAliveTimeout: 15_000 }, handler)
        server.on("checkContinue", handler)
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          server.closeAllConnections()
        })
    ),
    (server) => (server.address() as AddressInfo).port
  )

const lines = 'Content-Type: text/plain\r\nETag: "7"\r\nX-Colon: a: b\r\n'

const bodies: ReadonlyArray<Answer["body"]> = ["text", "täxt", "", Buffer.alloc(300, 0xe4), Buffer.alloc(20_000, "x")]

/** The request `/N` is answered with the body N; counts the heads that Node lays out. */
const answering = (heads: Heads | undefined) => {
  const laidOut = { byNode: 0 }
  const handler: Handler = (request, response) => {
    const writeHead = response.writeHead.bind(response) as (...parts: Array<unknown>) => ServerResponse
    response.writeHead = (...parts: Array<unknown>) => {
      laidOut.byNode++
      return writeHead(...parts)
    }
    writeAnswer(response, { status: 200, headers: lines, body: bodies[Number(request.url?.slice(1))]! }, false, heads)
  }
  return { handler, laidOut }
}

const request = (method: string, target: number, version = "1.1", headers: ReadonlyArray<string> = []) =>
  [`${method} /${target} HTTP/${version}`, "Host: localhost", ...headers].join("\r\n") + "\r\n\r\n"

/** All that a server says to these requests on one connection, sent at once, the last of which closes it. */
const said = (port: number, requests: ReadonlyArray<string>) =>
  Effect.scoped(Effect.gen(function*() {
    const connection = yield* open(port)
    yield* connection.send(requests.join(""))
    yield* connection.end
    return connection.text.replace(/Date: [^\r]*/g, "Date: then")
  }))

const closing = request("GET", 0, "1.1", ["Connection: close"])

describe("heads put together here", () => {
  it.live("are those of Node", () =>
    Effect.gen(function*() {
      const ours = answering(new Heads(() => 5000))
      const nodes = answering(undefined)
      const [port, plainPort] = [yield* serving(ours.handler), yield* serving(nodes.handler)]
      const all = bodies.flatMap((_, i) => [request("GET", i), request("HEAD", i)])
      const requests = [
        ...[closing, ...all, ...all].map((one) => one === closing ? [closing] : [one, closing]),
        [...all, closing],
        // Whether a body follows is open after this: Node closes the connection.
        [request("GET", 0, "1.1", ["Content-Length: 4", "Expect: 100-continue"])],
        [request("GET", 0, "1.0")],
        [request("GET", 0, "1.0", ["Connection: keep-alive"]), closing]
      ]
      for (const some of requests) assert.strictEqual(yield* said(port, some), yield* said(plainPort, some))
      const closed = requests.length - 1
      assert.isAbove(nodes.laidOut.byNode, 2 * closed)
      // The first that stays open, and those after which the connection is closed.
      assert.isAtMost(ours.laidOut.byNode, 1 + closed + 1)
    }))

  it.live("tell a time that Node has told in the same second", () =>
    Effect.gen(function*() {
      let nowMs = 5000
      const { handler, laidOut } = answering(new Heads(() => nowMs))
      const port = yield* serving(handler)
      const connection = yield* open(port)
      const byNode: Array<number> = []
      for (const now of [5000, 5400, 5999, 6000, 6001, 4000, 4000]) {
        nowMs = now
        yield* connection.send(request("GET", 0))
        const reply = yield* connection.reply()
        assert.strictEqual(reply.body, "text")
        assert.isFalse(Number.isNaN(Date.parse(reply.headers.get("date") ?? "")))
        byNode.push(laidOut.byNode)
      }
      assert.deepStrictEqual(byNode, [1, 1, 1, 2, 2, 3, 3])
    }))

  it("are laid out by Node where it keeps them elsewhere", () => {
    const heads = new Heads(() => 5000)
    let byNode = 0
    for (const kept of [undefined, 5, "HTTP/1.1 200 OK\r\n\r\n", {}]) {
      const response = { req: { headers: {} }, shouldKeepAlive: true, _header: kept, writeHead: () => void byNode++ }
      heads.writeOk(response as unknown as ServerResponse, lines)
      assert.strictEqual(response._header, kept)
    }
    assert.strictEqual(byNode, 4)
  })

  it("are pairs of names and values for Node", () => {
    assert.deepStrictEqual(pairsOf(lines), ["Content-Type", "text/plain", "ETag", '"7"', "X-Colon", "a: b"])
    assert.deepStrictEqual(pairsOf(""), [])
  })
})
