/**
 * What an authenticated peer may send without speaking the protocol (A10): random and altered frames end its
 * connection and nothing else. Behind the connection stands a node of a simulated cluster; whatever gets through from
 * somebody who is no member, or says that it is another, must leave that node as it was. (Two doors keep it out,
 * `judgePeer` and `mayListen`; with both open the node hears of the liar's terms and logs.)
 *
 * `DISTKV_HOSTILE_FRAMES` says how many; `npm run chaos -- frames` plays a million.
 */
import {
  type ClusterId,
  DistKv,
  encodeMessage,
  envelopeOf,
  type Incarnation,
  type NodeId,
  type PeerIdentity,
  type PeerMessage,
  type PeerStanding,
  type Term
} from "@distkv/core"
import { SimCluster, TransportStation } from "@distkv/core/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Socket } from "node:net"
import { Duplex } from "node:stream"
import { setImmediate } from "node:timers/promises"
import { parseAuthorizedKeys } from "../src/AuthorizedKeys.ts"
import { encodeHello } from "../src/Hello.ts"
import { PeerConnection } from "../src/PeerConnection.ts"
import { frameKind } from "../src/SshWire.ts"
import { draws, frame, helloOf, makeKey } from "./support/raw.ts"

const { append, samples, vote } = TransportStation
const frames = Number(process.env["DISTKV_HOSTILE_FRAMES"] ?? 30_000)
type Draw = ReturnType<typeof draws>

const { keys: [key] } = parseAuthorizedKeys(makeKey().publicKey)
if (key === undefined) throw new Error("a fresh key is acceptable")

/** Numbers that are read where a count, a length, a term or an index stands. */
const extremes = [0n, 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]

/** A frame with something wrong in it, or merely odd. */
const altered = (draw: Draw, valid: ReadonlyArray<Buffer>): Buffer => {
  const bytes = Buffer.from(valid[draw(valid.length)] ?? Buffer.alloc(8))
  switch (draw(8)) {
    case 0:
      for (let i = 0; i <= draw(4); i++) bytes[draw(bytes.length)] = draw(256)
      return bytes
    case 1: // another length than there is: shorter, longer, absurd
      bytes.writeUInt32BE([draw(64), bytes.length + draw(64), 2 ** 32 - 1, 2 ** 31][draw(4)] ?? 0, 0)
      return Buffer.concat([bytes, Buffer.alloc(draw(64), draw(256))])
    case 2: // a number that no field can hold, or hardly one
      if (bytes.length >= 13) bytes.writeBigUInt64LE(extremes[draw(extremes.length)] ?? 0n, 5 + draw(bytes.length - 12))
      return bytes
    case 3: // a kind of frame, or of message, that nobody knows
      bytes[4 + draw(2)] = draw(256)
      return bytes
    case 4: // cut off, and then something else
      return Buffer.concat([bytes.subarray(0, draw(bytes.length)), valid[draw(valid.length)] ?? bytes])
    case 5: // a whole frame of a message with a tail, or without its end
      return frame(frameKind.message, Buffer.concat([bytes.subarray(5, 5 + draw(bytes.length)), Buffer.alloc(draw(9))]))
    case 6: {
      const random = Buffer.alloc(draw(300))
      for (let i = 0; i < random.length; i++) random[i] = draw(256)
      return draw(2) === 0 ? random : frame(frameKind.message, random)
    }
    default: // bits turned over within the body, which is where the numbers stand
      for (let i = 0; i <= draw(3); i++) {
        const at = 5 + draw(Math.max(1, bytes.length - 5))
        bytes[at] = (bytes[at] ?? 0) ^ (1 << draw(8))
      }
      return bytes
  }
}

/** A connection over channels that lead nowhere, on which `peer` has said who it is. */
const connect = (peer: PeerIdentity, standing: PeerStanding, message: (message: PeerMessage) => void) => {
  const seen = { malformed: 0, closed: 0 }
  const channel = () => new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() })
  const lanes = { raft: channel(), control: channel() }
  const end = { socket: new Socket(), end: () => undefined, rekey: null }
  const connection = new PeerConnection(end, key, null, {
    hello: () => helloOf("n1", { clusterId: peer.clusterId }),
    judge: () => standing,
    established: () => undefined,
    message: (_connection, one) => message(one),
    malformed: () => void seen.malformed++,
    refused: () => undefined,
    closed: () => void seen.closed++
  })
  connection.attach("raft", lanes.raft)
  connection.attach("control", lanes.control)
  const { clusterId, incarnation, nodeId } = peer
  const hello = frame(frameKind.hello, encodeHello(helloOf(nodeId, { clusterId, incarnation })))
  for (const lane of [lanes.raft, lanes.control]) lane.emit("data", hello)
  return { connection, lanes, seen }
}

const foreign = "f".repeat(32)

/** A cluster, and how a node of it looks from outside. */
const makeTarget = () => {
  const cluster = SimCluster.make({ nodes: 3, seed: 5 })
  cluster.start()
  cluster.run(1000)
  const status = () => cluster.call("n1", Effect.flatMap(DistKv, (kv) => kv.status))
  const looks = () => {
    const { clusterId, commit, leader, members, revision, role, term } = status()
    return {
      clusterId,
      commit,
      leader,
      members: members.map(({ id, publicKey }) => [id, publicKey]),
      revision,
      role,
      term
    }
  }
  const { clusterId, members } = status()
  const other = members.find(({ id }) => id === "n2")
  if (clusterId === null || other === undefined) throw new Error("a cluster of three was started")
  return { cluster, looks, clusterId, other }
}

describe("an authenticated peer that does not speak the protocol", () => {
  // scenario: A10
  it(`ends its connection with each of ${frames} frames that say nothing, and changes no node`, async () => {
    const draw = draws(11)
    const { cluster, clusterId, looks, other } = makeTarget()
    const whole = [...samples("n1" as NodeId), vote(3), append(40)]
    // In a term to come they would matter to whoever believed them.
    const potent = whole.map((message) => "term" in message ? { ...message, term: 1000 as Term } : message)
    const valid = [...whole, ...potent].map((message) => frame(frameKind.message, encodeMessage(message)))
    // Each has a key that is trusted; none of them is the member that it seems to be.
    const liars: ReadonlyArray<PeerIdentity> = [
      { nodeId: "n2" as NodeId, incarnation: other.incarnation as Incarnation, clusterId, publicKey: key.publicKey },
      {
        nodeId: "n2" as NodeId,
        incarnation: foreign as Incarnation,
        clusterId,
        publicKey: other.publicKey
      },
      {
        nodeId: "n2" as NodeId,
        incarnation: other.incarnation as Incarnation,
        clusterId: foreign as ClusterId,
        publicKey: other.publicKey
      },
      { nodeId: "x" as NodeId, incarnation: foreign as Incarnation, clusterId: null, publicKey: key.publicKey }
    ]
    const before = looks()
    let ended = 0
    let heard = 0
    for (let run = 0; run < frames; run++) {
      const liar = liars[run % liars.length]!
      const { connection, lanes, seen } = connect(liar, { _tag: "member" }, (message) => {
        heard++
        // What one side understands, the other says in the same way.
        encodeMessage(message)
        cluster.network.inject("n1", envelopeOf(liar, message))
      })
      lanes[draw(2) === 0 ? "raft" : "control"].emit("data", altered(draw, valid))
      assert.strictEqual(seen.closed, connection.closed ? 1 : 0)
      assert.isAtMost(seen.malformed, 1)
      if (connection.closed) ended++
      connection.destroy("over")
      // What streams and timers still hold is let go only between turns of the event loop.
      if (run % 500 === 499) await setImmediate()
      if (run % 5000 === 4999) {
        cluster.run(20)
        assert.deepStrictEqual(looks(), before, `after ${run + 1} frames`)
      }
    }
    cluster.run(1000)
    assert.deepStrictEqual(looks(), before)
    assert.isAtLeast(ended, frames / 3, "most of them say nothing")
    assert.isAtLeast(heard, frames / 20, "some of them are whole, and are refused for who says them")
  }, 60_000 + frames)
})
