/**
 * The first frame of every lane, in both directions: who speaks, for which cluster, in which versions.
 *
 * | offset | size | what |
 * |---|---|---|
 * | 0 | 4 | `dkv` and a zero |
 * | 4 | 1 | the lowest wire version spoken |
 * | 5 | 1 | the highest |
 * | 6 | 1 | what the connection is for: 0 a link between members, 1 one call |
 * | 7 | 1 | 1 when there is a cluster id, else 0 |
 * | 8 | 8 | feature bits |
 * | 16 | 8 | a random number of this run of the process |
 * | 24 | 16 | incarnation |
 * | 40 | 16 | cluster id, zeroes when there is none |
 * | 56 | 1 | length of the node id |
 * | 57 | … | node id; what follows it is left for later versions and ignored |
 *
 * A second hello on the same lane says that the node has been admitted to a cluster; nothing else may have changed.
 */
import { type ClusterId, type Incarnation, NodeId } from "@distkv/core"
import { Schema } from "effect"

/** The version of the frames and messages that this program speaks. */
export const wireVersion = 1

/** What a connection is for. */
export type Purpose = "link" | "call"

export interface Hello {
  readonly lowest: number
  readonly highest: number
  readonly purpose: Purpose
  readonly features: bigint
  /** 16 hexadecimal digits: two connections with different ones come from different runs of the process. */
  readonly run: string
  readonly nodeId: NodeId
  readonly incarnation: Incarnation
  readonly clusterId: ClusterId | null
}

const magic = Buffer.from("dkv\0", "latin1")
const fixedBytes = 57
const isNodeId = Schema.is(NodeId)

export const encodeHello = (hello: Hello): Buffer => {
  const name = Buffer.from(hello.nodeId, "latin1")
  const bytes = Buffer.alloc(fixedBytes + name.length)
  magic.copy(bytes, 0)
  bytes.writeUInt8(hello.lowest, 4)
  bytes.writeUInt8(hello.highest, 5)
  bytes.writeUInt8(hello.purpose === "call" ? 1 : 0, 6)
  bytes.writeUInt8(hello.clusterId === null ? 0 : 1, 7)
  bytes.writeBigUInt64LE(hello.features, 8)
  bytes.write(hello.run, 16, "hex")
  bytes.write(hello.incarnation, 24, "hex")
  if (hello.clusterId !== null) bytes.write(hello.clusterId, 40, "hex")
  bytes.writeUInt8(name.length, 56)
  name.copy(bytes, fixedBytes)
  return bytes
}

/** Reads a hello; a string says what is wrong with it. */
export const decodeHello = (frame: Uint8Array): Hello | string => {
  const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength)
  if (bytes.length < 6 || !bytes.subarray(0, 4).equals(magic)) return "it does not speak this protocol"
  const [lowest, highest] = [bytes.readUInt8(4), bytes.readUInt8(5)]
  if (lowest > wireVersion || highest < wireVersion) {
    return `it speaks wire versions ${lowest} to ${highest}, and this node ${wireVersion}`
  }
  if (bytes.length < fixedBytes || bytes.length < fixedBytes + bytes.readUInt8(56)) return "its hello is cut off"
  const [purpose, flags] = [bytes.readUInt8(6), bytes.readUInt8(7)]
  const nodeId = bytes.toString("latin1", fixedBytes, fixedBytes + bytes.readUInt8(56))
  if (purpose > 1 || flags > 1 || !isNodeId(nodeId)) return "its hello is malformed"
  return {
    lowest,
    highest,
    purpose: purpose === 1 ? "call" : "link",
    features: bytes.readBigUInt64LE(8),
    run: bytes.toString("hex", 16, 24),
    nodeId,
    incarnation: bytes.toString("hex", 24, 40) as Incarnation,
    clusterId: flags === 1 ? bytes.toString("hex", 40, 56) as ClusterId : null
  }
}

/** Whether `next` may follow `first` on one connection: only the cluster id may come to be known. */
export const mayFollow = (first: Hello, next: Hello): boolean =>
  next.nodeId === first.nodeId && next.incarnation === first.incarnation && next.run === first.run &&
  next.purpose === first.purpose && (first.clusterId === null || first.clusterId === next.clusterId)
