import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { randomBytes } from "node:crypto"
import type { Duplex } from "node:stream"
import ssh2 from "ssh2"
import { encryption } from "../src/Encryption.ts"
import { quicken } from "../src/PacketCipher.ts"
import { algorithms } from "../src/SshWire.ts"
import { knock, makeKey, openChannel, settled } from "./support/raw.ts"

/** Around a block, around the padding's bounds, and more than a packet holds. */
const sizes = [...Array.from({ length: 40 }, (_, i) => i + 1), 1000, 4096, 32_768, 100_000]

/** A server that sends back what it gets, and exchanges keys anew on the way. */
const echoing = Effect.fnUntraced(function*(
  cipher: "aes128-gcm@openssh.com" | "aes256-gcm@openssh.com",
  quickened: (connection: object) => void
): Effect.fn.Return<number, never, Scope.Scope> {
  const server = new ssh2.Server({ hostKeys: [makeKey().pem], algorithms: { ...algorithms, cipher: [cipher] } })
  server.on("connection", (connection) => {
    connection.on("error", () => undefined)
    connection.on("handshake", () => quickened(connection))
    connection.on("authentication", (context) => context.accept())
    connection.on("tcpip", (accept) => {
      const channel: Duplex = accept()
      let pieces = 0
      channel.on("data", (piece: Buffer) => {
        channel.write(piece)
        if (++pieces % 20 === 5) connection.rekey()
      })
    })
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.void))
    }),
    () => Effect.sync(() => server.close())
  )
  const address: unknown = server.address()
  return typeof address === "object" && address !== null && "port" in address ? Number(address.port) : 0
})

const echoed = Effect.fnUntraced(function*(
  cipher: "aes128-gcm@openssh.com" | "aes256-gcm@openssh.com",
  sides: { readonly server: boolean; readonly client: boolean }
): Effect.fn.Return<void, never, Scope.Scope> {
  let exchanges = 0
  let served = 0
  const serve = (connection: object): void => {
    exchanges++
    if (quicken(connection)) served++
  }
  const port = yield* echoing(cipher, sides.server ? serve : () => undefined)
  const knocker = yield* knock(port, { password: "any" })
  if (sides.client) knocker.client.on("handshake", () => serve(knocker.client))
  yield* settled(() => knocker.ready() || knocker.closed())
  const channel = yield* Effect.orDie(openChannel(knocker.client, "raft"))
  const sent = sizes.map((size) => randomBytes(size))
  const total = Buffer.concat(sent)
  const received: Array<Buffer> = []
  let bytes = 0
  channel.on("data", (piece: Buffer) => {
    received.push(piece)
    bytes += piece.length
  })
  for (const piece of sent) {
    const before = bytes
    channel.write(piece)
    yield* settled(() => bytes === before + piece.length || knocker.closed())
  }
  assert.deepStrictEqual(knocker.errors, [])
  assert.isTrue(Buffer.concat(received).equals(total))
  assert.isAtLeast(exchanges, 3)
  // Where ssh2's addon is at work, it does better.
  assert.strictEqual(served, encryption === "native" ? 0 : exchanges)
})

describe("the cipher for packets", () => {
  for (const cipher of ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com"] as const) {
    it.live(`understands ssh2's own, and is understood by it, with keys exchanged anew (${cipher})`, () =>
      Effect.gen(function*() {
        yield* echoed(cipher, { server: true, client: false })
        yield* echoed(cipher, { server: false, client: true })
        yield* echoed(cipher, { server: true, client: true })
      }))
  }

  it("leaves alone what is not as it knows it", () => {
    assert.isFalse(quicken({}))
    assert.isFalse(quicken({ _protocol: { _cipher: { outSeqno: 1 }, _decipher: {} } }))
  })
})
