/** Frames with something wrong in them, and a connection on which they lead nowhere. */
import type { PeerIdentity, PeerMessage, PeerStanding } from "@distkv/core"
import { Socket } from "node:net"
import { Duplex } from "node:stream"
import type { AuthorizedKey } from "../../src/AuthorizedKeys.ts"
import { encodeHello } from "../../src/Hello.ts"
import { PeerConnection } from "../../src/PeerConnection.ts"
import { frameKind } from "../../src/SshWire.ts"
import { type draws, frame, helloOf } from "./raw.ts"

type Draw = ReturnType<typeof draws>

/** Numbers that are read where a count, a length, a term or an index stands. */
const extremes = [0n, 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]

/** A frame with something wrong in it, or merely odd. */
export const altered = (draw: Draw, valid: ReadonlyArray<Buffer>): Buffer => {
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
export const connectNowhere = (
  key: AuthorizedKey,
  peer: PeerIdentity,
  standing: PeerStanding,
  message: (message: PeerMessage) => void
) => {
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
