/** How long a dial waits, and for what: who dials tries again, or another node, only once it has given up. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { spawn } from "node:child_process"
import { connect, createServer } from "node:net"
import { dial } from "../src/Dialer.ts"
import { makeKey } from "./support/raw.ts"

const long = 60_000

/** What a dial to this port says when it gives up. */
const failureOf = Effect.fnUntraced(function*(port: number, connectTimeoutMs: number, timeoutMs: number) {
  const reason = yield* Deferred.make<string>()
  const unexpected = (what: string) => () => void Deferred.doneUnsafe(reason, Effect.succeed(what))
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      dial({
        target: { host: "127.0.0.1", port },
        privateKey: makeKey().pem,
        ownLine: "n1",
        purpose: "link",
        connectTimeoutMs,
        timeoutMs,
        verify: () => "nobody is trusted",
        events: {
          hello: () => assert.fail("nobody was reached"),
          judge: () => assert.fail("nobody was reached"),
          established: unexpected("established"),
          message: unexpected("message"),
          malformed: unexpected("malformed"),
          refused: unexpected("refused"),
          closed: unexpected("closed")
        },
        connected: unexpected("connected"),
        failed: (why) => void Deferred.doneUnsafe(reason, Effect.succeed(why))
      })
    ),
    (giveUp) => Effect.sync(giveUp)
  )
  return yield* Deferred.await(reason)
})

/**
 * A port whose first packets are lost, as behind a cut: it belongs to a process that is stopped, and has as many
 * connections waiting as the system keeps for it.
 */
const deafPort = Effect.gen(function*() {
  const program = "const s=require('net').createServer(c=>c.on('error',()=>{}));" +
    "s.listen({port:0,host:'127.0.0.1',backlog:1},()=>console.log(s.address().port))"
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] })),
    (one) => Effect.sync(() => void one.kill("SIGKILL"))
  )
  const port = yield* Effect.callback<number>((resume) => {
    child.stdout.once("data", (text) => resume(Effect.succeed(Number(text))))
  })
  child.kill("SIGSTOP")
  // The queue holds a few; the connection that finds it full stays without an answer.
  for (let waiting = 0; waiting < 50; waiting++) {
    const isTaken = yield* Effect.callback<boolean>((resume) => {
      const socket = connect({ port, host: "127.0.0.1" })
      socket.on("error", () => {})
      socket.once("connect", () => resume(Effect.succeed(true)))
      socket.setTimeout(500, () => resume(Effect.succeed(false)))
      child.once("exit", () => socket.destroy())
    })
    if (!isTaken) return port
  }
  return yield* Effect.die("the queue never fills")
})

describe("a dial", () => {
  // scenario: P14
  // fails-with: waits-long-for-the-first-packet
  it.live("whose first packet is lost is given up after its own, shorter time", () =>
    Effect.gen(function*() {
      const port = yield* deafPort
      assert.strictEqual(yield* failureOf(port, 250, long), "it did not answer within 250 ms")
    }), 30_000)

  it.live("that is answered and then hears nothing is given up after the other time", () =>
    Effect.gen(function*() {
      const server = yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createServer>>((resume) => {
          const one = createServer((socket) => void socket.on("error", () => {}))
          one.listen({ port: 0, host: "127.0.0.1" }, () => resume(Effect.succeed(one)))
        }),
        (one) => Effect.sync(() => void one.close())
      )
      const address = server.address()
      if (address === null || typeof address === "string") return yield* Effect.die("it has no port")
      assert.strictEqual(yield* failureOf(address.port, long, 250), "it did not answer within 250 ms")
    }), 30_000)

  it.live("to a port where nobody listens fails at once", () =>
    Effect.gen(function*() {
      const port = yield* Effect.callback<number>((resume) => {
        const one = createServer()
        one.listen({ port: 0, host: "127.0.0.1" }, () => {
          const address = one.address()
          one.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
        })
      })
      assert.include(yield* failureOf(port, long, long), "ECONNREFUSED")
    }), 30_000)
})
