import { encodeMessage, type Incarnation, type PeerMessage } from "@distkv/core"
import { TransportStation } from "@distkv/core/testing"
import { assert, describe, it } from "@effect/vitest"
import { Socket } from "node:net"
import { Duplex } from "node:stream"
import { parseAuthorizedKeys } from "../src/AuthorizedKeys.ts"
import { FrameReader } from "../src/FrameReader.ts"
import { decodeHello, encodeHello, type Hello } from "../src/Hello.ts"
import { PeerConnection } from "../src/PeerConnection.ts"
import { frameKind } from "../src/SshWire.ts"
import { draws, frame, helloOf, makeKey } from "./support/raw.ts"

const { append, clusterA, samples, vote } = TransportStation

describe("frames", () => {
  it("come out as they went in, wherever the bytes are split", () => {
    const draw = draws(1)
    for (let run = 0; run < 200; run++) {
      const sent = Array.from({ length: 1 + draw(8) }, () => ({
        kind: draw(256),
        body: Buffer.alloc(draw(4) === 0 ? draw(5000) : draw(12), draw(256))
      }))
      const bytes = Buffer.concat(sent.map(({ body, kind }) => frame(kind, body)))
      const received: typeof sent = []
      const reader = new FrameReader(10_000, (kind, body) => received.push({ kind, body: Buffer.from(body) }) > 0)
      for (let at = 0; at < bytes.length;) {
        const end = Math.min(bytes.length, at + 1 + draw(run % 2 === 0 ? 7 : 3000))
        assert.strictEqual(reader.push(bytes.subarray(at, end)), null)
        at = end
      }
      assert.deepStrictEqual(received, sent)
    }
  })

  it("that are too long are refused by their length alone", () => {
    const received: Array<number> = []
    const reader = new FrameReader(100, (kind) => received.push(kind) > 0)
    const atLimit = frame(3, Buffer.alloc(99))
    const beyond = frame(4, Buffer.alloc(100))
    assert.strictEqual(reader.push(atLimit), null)
    assert.include(reader.push(beyond.subarray(0, 4)) ?? "", "101 bytes")
    assert.deepStrictEqual(received, [3])
  })

  it("after one that is not listened to are not looked at", () => {
    let heard = 0
    const reader = new FrameReader(100, () => ++heard < 2)
    reader.push(Buffer.concat([1, 2, 3, 4].map((kind) => frame(kind, Buffer.alloc(1)))))
    assert.strictEqual(heard, 2)
  })
})

describe("a hello", () => {
  const hellos: ReadonlyArray<Hello> = [
    helloOf("n1"),
    helloOf("x".repeat(64), { clusterId: clusterA, purpose: "call", features: 2n ** 64n - 1n }),
    helloOf("A-b_c.9", { lowest: 0, highest: 255, incarnation: "f".repeat(32) as Incarnation })
  ]

  it("is read as it was written, with room for more after it", () => {
    for (const hello of hellos) {
      assert.deepStrictEqual(decodeHello(encodeHello(hello)), hello)
      assert.deepStrictEqual(decodeHello(Buffer.concat([encodeHello(hello), Buffer.from("later")])), hello)
    }
  })

  it("is refused with a reason when it is cut off, of another kind, or damaged, and never throws", () => {
    const draw = draws(2)
    for (const hello of hellos) {
      const bytes = encodeHello(hello)
      for (let length = 0; length < bytes.length; length++) {
        assert.isString(decodeHello(bytes.subarray(0, length)))
      }
      for (let run = 0; run < 2000; run++) {
        const damaged = Buffer.from(bytes)
        damaged[draw(damaged.length)] = draw(256)
        const read = decodeHello(damaged)
        // What is accepted has one form only.
        if (typeof read !== "string") assert.deepStrictEqual(decodeHello(encodeHello(read)), read)
      }
    }
    assert.include(decodeHello(encodeHello(helloOf("n1", { lowest: 2, highest: 3 }))), "wire versions 2 to 3")
    assert.include(decodeHello(Buffer.from("GET / HTTP/1.1")), "does not speak")
  })
})

describe("a connection", () => {
  const { keys: [key] } = parseAuthorizedKeys(makeKey().publicKey)
  if (key === undefined) throw new Error("a fresh key is acceptable")

  /** A connection over channels that lead nowhere, and what it made of the bytes put into them. */
  const makeConnection = () => {
    const seen = { messages: new Array<PeerMessage>(), malformed: 0, closed: 0 }
    const channel = () => new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() })
    const [raft, control] = [channel(), channel()]
    const end = { socket: new Socket(), end: () => undefined, rekey: null }
    const connection = new PeerConnection(end, key, null, {
      hello: () => helloOf("n1", { clusterId: clusterA }),
      judge: () => ({ _tag: "member" }),
      established: () => undefined,
      message: (_connection, message) => void seen.messages.push(message),
      malformed: () => void seen.malformed++,
      refused: () => undefined,
      closed: () => void seen.closed++
    })
    connection.attach("raft", raft)
    connection.attach("control", control)
    return { connection, raft, control, seen }
  }

  it("survives six thousand mutated streams: each ends it, or says what a whole message says", () => {
    const draw = draws(3)
    const hello = frame(frameKind.hello, encodeHello(helloOf("n2", { clusterId: clusterA })))
    const valid = [...samples("n1" as never), vote(3), append(40)]
      .map((message) => frame(frameKind.message, encodeMessage(message)))
    let ended = 0
    for (let run = 0; run < 6000; run++) {
      const { connection, control, raft, seen } = makeConnection()
      const lane = run % 2 === 0 ? raft : control
      const bytes = Buffer.concat([valid[draw(valid.length)] ?? hello, valid[draw(valid.length)] ?? hello])
      for (let i = 0; i < 1 + draw(4); i++) bytes[draw(bytes.length)] = draw(256)
      lane.emit("data", hello)
      lane.emit("data", draw(2) === 0 ? bytes : bytes.subarray(0, draw(bytes.length)))
      for (const message of seen.messages) encodeMessage(message)
      assert.strictEqual(seen.closed, connection.closed ? 1 : 0)
      assert.isAtMost(seen.malformed, 1)
      if (connection.closed) ended++
      const before = seen.messages.length
      if (connection.closed) lane.emit("data", frame(frameKind.message, encodeMessage(vote(1))))
      assert.strictEqual(seen.messages.length, before, "nothing is handed on after the end")
      connection.destroy("over")
    }
    assert.isAtLeast(ended, 1500)
  }, 60_000)

  it("hands on nothing of what arrives after it was told to end", () => {
    const { connection, raft, seen } = makeConnection()
    const message = frame(frameKind.message, encodeMessage(vote(1)))
    raft.emit("data", frame(frameKind.hello, encodeHello(helloOf("n2", { clusterId: clusterA }))))
    raft.emit("data", message)
    connection.close("superseded")
    raft.emit("data", message)
    assert.deepStrictEqual([seen.messages.length, seen.closed], [1, 1])
  })
})
