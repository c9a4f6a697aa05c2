import { CompareFailed, InvalidRequest, KeyNotFound, NoLeader, OutcomeUnknown, StorageFailed } from "@distkv/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as net from "node:net"
import { DistKvClient, Unreachable } from "../../src/client.ts"
import type { FakeStore } from "./FakeDistKv.ts"
import { serving, type Setup } from "./Harness.ts"

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const bytes = (value: string) => new TextEncoder().encode(value)

/** A client of one served fake. */
const connected = <A, E>(
  body: (client: typeof DistKvClient.Service, store: FakeStore, url: string) => Effect.Effect<A, E>,
  setup: Setup = {}
) =>
  serving(
    ({ store, url }) => Effect.flatMap(DistKvClient.make({ endpoints: [url] }), (client) => body(client, store, url)),
    setup
  )

/** A TCP server that does this with each connection. */
const tcp = (onConnection: (socket: net.Socket) => void) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ readonly server: net.Server; readonly sockets: Set<net.Socket> }>((resume) => {
        const sockets = new Set<net.Socket>()
        const server = net.createServer((socket) => {
          sockets.add(socket)
          socket.on("error", () => undefined)
          onConnection(socket)
        })
        server.listen({ host: "127.0.0.1", port: 0 }, () => resume(Effect.succeed({ server, sockets })))
      }),
      ({ server, sockets }) =>
        Effect.callback<void>((resume) => {
          for (const socket of sockets) socket.destroy()
          server.close(() => resume(Effect.void))
        })
    ),
    ({ server }) => `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`
  )

/** A port on which nothing listens any more. */
const closedUrl = Effect.scoped(tcp(() => undefined))

describe("the client", () => {
  it.live("does what the service does, with the same results", () =>
    connected((client) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* client.set("a/b", "one"), { revision: 1, created: true } as never)
        const replaced = yield* client.set("a/b", bytes("two"), { ifRevision: 1, previous: true })
        assert.strictEqual(replaced.created, false)
        assert.strictEqual(replaced.previous?.modRevision, 1)
        assert.strictEqual(text(replaced.previous?.value ?? bytes("")), "one")
        const entry = yield* client.get("a/b", { consistency: "stale" })
        assert.strictEqual(text(entry.value), "two")
        const { value: _, ...metadata } = entry
        assert.deepStrictEqual(metadata, {
          key: "a/b",
          createRevision: 1,
          modRevision: 2,
          version: 2,
          leaseId: null,
          revision: 2,
          consistency: "stale"
        } as never)
        yield* client.set("b", "")
        const page = yield* client.list({ prefix: "a", limit: 1, keysOnly: false })
        assert.deepStrictEqual(page.entries.map((one) => [one.key, text(one.value)]), [["a/b", "two"]])
        assert.strictEqual(page.more, false)
        assert.strictEqual(page.revision, 3)
        assert.strictEqual(page.consistency, "linearizable")
        assert.deepStrictEqual(yield* client.delete("b", { ifRevision: 3 }), { revision: 4, deleted: true } as never)
        assert.deepStrictEqual(yield* client.deleteRange({ all: true }), { revision: 5, deleted: 1 } as never)
        assert.strictEqual((yield* client.cluster()).leader, "n1")
        const added = yield* client.addMember({ id: "n2", address: "h:1", publicKey: "a b", learner: true })
        assert.strictEqual(added.standing, "learner")
        assert.deepStrictEqual(yield* client.transfer(), { leader: "n1", term: 3 } as never)
      })
    ))

  it.live("reaches every key, also those that others normalise", () =>
    connected((client, store) =>
      Effect.gen(function*() {
        for (const key of [".", "..", "a/../b", "a//b/", "/", "%2F", "a b+c;d?e#f&g=h", "😀", "\0", "__proto__"]) {
          yield* client.set(key, key)
          assert.deepStrictEqual([...store.entries.keys()], [key])
          assert.strictEqual(text((yield* client.get(key)).value), key)
          assert.isTrue((yield* client.delete(key)).deleted)
        }
      })
    ))

  it.live("fails with the node's own errors", () =>
    connected((client) =>
      Effect.gen(function*() {
        const missing = yield* Effect.flip(client.get("absent"))
        assert.instanceOf(missing, KeyNotFound)
        yield* client.set("k", "v")
        const failed = yield* Effect.flip(client.set("k", "w", { ifRevision: 0 }))
        assert.instanceOf(failed, CompareFailed)
        assert.strictEqual(text(failed.current?.value ?? bytes("")), "v")
        assert.strictEqual((yield* Effect.flip(client.transfer("n9")))._tag, "NotFound")
        assert.strictEqual(
          (yield* Effect.flip(client.addMember({ id: "n1", address: "h:1", publicKey: "a b" })))._tag,
          "MembershipRejected"
        )
      })
    ))

  it.live("refuses what cannot be sent, before it is sent", () =>
    connected((client, store) =>
      Effect.gen(function*() {
        const calls: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
          client.get(""),
          client.get("k".repeat(1025)),
          client.set("\ud800", "v"),
          client.set("k", "\ud800"),
          client.set("k", "v", { ifRevision: -1 }),
          client.set("k", "v", { ifRevision: 1.5 }),
          client.set("k", "v", { timeout: "2 minutes" }),
          client.get("k", { timeout: 0 }),
          client.delete("k", { ifRevision: 0 }),
          client.list({ prefix: "\ud800" }),
          client.deleteRange({ from: "\ud800" }),
          DistKvClient.make({ endpoints: [] }),
          DistKvClient.make({ endpoints: ["127.0.0.1:11000"] }),
          DistKvClient.make({ endpoints: ["ftp://127.0.0.1"] }),
          DistKvClient.make({ endpoints: ["http://user:password@127.0.0.1"] }),
          DistKvClient.make({ endpoints: ["http://127.0.0.1/path"] })
        ]
        for (const call of calls) assert.instanceOf(yield* Effect.flip(call), InvalidRequest)
        assert.strictEqual(store.commands, 0)
      })
    ))
})

describe("fail-over", () => {
  // scenario: P17
  // fails-with: asks-one-endpoint-only
  it.live("goes on to the next endpoint where nothing was sent, and prefers the one that answered", () =>
    connected((_, store, url) =>
      Effect.gen(function*() {
        const dead = yield* closedUrl
        const client = yield* DistKvClient.make({ endpoints: [dead, url] })
        yield* client.set("k", "v")
        assert.strictEqual(text((yield* client.get("k")).value), "v")
        assert.strictEqual(store.commands, 1)
        const nowhere = yield* DistKvClient.make({
          endpoints: [dead, "http://nowhere.invalid:1", "http://nowhere.invalid:11000"]
        })
        for (const call of [nowhere.get("k"), nowhere.set("k", "w"), nowhere.cluster()]) {
          assert.instanceOf(yield* Effect.flip(call as Effect.Effect<unknown, unknown>), Unreachable)
        }
      })
    ))

  // scenario: P17
  // fails-with: asks-one-endpoint-only
  it.live("goes on where a node says that it did nothing", () =>
    connected((_, store, url) =>
      connected((_, __, leaderless) =>
        Effect.gen(function*() {
          const client = yield* DistKvClient.make({ endpoints: [leaderless, url] })
          yield* client.set("k", "v")
          assert.strictEqual(store.commands, 1)
          const alone = yield* DistKvClient.make({ endpoints: [leaderless] })
          assert.instanceOf(yield* Effect.flip(alone.set("k", "w")), NoLeader)
        }), { replaced: { set: () => Effect.fail(new NoLeader({ message: "no quorum" })) } })
    ))

  it.live("asks no other endpoint for a write that may have taken effect, but does for a read", () =>
    connected((_, store, url) =>
      Effect.gen(function*() {
        store.put("k", "v", store.next())
        const failures = [new StorageFailed({ message: "gone" }), new OutcomeUnknown({ message: "lost" })]
        for (const failure of failures) {
          yield* connected((_, __, broken) =>
            Effect.gen(function*() {
              const client = yield* DistKvClient.make({ endpoints: [broken, url] })
              assert.strictEqual((yield* Effect.flip(client.set("k", "w")))._tag, failure._tag)
              assert.strictEqual(store.commands, 0)
            }), { replaced: { set: () => Effect.fail(failure) } })
        }
        yield* connected((_, __, broken) =>
          Effect.gen(function*() {
            const client = yield* DistKvClient.make({ endpoints: [broken, url] })
            assert.strictEqual(text((yield* client.get("k")).value), "v")
          }), { replaced: { get: () => Effect.fail(new StorageFailed({ message: "gone" })) } })
      })
    ))

  it.live("never sends a write again whose reply was lost, and does send a read again", () =>
    connected((_, store, url) =>
      Effect.scoped(Effect.gen(function*() {
        store.put("k", "v", store.next())
        let received = 0
        const cutter = yield* tcp((socket) =>
          socket.once("data", () => {
            received++
            socket.resetAndDestroy()
          })
        )
        const writer = yield* DistKvClient.make({ endpoints: [cutter, url] })
        const lost = yield* Effect.flip(writer.set("k", "w"))
        assert.instanceOf(lost, OutcomeUnknown)
        assert.strictEqual(received, 1)
        assert.strictEqual(store.commands, 0)
        const reader = yield* DistKvClient.make({ endpoints: [cutter, url] })
        assert.strictEqual(text((yield* reader.get("k")).value), "v")
      }))
    ))

  // scenario: P17
  it.live("passes on what is left of the deadline, and gives up when a node stays silent", () =>
    Effect.scoped(Effect.gen(function*() {
      const targets: Array<string> = []
      const silent = yield* tcp((socket) =>
        socket.once("data", (chunk) => targets.push(chunk.toString("latin1").split(" ")[1] ?? ""))
      )
      const client = yield* DistKvClient.make({ endpoints: [silent] })
      assert.instanceOf(yield* Effect.flip(client.set("k", "v", { timeout: 30 })), OutcomeUnknown)
      assert.instanceOf(yield* Effect.flip(client.get("k", { timeout: 30 })), Unreachable)
      assert.lengthOf(targets, 2)
      for (const target of targets) assert.match(target, /^\/v1\/kv\/k\?timeout=(?:[12]?[0-9]|30)ms$/)
    })))

  it.live("a reply that is none of distkv's is no success", () =>
    Effect.scoped(Effect.gen(function*() {
      const answering = (status: string, body: string) =>
        tcp((socket) =>
          socket.once("data", () =>
            socket.end(`HTTP/1.1 ${status}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`))
        )
      const cases = [
        ["200 OK", "<html>", "OutcomeUnknown"],
        ["502 Bad Gateway", "<html>", "OutcomeUnknown"],
        ["404 Not Found", "<html>", "Unreachable"],
        ["302 Found\r\nLocation: http://127.0.0.1:1/", "", "OutcomeUnknown"]
      ] as const
      for (const [status, body, expected] of cases) {
        const client = yield* DistKvClient.make({ endpoints: [yield* answering(status, body)] })
        assert.strictEqual((yield* Effect.flip(client.set("k", "v")))._tag, expected, status)
        assert.instanceOf(yield* Effect.flip(client.get("k")), Unreachable, status)
      }
    })))
})
