/**
 * One authenticated SSH connection, from either end: three lanes, the hellos on them, and the frames that follow.
 *
 * Whatever breaks the rules ends the connection and nothing else. After its end nothing of it is handed on, so frames
 * of a connection that was replaced are discarded.
 */
import {
  decodeMessage,
  encodeMessage,
  firstCallId,
  laneOf,
  maySay,
  type PeerIdentity,
  type PeerMessage,
  type PeerStanding,
  removedNotice
} from "@distkv/core"
import type { Socket } from "node:net"
import type { Duplex } from "node:stream"
import type { AuthorizedKey } from "./AuthorizedKeys.ts"
import { decodeHello, encodeHello, type Hello, mayFollow, type Purpose } from "./Hello.ts"
import { Lane } from "./Lane.ts"
import { frameKind, type LaneName, maxFrameBytes } from "./SshWire.ts"

/** What a connection needs of SSH underneath it. */
export interface SshEnd {
  readonly socket: Socket
  /** Says goodbye. */
  readonly end: () => void
  /** Exchanges session keys anew; only the accepting side can begin that. */
  readonly rekey: ((done: () => void) => void) | null
}

export interface ConnectionEvents {
  /** What this node says of itself now. */
  readonly hello: (purpose: Purpose) => Hello
  /** Who this peer is; asked at its first hello and whenever the answer may have changed. */
  readonly judge: (peer: PeerIdentity) => PeerStanding
  readonly established: (connection: PeerConnection) => void
  readonly message: (connection: PeerConnection, message: PeerMessage, bytes: number) => void
  readonly malformed: (connection: PeerConnection, flaw: string) => void
  readonly refused: (connection: PeerConnection, reason: string) => void
  readonly closed: (connection: PeerConnection, reason: string) => void
}

/** How long a connection that was told to end may take before its socket is destroyed, in milliseconds. */
const farewellMs = 500

/** Features are small numbers as long as there are few of them. */
const knowableFeatures = 2n ** 30n - 1n

export class PeerConnection {
  readonly key: AuthorizedKey
  /** Whether this side dialled. */
  readonly dialled: boolean
  readonly startedAt = performance.now()
  /** Whether both sides have said who they are on every lane that the connection needs. */
  established = false
  closed = false
  purpose: Purpose
  peer: PeerIdentity | null = null
  /** The peer's first hello; `run` tells one run of its process from another. */
  hello: Hello | null = null
  private standing: PeerStanding = { _tag: "refused", reason: "it has not said who it is" }
  private readonly end: SshEnd
  private readonly events: ConnectionEvents
  private readonly lanes: Readonly<Record<LaneName, Lane>>
  private quietMs = 0
  private heardBytes = 0
  private rekeyedAt = performance.now()
  private rekeyedBytes = 0
  private rekeying = false

  constructor(end: SshEnd, key: AuthorizedKey, dialled: Purpose | null, events: ConnectionEvents) {
    this.end = end
    this.key = key
    this.dialled = dialled !== null
    this.purpose = dialled ?? "link"
    this.events = events
    this.lanes = { raft: this.makeLane("raft"), control: this.makeLane("control"), bulk: this.makeLane("bulk") }
    end.socket.once("close", () => this.lost("the connection was lost"))
  }

  /** Bytes that wait to be sent. */
  get buffered(): number {
    return this.lanes.raft.buffered + this.lanes.control.buffered + this.lanes.bulk.buffered
  }

  get remoteAddress(): string | undefined {
    return this.end.socket.remoteAddress?.replace(/^::ffff:/, "")
  }

  hasLane(name: LaneName): boolean {
    return this.lanes[name].open
  }

  /** Puts an open channel to use, and says who we are on it. */
  attach(name: LaneName, channel: Duplex): void {
    if (this.closed) {
      channel.on("error", () => undefined)
      channel.resume()
      return
    }
    const lane = this.lanes[name]
    lane.attach(channel)
    lane.push(frameKind.hello, encodeHello(this.events.hello(this.purpose)))
    lane.flush()
  }

  /** Queues an encoded message. */
  push(lane: LaneName, body: Uint8Array): void {
    this.lanes[lane].push(frameKind.message, body)
  }

  /** Writes what is queued, once per lane. */
  flush(): void {
    if (this.closed) return
    const { socket } = this.end
    socket.cork()
    this.lanes.raft.flush()
    this.lanes.control.flush()
    this.lanes.bulk.flush()
    socket.uncork()
  }

  /** Says who we are once more, because we know our cluster now. */
  greetAgain(): void {
    if (this.closed) return
    for (const lane of [this.lanes.raft, this.lanes.control, this.lanes.bulk]) {
      if (lane.open) lane.push(frameKind.hello, encodeHello(this.events.hello(this.purpose)))
    }
    this.flush()
  }

  /** Lets the peer hear something, unless so much waits to be written that it hears of us anyway. */
  ping(): void {
    if (this.lanes.raft.buffered > 0) return
    this.lanes.raft.push(frameKind.ping, new Uint8Array(0))
    this.flush()
  }

  /** How long nothing has arrived, in milliseconds, when `elapsed` have passed since this was last asked. */
  quietFor(elapsed: number): number {
    // Any bytes are a sign of life, also those of SSH itself: nobody else can make them.
    const { bytesRead } = this.end.socket
    this.quietMs = bytesRead === this.heardBytes ? this.quietMs + elapsed : 0
    this.heardBytes = bytesRead
    return this.quietMs
  }

  /** Judges the peer anew; ends the connection where the answer does not suffice for it any more. */
  judgeAgain(): void {
    if (this.peer === null || this.closed) return
    this.standing = this.events.judge(this.peer)
    if (this.standing._tag === "removed" && this.purpose === "link") this.tellRemoved()
    const flaw = this.standing._tag === "refused"
      ? this.standing.reason
      : this.standing._tag === "removed" && this.purpose === "link"
      ? "it was removed from the cluster, and never comes back under this id or key"
      : this.standing._tag === "guest" && this.purpose === "link"
      ? "it is no member of this node's cluster and may only ask to join"
      : null
    if (flaw === null) return
    this.events.refused(this, flaw)
    this.close(flaw)
  }

  /** Says so on whichever lane is open, since nothing else will be said. */
  private tellRemoved(): void {
    const lane = [this.lanes.raft, this.lanes.control].find(({ open }) => open)
    lane?.push(frameKind.message, encodeMessage(removedNotice))
  }

  /** Begins a new exchange of session keys when the last is older, or more bytes ago, than this. True when it did. */
  rekeyIfDue(afterMs: number, afterBytes: number): boolean {
    const { socket } = this.end
    const now = performance.now()
    const bytes = socket.bytesRead + socket.bytesWritten
    if (this.end.rekey === null || this.rekeying || !this.established || this.closed) return false
    if (now - this.rekeyedAt < afterMs && bytes - this.rekeyedBytes < afterBytes) return false
    this.rekeying = true
    this.rekeyedAt = now
    this.rekeyedBytes = bytes
    this.end.rekey(() => (this.rekeying = false))
    return true
  }

  /** Ends the connection: what is queued may still go out, nothing is taken in any more. */
  close(reason: string): void {
    if (this.closed) return
    this.flush()
    this.lost(reason)
    this.end.end()
    this.end.socket.destroySoon()
    setTimeout(() => this.end.socket.destroy(), farewellMs).unref()
  }

  /** Ends a connection whose other side does not answer. */
  destroy(reason: string): void {
    this.lost(reason)
    this.end.socket.destroy()
  }

  private lost(reason: string): void {
    if (this.closed) return
    this.closed = true
    this.lanes.raft.drop()
    this.lanes.control.drop()
    this.lanes.bulk.drop()
    this.events.closed(this, reason)
  }

  private makeLane(name: LaneName): Lane {
    return new Lane({
      frame: (kind, body) => {
        if (this.closed) return false
        this.take(name, kind, body)
        return !this.closed
      },
      broken: (reason, malformed) => {
        if (this.closed) return
        if (malformed) this.fault(reason)
        else this.close(reason)
      }
    })
  }

  private fault(flaw: string): void {
    this.events.malformed(this, flaw)
    this.close(flaw)
  }

  private take(name: LaneName, kind: number, body: Uint8Array): void {
    if (kind === frameKind.hello) this.takeHello(name, body)
    else if (!this.lanes[name].greeted) this.fault("something came before its hello")
    else if (kind === frameKind.message) this.takeMessage(name, body)
    else if (kind !== frameKind.ping || name !== "raft") this.fault(`an unknown frame of kind ${kind}`)
  }

  private takeHello(name: LaneName, body: Uint8Array): void {
    const hello = decodeHello(body)
    if (typeof hello === "string") return this.fault(hello)
    if (this.hello !== null && !mayFollow(this.hello, hello)) {
      return this.fault("it says something else of itself than before")
    }
    this.hello = hello
    if (!this.dialled) this.purpose = hello.purpose
    const { clusterId, incarnation, nodeId } = hello
    const features = Number(hello.features & knowableFeatures)
    this.peer = { nodeId, incarnation, clusterId, publicKey: this.key.publicKey, features }
    this.judgeAgain()
    if (this.closed) return
    this.lanes[name].greeted = true
    this.lanes[name].reader.limit = maxFrameBytes
    const { control, raft } = this.lanes
    if (this.established || !control.greeted || (this.purpose === "link" && !raft.greeted)) return
    this.established = true
    this.events.established(this)
  }

  private takeMessage(name: LaneName, body: Uint8Array): void {
    const message = this.decode(body)
    if (typeof message === "string") return this.fault(message)
    if (laneOf(message) !== name && message._tag !== "Refused") {
      return this.fault(`a ${message._tag} on the ${name} lane`)
    }
    if (this.peer === null || !this.mayTake(this.peer, message)) {
      this.events.refused(this, `it has no right to say ${message._tag}`)
      return this.close(`it has no right to say ${message._tag}`)
    }
    this.events.message(this, message, body.length)
  }

  /** A call carries one kind of request there and one kind of answer back; a link everything but calls. */
  private mayTake(peer: PeerIdentity, message: PeerMessage): boolean {
    if (this.purpose === "link") {
      const isCall = (message._tag === "AdminRequest" || message._tag === "AdminReply") && message.id >= firstCallId
      return this.standing._tag === "member" && !isCall
    }
    if (this.dialled) return message._tag === "AdminReply"
    return message._tag === "AdminRequest" && maySay(this.standing, peer, message)
  }

  private decode(body: Uint8Array): PeerMessage | string {
    try {
      return decodeMessage(body)
    } catch (cause) {
      return cause instanceof Error ? cause.message : String(cause)
    }
  }
}
