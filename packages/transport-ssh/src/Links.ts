/**
 * The connections of one node, and which of them is the link with which member.
 *
 * There is one link per pair, used both ways. Both sides may dial; where that makes two, the one that the smaller node
 * id dialled stays. Of two that the same side dialled the newer stays, and so it does after a restart of the peer: what
 * it had before cannot be alive.
 */
import {
  type ClusterId,
  emptyMembership,
  encodeMessage,
  type Envelope,
  envelopeOf,
  findMember,
  firstCallId,
  type Introduction,
  judgePeer,
  laneOf,
  type Link,
  type Membership,
  type NodeId,
  ownFeatures,
  type PeerIdentity,
  type PeerMessage,
  type PeerMessageOf,
  type PeerStanding,
  type PeerTraffic,
  SharedEncoding
} from "@distkv/core"
import { CallDesk } from "./CallDesk.ts"
import { type Hello, type Purpose, wireVersion } from "./Hello.ts"
import { MemberDialer } from "./MemberDialer.ts"
import type { ConnectionEvents, PeerConnection } from "./PeerConnection.ts"
import type { Log, SshCounters } from "./SshLog.ts"
import { parseHostPort, type SshSettings } from "./SshSettings.ts"
import { maxFrameBytes } from "./SshWire.ts"
import type { TrustedKeys } from "./TrustedKeys.ts"

/** Begins to reach a member, and says whether a connection came of it. The function returned gives up. */
export type ReachMember = (id: NodeId, done: (reached: boolean) => void) => () => void

interface Peer {
  readonly id: NodeId
  link: PeerConnection | null
  dialer: MemberDialer | null
  /** As its last connection announced them. */
  features: number | null
  sentBytes: number
  receivedBytes: number
  droppedMessages: number
}

/** Connections that one key may have at once: a link, its successor, and calls. */
const maxPerKey = 16
/** A call lasts at most a minute; its connection a little longer. */
const callConnectionMs = 70_000

export class Links {
  identity: PeerIdentity
  membership: Membership = emptyMembership
  private introduced: Introduction | null = null
  readonly events: ConnectionEvents
  private readonly settings: SshSettings
  private readonly run: string
  private readonly trusted: TrustedKeys
  private readonly receive: (envelope: Envelope) => void
  private readonly reach: ReachMember
  private readonly counters: SshCounters
  private readonly log: Log
  private readonly peers = new Map<NodeId, Peer>()
  private readonly connections = new Set<PeerConnection>()
  private readonly unflushed = new Set<PeerConnection>()
  private readonly encoding = new SharedEncoding()
  private readonly desk = new CallDesk()
  private readonly refusals = new Map<string, string>()
  private tickedAt = performance.now()
  private pinging = false
  private closing = false

  constructor(
    settings: SshSettings,
    identity: PeerIdentity,
    run: string,
    trusted: TrustedKeys,
    receive: (envelope: Envelope) => void,
    reach: ReachMember,
    counters: SshCounters,
    log: Log
  ) {
    this.settings = settings
    this.identity = identity
    this.run = run
    this.trusted = trusted
    this.receive = receive
    this.reach = reach
    this.counters = counters
    this.log = log
    this.events = {
      hello: (purpose) => this.hello(purpose),
      judge: (peer) => this.judge(peer),
      established: (connection) => this.established(connection),
      message: (connection, message, bytes) => this.message(connection, message, bytes),
      malformed: (connection, flaw) => this.malformed(connection, flaw),
      refused: (connection, reason) => this.refused(connection, reason),
      closed: (connection, reason) => this.closed(connection, reason)
    }
  }

  /** Authenticated connections at the moment. */
  get connectionCount(): number {
    return this.connections.size
  }

  send(to: NodeId, message: PeerMessage): boolean {
    if (message._tag === "AdminReply" && message.id >= firstCallId) return this.answer(message)
    const peer = this.peerOf(to)
    const body = this.encoding.encode(message)
    const lane = laneOf(message)
    if (peer.link === null || !this.hasRoom(peer.link, body) || !peer.link.hasLane(lane)) {
      peer.droppedMessages++
      return false
    }
    peer.link.push(lane, body)
    peer.sentBytes += body.length
    this.unflushed.add(peer.link)
    return true
  }

  flush(): void {
    if (this.unflushed.size === 0) return
    for (const connection of this.unflushed) connection.flush()
    this.unflushed.clear()
    this.encoding.forget()
  }

  setMembership(membership: Membership, committed = membership): void {
    this.membership = membership
    const lost = this.settings.trust === "members" &&
      this.trusted.setMembers(committed.members.map((member) => member.publicKey))
    if (this.closing) return
    for (const member of membership.members) {
      if (member.id === this.identity.nodeId) continue
      const peer = this.peerOf(member.id)
      peer.dialer ??= this.dialerOf(peer)
      peer.dialer.kick()
    }
    for (const peer of this.peers.values()) {
      if (findMember(membership, peer.id) !== undefined) continue
      peer.dialer?.stop()
      peer.dialer = null
      if (peer.link === null && membership.members.length > 0) this.peers.delete(peer.id)
    }
    for (const connection of [...this.connections]) connection.judgeAgain()
    if (lost) this.recheckTrust()
  }

  introduce(own: Introduction): void {
    this.introduced = own
    for (const connection of [...this.connections]) connection.greetAgain()
  }

  introductions(): ReadonlyMap<NodeId, Introduction> {
    const all = new Map<NodeId, Introduction>()
    for (const { id, link } of this.peers.values()) {
      const own = link?.hello?.introduction ?? null
      if (own !== null) all.set(id, own)
    }
    return all
  }

  setClusterId(clusterId: ClusterId): void {
    this.identity = { ...this.identity, clusterId }
    for (const connection of [...this.connections]) {
      connection.judgeAgain()
      connection.greetAgain()
    }
  }

  links(): ReadonlyArray<Link> {
    return this.membership.members.filter((member) => member.id !== this.identity.nodeId).map((member) => ({
      id: member.id,
      accepts: this.trusted.has(member.publicKey),
      connected: (this.peers.get(member.id)?.link ?? null) !== null
    })).sort((left, right) => left.id < right.id ? -1 : 1)
  }

  traffic(): ReadonlyArray<PeerTraffic> {
    return [...this.peers.values()].map((peer) => ({
      id: peer.id,
      connected: peer.link !== null,
      sentBytes: peer.sentBytes,
      receivedBytes: peer.receivedBytes,
      droppedMessages: peer.droppedMessages
    })).sort((left, right) => left.id < right.id ? -1 : 1)
  }

  features(id: NodeId): number | null {
    return this.peers.get(id)?.features ?? null
  }

  /** Takes a connection into care, from the moment that its key is proved. */
  adopt(connection: PeerConnection): void {
    const sameKey = [...this.connections].filter((one) => one.key.publicKey === connection.key.publicKey).length
    this.connections.add(connection)
    if (this.closing) connection.close("this node is closing")
    else if (sameKey >= maxPerKey) {
      this.refused(connection, `its key has ${maxPerKey} connections already`)
      connection.close("too many connections with one key")
    }
  }

  /** A try to reach a member failed; the same reason is told once. */
  unreached(id: NodeId, reason: string): void {
    const known = this.refusals.get(id) === reason
    this.refusals.set(id, reason)
    this.log(known ? "debug" : "warn", `${id} cannot be reached: ${reason}`)
  }

  /** Whether a member is at this address, by the membership or by where its connection comes from. */
  isMember(source: string): boolean {
    return this.membership.members.some((member) => parseHostPort(member.address)?.host === source) ||
      [...this.connections].some((one) => one.established && one.purpose === "link" && one.remoteAddress === source)
  }

  /** Ends connections whose keys are trusted no longer. */
  recheckTrust(): void {
    for (const connection of [...this.connections]) {
      if (this.trusted.has(connection.key.publicKey)) continue
      this.counters.revoked++
      this.log("warn", `the key ${connection.key.fingerprint} is trusted no longer, and its connection is cut`)
      connection.close("its key is trusted no longer")
    }
  }

  /** Twice per heartbeat: pings, silence, time limits, new session keys. */
  tick(): void {
    const now = performance.now()
    const { electionTimeoutMs, heartbeatMs, loginGraceMs, rekeyAfterMs, rekeyBytes } = this.settings
    // When this process stalls, its peers' words wait in the sockets meanwhile: a late tick counts hardly more than one
    // in time, so that silence means that a peer missed several heartbeats while this process was there to hear them.
    const elapsed = Math.min(now - this.tickedAt, heartbeatMs * 0.75)
    this.tickedAt = now
    this.pinging = !this.pinging
    for (const connection of [...this.connections]) {
      const age = now - connection.startedAt
      if (!connection.established && age > loginGraceMs) connection.destroy("it did not say who it is in time")
      else if (connection.purpose === "call" && age > callConnectionMs) connection.close("the call took too long")
      else if (connection.purpose === "link" && connection.established) {
        if (connection.quietFor(elapsed) > electionTimeoutMs - heartbeatMs / 2) {
          this.counters.silentPeers++
          connection.destroy("nothing was heard of it for an election time-out")
        } else if (this.pinging) connection.ping()
      }
      connection.rekeyIfDue(rekeyAfterMs, rekeyBytes)
    }
  }

  close(): void {
    this.closing = true
    for (const peer of this.peers.values()) peer.dialer?.stop()
    for (const connection of [...this.connections]) connection.close("this node is closing")
  }

  private hello(purpose: Purpose): Hello {
    const { clusterId, incarnation, nodeId } = this.identity
    return {
      lowest: wireVersion,
      highest: wireVersion,
      purpose,
      features: BigInt(ownFeatures),
      run: this.run,
      nodeId,
      incarnation,
      clusterId,
      introduction: this.introduced
    }
  }

  private judge(peer: PeerIdentity): PeerStanding {
    return judgePeer(this.identity, this.membership, peer)
  }

  private peerOf(id: NodeId): Peer {
    const known = this.peers.get(id)
    if (known !== undefined) return known
    const peer: Peer = {
      id,
      link: null,
      dialer: null,
      features: null,
      sentBytes: 0,
      receivedBytes: 0,
      droppedMessages: 0
    }
    this.peers.set(id, peer)
    return peer
  }

  private dialerOf(peer: Peer): MemberDialer {
    const { electionTimeoutMs, heartbeatMs } = this.settings
    // The smaller id goes first, since its connection would stay anyway.
    const firstMs = this.identity.nodeId < peer.id ? 1 : 2 * heartbeatMs
    const limits = { firstMs, baseMs: heartbeatMs, mostMs: Math.max(250, electionTimeoutMs) }
    return new MemberDialer(limits, () => peer.link !== null || this.closing, (done) => {
      this.counters.dials++
      return this.reach(peer.id, done)
    })
  }

  private established(connection: PeerConnection): void {
    if (connection.purpose === "call" || connection.peer === null) return
    const peer = this.peerOf(connection.peer.nodeId)
    const old = peer.link
    if (old !== null && !this.replaces(connection, old)) {
      this.counters.superseded++
      return connection.close("the pair has another connection")
    }
    peer.link = connection
    peer.features = connection.peer.features ?? 0
    peer.dialer?.connected()
    this.refusals.delete(connection.key.publicKey)
    this.refusals.delete(peer.id)
    if (old === null) return this.log("info", `connected with ${peer.id}`)
    this.counters.superseded++
    old.close("the pair has a better connection")
  }

  private replaces(fresh: PeerConnection, old: PeerConnection): boolean {
    if (fresh.key.publicKey !== old.key.publicKey) return false
    if (fresh.hello?.run !== old.hello?.run) return true
    const preferred = (one: PeerConnection) =>
      one.peer !== null && one.dialled === (this.identity.nodeId < one.peer.nodeId)
    return preferred(fresh) || !preferred(old)
  }

  private message(connection: PeerConnection, message: PeerMessage, bytes: number): void {
    const { peer } = connection
    if (peer === null) return
    // It comes in place of a connection that is refused, so there is no link to hear it on.
    if (message._tag === "Refused" && message.reason === "removed") return this.receive(envelopeOf(peer, message))
    if (connection.purpose === "link") {
      const known = this.peers.get(peer.nodeId)
      // Before a connection is the pair's link, and after it was, what it carries is not listened to.
      if (known?.link !== connection) return
      known.receivedBytes += bytes
      return this.receive(envelopeOf(peer, message))
    }
    const request = message._tag === "AdminRequest" ? this.desk.take(connection, message) : null
    if (request !== null) this.receive(envelopeOf(peer, request))
  }

  private answer(message: PeerMessageOf<"AdminReply">): boolean {
    const caller = this.desk.settle(message.id)
    if (caller === undefined) return false
    caller.connection.push("control", encodeMessage({ ...message, id: caller.id }))
    this.unflushed.add(caller.connection)
    return true
  }

  private hasRoom(link: PeerConnection, body: Uint8Array): boolean {
    return body.length < maxFrameBytes && link.buffered + body.length <= this.settings.sendBufferBytes
  }

  private malformed(connection: PeerConnection, flaw: string): void {
    this.counters.malformedFrames++
    this.log("warn", `${nameOf(connection)} broke the protocol, and its connection is cut: ${flaw}`)
  }

  private refused(connection: PeerConnection, reason: string): void {
    this.counters.refusedPeers++
    // A peer that keeps coming back with the same flaw is mentioned once.
    const known = this.refusals.get(connection.key.publicKey) === reason
    this.refusals.set(connection.key.publicKey, reason)
    this.log(known ? "debug" : "warn", `${nameOf(connection)} is refused: ${reason}`)
  }

  private closed(connection: PeerConnection, reason: string): void {
    this.connections.delete(connection)
    this.unflushed.delete(connection)
    this.desk.forget(connection)
    const peer = connection.peer === null ? undefined : this.peers.get(connection.peer.nodeId)
    if (peer?.link === connection) {
      peer.link = null
      this.log("info", `the connection with ${peer.id} ended: ${reason}`)
    }
    // Also where the connection never became the link: a dialer may have been waiting for it.
    for (const one of this.peers.values()) one.dialer?.kick()
  }
}

const nameOf = (connection: PeerConnection): string =>
  connection.peer === null
    ? `a peer with the key ${connection.key.fingerprint}`
    : `${connection.peer.nodeId} (${connection.key.fingerprint})`
