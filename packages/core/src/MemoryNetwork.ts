/**
 * The wires between the nodes of one process, and each node's end of them; `MemoryTransport.ts` makes the port of it.
 *
 * Every message goes through the codec, and what one turn sends is handed over as one packet.
 */
import { Queue } from "effect"
import type { Address, Identity, NodeId, PublicKey } from "./domain/Identity.ts"
import { emptyMembership, findMember, type Membership } from "./domain/Membership.ts"
import { readMessage } from "./domain/MessageReader.ts"
import { encodeMessage, SharedEncoding } from "./domain/PeerCodec.ts"
import {
  envelopeOf,
  firstCallId,
  type Introduction,
  judgePeer,
  maySay,
  type PeerIdentity,
  removedNotice
} from "./domain/PeerDirectory.ts"
import type { AdminCommand, AdminResult, Envelope, Link, PeerMessage } from "./domain/PeerMessage.ts"
import type { PeerTraffic } from "./Transport.ts"

/** Bytes on their way from one node to another, beyond which messages are dropped. */
export const defaultBufferBytes = 16 * 1024 * 1024

/** Calls that may wait for this node's answer at once; the oldest is forgotten beyond it. */
const maxCallers = 1024

export interface MemoryTransportOptions {
  /** Where others find this node; default the network's next free one. */
  readonly address?: string | undefined
  /** Its name within the network, `type text`; default made of the address. */
  readonly publicKey?: string | undefined
  /** Which keys it accepts; default all. */
  readonly accepts?: ((key: PublicKey) => boolean) | undefined
  /** Bytes on their way to one peer, beyond which messages are dropped. */
  readonly bufferBytes?: number | undefined
}

/** What one turn of a node sends to another. */
export interface Packet {
  readonly from: MemoryNode
  readonly frames: ReadonlyArray<Uint8Array>
  readonly bytes: number
  /** Whether it travels outside the links, as a `call` or the answer to one. */
  readonly call: boolean
}

interface Peer {
  readonly frames: Array<Uint8Array>
  queuedBytes: number
  sentBytes: number
  receivedBytes: number
  droppedMessages: number
}

/** The wires: which node is at which address, and which pairs cannot reach each other. */
export class MemoryWires {
  private readonly nodes = new Map<string, MemoryNode>()
  private readonly cuts = new Set<string>()
  private drawnAddresses = 0
  private drawnCalls = 0

  drawAddress(): Address {
    return `memory:${++this.drawnAddresses}` as Address
  }

  drawCallId(): number {
    return firstCallId + this.drawnCalls++
  }

  /** False when the address is taken. */
  attach(node: MemoryNode): boolean {
    if (this.nodes.has(node.own.address)) return false
    this.nodes.set(node.own.address, node)
    return true
  }

  detach(node: MemoryNode): void {
    if (this.attached(node)) this.nodes.delete(node.own.address)
  }

  at(address: string): MemoryNode | undefined {
    return this.nodes.get(address)
  }

  attached(node: MemoryNode): boolean {
    return this.nodes.get(node.own.address) === node
  }

  /** From now on nothing passes between these two; what is on its way is lost. */
  cut(left: NodeId, right: NodeId): void {
    this.cuts.add(pairOf(left, right))
  }

  heal(left: NodeId, right: NodeId): void {
    this.cuts.delete(pairOf(left, right))
  }

  isCut(left: NodeId, right: NodeId): boolean {
    return this.cuts.has(pairOf(left, right))
  }
}

const pairOf = (left: NodeId, right: NodeId): string => left < right ? `${left} ${right}` : `${right} ${left}`

/** One node's end of the wires. */
export class MemoryNode {
  readonly own: { readonly address: Address; readonly publicKey: PublicKey }
  identity: PeerIdentity
  private readonly wires: MemoryWires
  private membership: Membership = emptyMembership
  private readonly options: MemoryTransportOptions
  private readonly receive: (envelope: Envelope) => void
  private readonly arrivals: Queue.Queue<Packet>
  private readonly peers = new Map<NodeId, Peer>()
  /** Where messages came from: how a node that knows no members yet answers. */
  private readonly heardFrom = new Map<NodeId, MemoryNode>()
  private readonly dirty = new Set<NodeId>()
  /** Bytes that wait to be taken in here, by their sender. */
  private readonly waiting = new WeakMap<MemoryNode, number>()
  /** Who waits for an answer of this node, by the id that the request has here. */
  private readonly callers = new Map<number, { readonly node: MemoryNode; readonly id: number }>()
  /** For whose answer this node waits. */
  private readonly calls = new Map<number, (result: AdminResult) => void>()
  private lastCall = 0
  private readonly encoding = new SharedEncoding()
  private introduced: Introduction | null = null

  constructor(
    wires: MemoryWires,
    options: MemoryTransportOptions,
    own: MemoryNode["own"],
    identity: Identity,
    receive: (envelope: Envelope) => void,
    arrivals: Queue.Queue<Packet>
  ) {
    this.wires = wires
    this.options = options
    this.own = own
    this.identity = {
      nodeId: identity.nodeId,
      incarnation: identity.incarnation,
      clusterId: identity.clusterId,
      publicKey: own.publicKey
    }
    this.receive = receive
    this.arrivals = arrivals
  }

  send(to: NodeId, message: PeerMessage): boolean {
    if (message._tag === "AdminReply" && message.id >= firstCallId) return this.answer(message.id, message.result)
    const peer = this.peerOf(to)
    const frame = this.encoding.encode(message)
    const target = this.reach(to)
    const waiting = peer.queuedBytes + (target?.waiting.get(this) ?? 0)
    if (target === undefined) this.knock(to)
    if (target === undefined || waiting + frame.length > (this.options.bufferBytes ?? defaultBufferBytes)) {
      peer.droppedMessages++
      return false
    }
    peer.frames.push(frame)
    peer.queuedBytes += frame.length
    this.dirty.add(to)
    return true
  }

  flush(): void {
    for (const to of this.dirty) {
      const peer = this.peerOf(to)
      const frames = peer.frames.splice(0)
      const bytes = peer.queuedBytes
      peer.queuedBytes = 0
      const target = this.reach(to)
      if (target === undefined) {
        peer.droppedMessages += frames.length
        continue
      }
      peer.sentBytes += bytes
      target.waiting.set(this, (target.waiting.get(this) ?? 0) + bytes)
      Queue.offerUnsafe(target.arrivals, { from: this, frames, bytes, call: false })
    }
    this.dirty.clear()
    this.encoding.forget()
  }

  /** Takes in what one turn of a peer sent. */
  arrive(packet: Packet): void {
    if (!packet.call) this.waiting.set(packet.from, (this.waiting.get(packet.from) ?? 0) - packet.bytes)
    if (!this.hears(packet.from)) return
    for (const frame of packet.frames) {
      const message = readMessage(frame)
      if (message._tag === "Flawed") continue
      if (packet.call) this.arriveCall(packet.from, message)
      else this.arriveMessage(packet.from, message, frame.length)
    }
  }

  setMembership(membership: Membership): void {
    this.membership = membership
  }

  setClusterId(clusterId: PeerIdentity["clusterId"]): void {
    this.identity = { ...this.identity, clusterId }
  }

  introduce(own: Introduction): void {
    this.introduced = own
  }

  introductions(): ReadonlyMap<NodeId, Introduction> {
    const all = new Map<NodeId, Introduction>()
    for (const { id } of this.membership.members) {
      const own = id === this.identity.nodeId ? null : this.reach(id)?.introduced ?? null
      if (own !== null) all.set(id, own)
    }
    return all
  }

  links(): ReadonlyArray<Link> {
    return this.membership.members.filter((member) => member.id !== this.identity.nodeId)
      .map((member) => ({
        id: member.id,
        accepts: this.accepts(member.publicKey),
        connected: this.reach(member.id) !== undefined
      }))
      .sort((left, right) => left.id < right.id ? -1 : 1)
  }

  traffic(): ReadonlyArray<PeerTraffic> {
    return [...this.peers].map(([id, peer]) => ({
      id,
      connected: this.reach(id) !== undefined,
      sentBytes: peer.sentBytes,
      receivedBytes: peer.receivedBytes,
      droppedMessages: peer.droppedMessages
    })).sort((left, right) => left.id < right.id ? -1 : 1)
  }

  /** Asks the node at `address`; a string says why it cannot be asked. The function returned gives up waiting. */
  call(
    address: Address,
    command: AdminCommand,
    remainingMs: number,
    answer: (result: AdminResult) => void
  ): (() => void) | string {
    const target = this.wires.at(address)
    if (target === undefined || this.wires.isCut(this.identity.nodeId, target.identity.nodeId)) {
      return `there is no node to be reached at ${address}`
    }
    if (!this.accepts(target.own.publicKey)) {
      return `this node does not accept the key ${target.own.publicKey} of the node at ${address}`
    }
    if (!target.accepts(this.own.publicKey)) {
      return `the node at ${address} does not accept this node's key ${this.own.publicKey}`
    }
    const id = ++this.lastCall
    this.calls.set(id, answer)
    this.pass(target, { _tag: "AdminRequest", id, hops: 0, remainingMs, command })
    return () => void this.calls.delete(id)
  }

  private accepts(key: PublicKey): boolean {
    return this.options.accepts?.(key) ?? true
  }

  private peerOf(id: NodeId): Peer {
    const known = this.peers.get(id)
    if (known !== undefined) return known
    const peer: Peer = {
      frames: [],
      queuedBytes: 0,
      sentBytes: 0,
      receivedBytes: 0,
      droppedMessages: 0
    }
    this.peers.set(id, peer)
    return peer
  }

  /** The node that has this id and may hear us, where it can be reached. */
  private reach(id: NodeId): MemoryNode | undefined {
    const node = this.find(id)
    return node !== undefined && this.takes(node) && node.takes(this) ? node : undefined
  }

  private find(id: NodeId): MemoryNode | undefined {
    const known = findMember(this.membership, id)
    const node = (known === undefined ? undefined : this.wires.at(known.address)) ?? this.heardFrom.get(id)
    return node?.identity.nodeId === id && this.wires.attached(node) ? node : undefined
  }

  /** A peer that cannot be reached says so itself, where the reason is that we were removed. */
  private knock(id: NodeId): void {
    const node = this.find(id)
    if (node === undefined || !this.takes(node) || !node.hears(this)) return
    if (judgePeer(node.identity, node.membership, this.identity)._tag !== "removed") return
    const frames = [encodeMessage(removedNotice)]
    Queue.offerUnsafe(this.arrivals, { from: node, frames, bytes: 0, call: false })
  }

  /** Whether raft traffic of that node is heard here. */
  private takes(node: MemoryNode): boolean {
    return this.hears(node) && judgePeer(this.identity, this.membership, node.identity)._tag === "member"
  }

  /** Whether anything of this node gets here at all: the wire is whole and the key trusted. */
  private hears(node: MemoryNode): boolean {
    return !this.wires.isCut(this.identity.nodeId, node.identity.nodeId) && this.accepts(node.own.publicKey)
  }

  private arriveMessage(from: MemoryNode, message: PeerMessage, bytes: number): void {
    const standing = judgePeer(this.identity, this.membership, from.identity)
    if (standing._tag !== "member") return
    this.heardFrom.set(from.identity.nodeId, from)
    this.peerOf(from.identity.nodeId).receivedBytes += bytes
    this.receive(envelopeOf(from.identity, message))
  }

  private arriveCall(from: MemoryNode, message: PeerMessage): void {
    if (message._tag === "AdminReply") {
      this.calls.get(message.id)?.(message.result)
      this.calls.delete(message.id)
      return
    }
    const standing = judgePeer(this.identity, this.membership, from.identity)
    if (message._tag !== "AdminRequest" || !maySay(standing, from.identity, message)) return
    const id = this.wires.drawCallId()
    this.callers.set(id, { node: from, id: message.id })
    const [oldest] = this.callers.keys()
    if (this.callers.size > maxCallers && oldest !== undefined) this.callers.delete(oldest)
    this.receive(envelopeOf(from.identity, { ...message, id }))
  }

  private answer(id: number, result: AdminResult): boolean {
    const caller = this.callers.get(id)
    this.callers.delete(id)
    if (caller === undefined || !this.wires.attached(caller.node) || !caller.node.hears(this)) return false
    this.pass(caller.node, { _tag: "AdminReply", id: caller.id, result })
    return true
  }

  private pass(target: MemoryNode, message: PeerMessage): void {
    const frame = encodeMessage(message)
    Queue.offerUnsafe(target.arrivals, { from: this, frames: [frame], bytes: frame.length, call: true })
  }
}
