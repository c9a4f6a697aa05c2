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
 * | 57 | … | node id |
 * | … | 2 | length of the address under which the node says that it is to be found |
 * | … | … | the address |
 * | … | 2 | length of the URL of its HTTP interface, 0 where it serves none |
 * | … | … | the URL; what follows it is left for later versions and ignored |
 *
 * All from the address on may be left out: earlier versions did not say it.
 *
 * A second hello on the same lane says that the node has been admitted to a cluster, or where it is; nothing else may
 * have changed.
 */
import { Address, type ClusterId, type Incarnation, type Introduction, NodeId } from "@distkv/core"
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
  /** Where the node says that it is; null where it does not say. */
  readonly introduction: Introduction | null
}

const magic = Buffer.from("dkv\0", "latin1")
const fixedBytes = 57
const isNodeId = Schema.is(NodeId)
const isAddress = Schema.is(Address)
/** The longest URL that is taken, in bytes. */
const maxUrlBytes = 1024

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
  return hello.introduction === null ? bytes : Buffer.concat([bytes, encodeIntroduction(hello.introduction)])
}

const encodeIntroduction = ({ address, http }: Introduction): Buffer =>
  Buffer.concat([address, http ?? ""].flatMap((text) => {
    const bytes = Buffer.from(text, "utf8")
    const length = Buffer.alloc(2)
    length.writeUInt16LE(bytes.length)
    return [length, bytes]
  }))

/** What a node says of its whereabouts, from `at` on; null where it says nothing that could be used. */
const decodeIntroduction = (bytes: Buffer, at: number): Introduction | null => {
  if (bytes.length < at + 2) return null
  const middle = at + 2 + bytes.readUInt16LE(at)
  if (bytes.length < middle + 2) return null
  const end = middle + 2 + bytes.readUInt16LE(middle)
  const address = bytes.toString("utf8", at + 2, middle)
  if (bytes.length < end || end - middle > maxUrlBytes || !isAddress(address)) return null
  return { address, http: end === middle + 2 ? null : bytes.toString("utf8", middle + 2, end) }
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
    clusterId: flags === 1 ? bytes.toString("hex", 40, 56) as ClusterId : null,
    introduction: decodeIntroduction(bytes, fixedBytes + bytes.readUInt8(56))
  }
}

/** Whether `next` may follow `first` on one connection: only the cluster id may come to be known. */
export const mayFollow = (first: Hello, next: Hello): boolean =>
  next.nodeId === first.nodeId && next.incarnation === first.incarnation && next.run === first.run &&
  next.purpose === first.purpose && (first.clusterId === null || first.clusterId === next.clusterId)
