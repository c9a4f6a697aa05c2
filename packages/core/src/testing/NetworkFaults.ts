/** What a simulated network may do to messages. */
import type { NodeId } from "../domain/Identity.ts"
import type { PeerMessage } from "../domain/PeerMessage.ts"

/** How the network treats messages from now on; all links alike. Times in milliseconds. */
export interface NetworkFaults {
  minDelayMs: number
  /** Mean of the exponential part of the delay. */
  meanDelayMs: number
  /** What one lane of a link carries in a millisecond, one message after the other. */
  bytesPerMs: number
  /** What is on its way to one peer at most; what does not fit is dropped at once, as senders see. */
  linkBytes: number
  /** How often a message is much later than the others, and by how much at most. */
  spikeChance: number
  spikeMs: number
  dropChance: number
  /** Dropped more often than others: by type of message. */
  dropTypes: ReadonlyMap<PeerMessage["_tag"], number>
  /** A second copy arrives soon after. */
  duplicateChance: number
  /** A copy arrives again much later, across terms and restarts, within `replayMs`. */
  replayChance: number
  replayMs: number
  /**
   * Messages of one lane of a link overtake each other; without it they arrive in the order in which they were sent.
   */
  reorders: boolean
}

/** A network that only takes a little time. */
export const calmNetwork = (): NetworkFaults => ({
  minDelayMs: 0.2,
  meanDelayMs: 0.5,
  bytesPerMs: Number.POSITIVE_INFINITY,
  linkBytes: 16 * 1024 * 1024,
  spikeChance: 0,
  spikeMs: 0,
  dropChance: 0,
  dropTypes: new Map(),
  duplicateChance: 0,
  replayChance: 0,
  replayMs: 60_000,
  reorders: false
})

/** A message on its way. */
export interface Packet {
  readonly from: NodeId
  readonly to: NodeId
  readonly message: PeerMessage
  /** The message as bytes: what arrives is decoded from these. */
  readonly bytes: Uint8Array
  readonly sentAt: number
}

/** What a test's filter decides about a packet when it is sent; a held one waits for `release`. */
export type PacketFate = "deliver" | "drop" | "hold"

/** How often each fault has happened. */
export interface NetworkCounts {
  sent: number
  delivered: number
  dropped: number
  /** Dropped since their type was chosen to be. */
  droppedByType: number
  duplicated: number
  replayed: number
  spiked: number
  cut: number
  clogged: number
  overflowed: number
  reordered: number
}

export const noCounts = (): NetworkCounts => ({
  sent: 0,
  delivered: 0,
  dropped: 0,
  droppedByType: 0,
  duplicated: 0,
  replayed: 0,
  spiked: 0,
  cut: 0,
  clogged: 0,
  overflowed: 0,
  reordered: 0
})
