/**
 * Who may put how much into a node's inbox, which is itself unbounded: callers on this node by count and bytes, each
 * peer by the bytes and messages that lie unread, changes of the cluster by count.
 *
 * A peer beyond its bound: forwarded writes are answered `Overloaded`, without their bytes being kept; what carries
 * entries or a piece of a snapshot is dropped, as if the network had lost it; what is small and keeps the cluster
 * together (votes, heartbeats, acknowledgements) is taken up to a second bound, of messages. Everything dropped is
 * counted.
 */
import type { Limits } from "../DistKvSettings.ts"
import type { NodeId } from "../domain/Identity.ts"
import type { Envelope, PeerMessage } from "../domain/PeerMessage.ts"
import type { NodeMessage } from "./NodeMessage.ts"

/** Bytes of one peer that may lie unread, where a follower's window is not larger. */
const unreadBytes = 16 * 1024 * 1024
/** Messages of one peer that may lie unread, beyond which nothing of it is taken. */
const unreadMessages = 65_536
/** What a message weighs beside its entries or its record. */
const messageBytes = 128
/** Changes of the cluster that may be under way at this node, its own callers' and its peers'. */
const changesMost = 1024

interface Unread {
  turn: number
  bytes: number
  messages: number
}

export class Admission {
  /** Of callers on this node: what was let in and is not answered yet. */
  writes = 0
  writeBytes = 0
  reads = 0
  /** Of callers here and of peers. */
  changes = 0
  /** Peers' messages that were dropped, and writes that were refused, at the door. */
  dropped = 0
  shed = 0
  private readonly limits: Limits
  private readonly mostBytes: number
  private readonly unread = new Map<NodeId, Unread>()
  /** Counts how often the inbox was emptied: an account of an earlier turn is settled. */
  private turn = 0

  constructor(limits: Limits) {
    this.limits = limits
    this.mostBytes = Math.max(unreadBytes, 4 * limits.inflightBytes)
  }

  get takesWrite(): boolean {
    return this.writes < this.limits.pendingWrites && this.writeBytes < this.limits.pendingBytes
  }

  get takesRead(): boolean {
    return this.reads < this.limits.pendingReads
  }

  get takesChange(): boolean {
    return this.changes < changesMost
  }

  /** Everything that lay in the inbox is being read. */
  emptied(): void {
    this.turn++
  }

  /** Takes peers' messages into an inbox. */
  door(offer: (message: NodeMessage) => void): (envelope: Envelope) => void {
    return (envelope) => {
      const message = this.ofPeer(envelope)
      if (message !== null) offer(message)
    }
  }

  /** What becomes of a peer's message: itself, what is left of it, or null where it is dropped. */
  ofPeer(envelope: Envelope): NodeMessage | null {
    const { from, message } = envelope
    let unread = this.unread.get(from)
    if (unread === undefined) this.unread.set(from, unread = { turn: this.turn, bytes: 0, messages: 0 })
    else if (unread.turn !== this.turn) {
      unread.turn = this.turn
      unread.bytes = 0
      unread.messages = 0
    }
    const weight = messageBytes + bytesOf(message)
    if (unread.messages >= unreadMessages) return this.drop()
    if (unread.bytes + weight > this.mostBytes && weight > messageBytes) {
      if (message._tag !== "ForwardRequest") return this.drop()
      this.shed++
      unread.messages++
      return { _tag: "Shed", envelope: { ...envelope, message: { ...message, record: nothing } } }
    }
    unread.messages++
    unread.bytes += weight
    return { _tag: "Peer", envelope }
  }

  /** Forgets peers that are members no more. */
  keep(isMember: (id: NodeId) => boolean): void {
    for (const id of this.unread.keys()) if (!isMember(id)) this.unread.delete(id)
  }

  private drop(): null {
    this.dropped++
    return null
  }
}

const nothing = new Uint8Array(0)

const bytesOf = (message: PeerMessage): number => {
  switch (message._tag) {
    case "ForwardRequest":
      return message.record.length
    case "SnapshotPiece":
      return message.data.length
    case "AppendRequest": {
      let bytes = 0
      for (let i = 0; i < message.entries.length; i++) bytes += message.entries[i]!.record.length
      return bytes
    }
    default:
      return 0
  }
}
