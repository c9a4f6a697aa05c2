/**
 * The network between simulated nodes. Every message goes through the production codec; faults are drawn from the
 * world's seed, and links can be cut one way, clogged, or steered message by message through a filter.
 */
import { crc32 } from "node:zlib"
import { ownFeatures } from "../domain/Features.ts"
import type { NodeId } from "../domain/Identity.ts"
import { decodeMessage, encodeMessage } from "../domain/PeerCodec.ts"
import { firstCallId, type Introduction, removedNotice } from "../domain/PeerDirectory.ts"
import { type Envelope, laneOf, type PeerMessage } from "../domain/PeerMessage.ts"
import type { DurableClaim, Transport } from "../Transport.ts"
import type { CrashPoint } from "./CrashPoint.ts"
import { messageText } from "./MessageText.ts"
import {
  calmNetwork,
  type NetworkCounts,
  type NetworkFaults,
  noCounts,
  type Packet,
  type PacketFate
} from "./NetworkFaults.ts"
import type { Prng } from "./Prng.ts"
import { type Endpoint, openEndpoint, publicKeyOf, type Speaker } from "./SimEndpoint.ts"
import type { SimHost } from "./SimHost.ts"
import type { SimWorld } from "./SimWorld.ts"

/** Told of every message that a node sends, before anything happens to it, and of each that reaches one. */
export interface NetworkObserver {
  readonly sent: (from: NodeId, to: NodeId, message: PeerMessage, claim: DurableClaim | undefined) => void
  readonly received: (to: NodeId, message: PeerMessage) => void
}

type LaneTimes = Record<ReturnType<typeof laneOf>, number>

const noTimes = (): LaneTimes => ({ raft: 0, control: 0, bulk: 0 })

interface LinkState {
  isCut: boolean
  clogUntil: number
  /** Milliseconds that everything takes longer. */
  extraMs: number
  /** Of first copies: what the network makes of them weighs nothing on the sender. */
  bytesOnTheWay: number
  /** When the last message of each lane arrives, where order is kept. */
  readonly lastArrival: LaneTimes
  /** When the last message of each lane has left the link. */
  readonly passed: LaneTimes
}

/** Messages whose sender may lose power right after them. */
const sendPoints = new Map<PeerMessage["_tag"], CrashPoint>([
  ["AppendRequest", "AppendRequest sent"],
  ["AppendReply", "AppendReply sent"],
  ["VoteRequest", "VoteRequest sent"],
  ["VoteReply", "VoteReply sent"],
  ["ForwardReply", "ForwardReply sent"],
  ["ReadIndexReply", "ReadIndexReply sent"],
  ["SnapshotPiece", "SnapshotPiece sent"],
  ["SnapshotReply", "SnapshotReply sent"],
  ["TimeoutNow", "TimeoutNow sent"]
])

const isOfVotes = ({ _tag }: PeerMessage): boolean =>
  _tag === "VoteRequest" || _tag === "VoteReply" || _tag === "TimeoutNow"

const maxFrameBytes = 4 * 1024 * 1024

export class SimNetwork {
  readonly world: SimWorld
  readonly faults: NetworkFaults = calmNetwork()
  readonly counts: NetworkCounts = noCounts()
  /** Decides about each packet as it is sent; null lets everything pass to the drawn faults. */
  filter: ((packet: Packet) => PacketFate) | null = null
  /** What the filter has held back, in order. */
  held: Array<Packet> = []
  /** What every node says that its program can do. */
  announced: number
  private readonly observer: NetworkObserver | null
  private readonly links = new Map<string, LinkState>()
  private readonly endpoints = new Map<NodeId, Endpoint>()
  private readonly refusals = new Set<string>()
  private readonly voteless = new Set<string>()
  private readonly random: Prng

  constructor(world: SimWorld, observer: NetworkObserver | null = null, announced = ownFeatures) {
    this.announced = announced
    this.world = world
    this.observer = observer
    this.random = world.random.fork("network")
  }

  /** The port of one node; each `open` is a new process of it. */
  transport(node: NodeId, address: string, host: SimHost): Transport["Service"] {
    return {
      publicKey: publicKeyOf(node),
      open: (identity, receive) => openEndpoint(this, host, identity, address, receive)
    }
  }

  /** A process listens. */
  register(endpoint: Endpoint): void {
    this.endpoints.set(endpoint.identity.nodeId, endpoint)
  }

  /** It listens no more. */
  unregister(endpoint: Endpoint): void {
    if (this.endpoints.get(endpoint.identity.nodeId) === endpoint) this.endpoints.delete(endpoint.identity.nodeId)
  }

  endpointAt(address: string): Endpoint | undefined {
    return [...this.endpoints.values()].find((endpoint) => endpoint.address === address && !endpoint.host.isDead)
  }

  /** Cuts the link from one node to another, one way only. What is on its way is lost. */
  cut(from: string, to: string): void {
    this.link(from, to).isCut = true
  }

  /** Cuts all links between nodes of different groups; a node in no group stays as it is. */
  partition(...groups: ReadonlyArray<ReadonlyArray<string>>): void {
    for (const group of groups) {
      for (const other of groups) {
        if (group !== other) group.forEach((from) => other.forEach((to) => this.cut(from, to)))
      }
    }
  }

  /** Mends one link, or all of them; also ends clogs. */
  heal(from?: string, to?: string): void {
    if (from !== undefined && to !== undefined) {
      this.link(from, to).isCut = false
      return
    }
    for (const link of this.links.values()) {
      link.isCut = false
      link.extraMs = 0
      link.clogUntil = Math.min(link.clogUntil, this.world.now)
    }
  }

  /** Nothing leaves the link for so long; then everything arrives at once. */
  clog(from: string, to: string, ms: number): void {
    this.link(from, to).clogUntil = this.world.now + ms
  }

  /** Everything on the link takes so much longer from now on. */
  slow(from: string, to: string, ms: number): void {
    this.link(from, to).extraMs = ms
  }

  /** Whether `node` accepts the key of `peer`; it does unless told otherwise. */
  accepts(node: string, peer: string): boolean {
    return !this.refusals.has(`${node} ${peer}`)
  }

  /** Nobody asks this node for a vote from now on, nor is asked by it or hears of one; or it is as before again. */
  muteVotes(node: string, isMuted = true): void {
    if (isMuted) this.voteless.add(node)
    else this.voteless.delete(node)
  }

  setAccepts(node: string, peer: string, accepts: boolean): void {
    if (accepts) this.refusals.delete(`${node} ${peer}`)
    else this.refusals.add(`${node} ${peer}`)
  }

  /** Whether two nodes have a working connection. */
  isConnected(a: string, b: string): boolean {
    const other = this.endpoints.get(b as NodeId)
    return other !== undefined && !other.host.isDead && this.accepts(a, b) && this.accepts(b, a) &&
      !this.link(a, b).isCut && !this.link(b, a).isCut
  }

  /** Whether `node` has a member of this name whose directory it can tell from any other. */
  hasMet(node: NodeId, peer: NodeId): boolean {
    return this.endpoints.get(node)?.hasMet(peer) ?? false
  }

  /** Where the process of this node says that it is. */
  introductionOf(node: NodeId): Introduction | null {
    return this.endpoints.get(node)?.introduced ?? null
  }

  /** Delivers held packets, or those that `which` selects, at once and in order. */
  release(which: (packet: Packet) => boolean = () => true): void {
    const released = this.held.filter(which)
    this.held = this.held.filter((packet) => !released.includes(packet))
    for (const packet of released) this.redeliver(packet)
  }

  /** Delivers a packet (again) now, whatever the links are like. */
  redeliver(packet: Packet): void {
    const endpoint = this.endpoints.get(packet.from)
    this.arrive(packet, endpoint ?? { identity: null, clusterId: null })
  }

  /**
   * Delivers a message with an envelope of the test's own making, as a foreign node could send it. Returns whether
   * anybody listens.
   */
  inject(to: string, envelope: Envelope): boolean {
    const endpoint = this.endpoints.get(to as NodeId)
    if (endpoint === undefined || endpoint.host.isDead) return false
    this.world.timeline.record(this.world.now, to, () => `<~ ${envelope.from}: ${messageText(envelope.message)}`)
    endpoint.host.arrive(() => endpoint.deliver(envelope))
    this.world.drain()
    return true
  }

  /** Sends a message; false when it is dropped at once. Called by endpoints. */
  send(endpoint: Endpoint, to: NodeId, message: PeerMessage, claim?: DurableClaim): boolean {
    const from = endpoint.identity.nodeId
    if (endpoint.host.isDead || this.endpoints.get(from) !== endpoint) return false
    this.observer?.sent(from, to, message, claim)
    const bytes = encodeMessage(message)
    this.counts.sent++
    this.world.timeline.mix(crc32(bytes))
    const packet: Packet = { from, to, message, bytes, sentAt: this.world.now }
    const link = this.link(from, to)
    // One message is always taken: else what is larger than the bound would never arrive.
    const isFull = link.bytesOnTheWay > 0 && link.bytesOnTheWay + bytes.length > this.faults.linkBytes
    if (bytes.length > maxFrameBytes || isFull) {
      this.counts.overflowed++
      return false
    }
    const receiver = this.endpoints.get(to)
    const isCall = (message._tag === "AdminRequest" || message._tag === "AdminReply") && message.id >= firstCallId
    if (receiver !== undefined && !isCall && !endpoint.connectsTo(receiver)) return false
    if (receiver !== undefined && !isCall && receiver.dismisses(endpoint)) {
      this.dismiss(receiver, endpoint)
      return false
    }
    if (this.voteless.has(from) && isOfVotes(message)) return true
    const verdict = this.filter?.(packet) ?? "deliver"
    if (verdict !== "deliver") {
      if (verdict === "hold") this.held.push(packet)
      else this.note(packet, "filtered")
      return true
    }
    // A sender learns of a broken connection sooner or later.
    if (!this.isConnected(from, to) && this.random.chance(0.5)) {
      this.counts.cut++
      return false
    }
    this.dispatch(endpoint, packet, link)
    const point = sendPoints.get(message._tag)
    if (point !== undefined) endpoint.host.trap.pass(point)
    return true
  }

  /** A connection is begun, and turned away where the other side knows its owner for removed. */
  dial(endpoint: Endpoint, to: NodeId): void {
    const receiver = this.endpoints.get(to)
    if (receiver === undefined || endpoint.host.isDead || this.endpoints.get(endpoint.identity.nodeId) !== endpoint) {
      return
    }
    if (receiver.dismisses(endpoint)) this.dismiss(receiver, endpoint)
  }

  /** Where a connection would begin, the removed member hears why there will be none. */
  private dismiss(from: Endpoint, removed: Endpoint): void {
    const [speaker, to] = [from.identity.nodeId, removed.identity.nodeId]
    if (from.host.isDead || !this.isConnected(speaker, to)) return
    const bytes = encodeMessage(removedNotice)
    const packet: Packet = { from: speaker, to, message: removedNotice, bytes, sentAt: this.world.now }
    this.dispatch(from, packet, this.link(speaker, to))
  }

  private dispatch(endpoint: Endpoint, packet: Packet, link: LinkState): void {
    const faults = this.faults
    const random = this.random
    const ofType = faults.dropTypes.get(packet.message._tag) ?? 0
    if (random.chance(Math.max(faults.dropChance, ofType))) {
      this.counts[ofType > faults.dropChance ? "droppedByType" : "dropped"]++
      this.note(packet, "lost")
      return
    }
    let delay = link.extraMs + faults.minDelayMs + random.exponential(faults.meanDelayMs)
    if (random.chance(faults.spikeChance)) {
      this.counts.spiked++
      delay += random.between(0, faults.spikeMs)
    }
    const lane = laneOf(packet.message)
    const passed = Math.max(this.world.now, link.passed[lane]) + packet.bytes.length / faults.bytesPerMs
    link.passed[lane] = passed
    let arrival = passed + delay
    if (!faults.reorders) arrival = Math.max(arrival, link.lastArrival[lane])
    else if (arrival < link.lastArrival[lane]) this.counts.reordered++
    link.lastArrival[lane] = Math.max(arrival, link.lastArrival[lane])
    link.bytesOnTheWay += packet.bytes.length
    this.travel(endpoint, packet, link, arrival, () => void (link.bytesOnTheWay -= packet.bytes.length))
    if (random.chance(faults.duplicateChance)) {
      this.counts.duplicated++
      this.travel(endpoint, packet, link, arrival + random.exponential(faults.meanDelayMs))
    }
    if (random.chance(faults.replayChance)) {
      this.counts.replayed++
      // An order that is told again when all faults are over would be one that nobody gave.
      const isStale = () => packet.message._tag === "AdminRequest" && faults.replayChance === 0
      this.travel(endpoint, packet, link, arrival + random.between(0, faults.replayMs), () => {}, isStale)
    }
  }

  private travel(
    sender: Speaker,
    packet: Packet,
    link: LinkState,
    arrival: number,
    left = () => {},
    isStale = () => false
  ): void {
    // What the sender says of itself is said when the connection opens.
    const speaker: Speaker = { identity: sender.identity, clusterId: sender.clusterId }
    const land = () => {
      if (this.world.now < link.clogUntil) {
        this.counts.clogged++
        this.world.after(link.clogUntil - this.world.now, land)
        return
      }
      left()
      if (isStale()) return
      if (link.isCut || !this.accepts(packet.to, packet.from) || !this.accepts(packet.from, packet.to)) {
        this.counts.cut++
        this.note(packet, "cut")
        return
      }
      this.arrive(packet, speaker)
    }
    this.world.after(arrival - this.world.now, land)
  }

  private arrive(packet: Packet, speaker: Speaker): void {
    const receiver = this.endpoints.get(packet.to)
    if (receiver === undefined || receiver.host.isDead || speaker.identity === null) return
    if (this.voteless.has(packet.to) && isOfVotes(packet.message)) return
    const identity = speaker.identity
    receiver.host.arrive(() => {
      this.counts.delivered++
      this.observer?.received(packet.to, packet.message)
      this.world.timeline.record(this.world.now, packet.to, () => `<- ${packet.from}: ${messageText(packet.message)}`)
      receiver.deliver({
        from: packet.from,
        incarnation: identity.incarnation,
        publicKey: publicKeyOf(packet.from),
        clusterId: speaker.clusterId,
        // Each copy has bytes of its own, as it would have on a real wire.
        message: decodeMessage(Uint8Array.from(packet.bytes))
      })
    })
    this.world.drain()
  }

  private note(packet: Packet, fate: string): void {
    this.world.timeline.record(
      this.world.now,
      packet.from,
      () => `-> ${packet.to} ${fate}: ${messageText(packet.message)}`
    )
  }

  private link(from: string, to: string): LinkState {
    const name = `${from} ${to}`
    let link = this.links.get(name)
    if (link === undefined) {
      link = {
        isCut: false,
        clogUntil: 0,
        extraMs: 0,
        bytesOnTheWay: 0,
        lastArrival: noTimes(),
        passed: noTimes()
      }
      this.links.set(name, link)
    }
    return link
  }
}
