/** The `Transport` of one process in the simulated network, from `open` until its scope closes or its host dies. */
import { Effect, type Scope } from "effect"
import { NoLeader } from "../DistKvError.ts"
import type { Address, ClusterId, Identity, NodeId, PublicKey } from "../domain/Identity.ts"
import { emptyMembership, type Membership } from "../domain/Membership.ts"
import {
  firstCallId,
  type Introduction,
  judgePeer,
  maySay,
  type PeerIdentity,
  type PeerStanding
} from "../domain/PeerDirectory.ts"
import type { AdminCommand, AdminResult, Envelope, Link } from "../domain/PeerMessage.ts"
import type { OpenTransport, PeerTraffic } from "../Transport.ts"
import type { SimHost } from "./SimHost.ts"
import type { SimNetwork } from "./SimNetwork.ts"

/** What a connection says of the node that opened it. */
export interface Speaker {
  readonly identity: Identity | null
  readonly clusterId: ClusterId | null
}

/** A process that listens. */
export interface Endpoint extends Speaker {
  readonly identity: Identity
  readonly address: Address
  readonly host: SimHost
  readonly deliver: (envelope: Envelope) => void
  readonly connectsTo: (peer: Endpoint) => boolean
  /** Whether it has a member of this name whose directory it can tell from any other. */
  readonly hasMet: (peer: NodeId) => boolean
  /** Whether it turns this peer away as a removed member, and says so. */
  readonly dismisses: (peer: Endpoint) => boolean
  /** Where it says that it is. */
  readonly introduced: Introduction | null
}

/** The key of a simulated node follows from its id. */
export const publicKeyOf = (node: string): PublicKey => `ssh-sim ${node}` as PublicKey

/** How often a node looks whether a member takes its connection, in simulated milliseconds. */
const dialEveryMs = 500

class OpenEndpoint implements Endpoint {
  readonly identity: Identity
  readonly address: Address
  readonly host: SimHost
  clusterId: ClusterId | null
  introduced: Introduction | null = null
  private readonly network: SimNetwork
  private readonly receive: (envelope: Envelope) => void
  private membership: Membership = emptyMembership
  private readonly calls = new Map<number, (result: AdminResult) => void>()
  private nextCall: number
  private readonly sent = new Map<NodeId, number>()
  private readonly received = new Map<NodeId, number>()
  private readonly dropped = new Map<NodeId, number>()

  constructor(
    network: SimNetwork,
    host: SimHost,
    identity: Identity,
    address: Address,
    receive: (envelope: Envelope) => void
  ) {
    this.network = network
    this.host = host
    this.identity = identity
    this.address = address
    this.clusterId = identity.clusterId
    this.receive = receive
    // Each process counts from elsewhere, so that a late answer to its predecessor fits no question.
    this.nextCall = firstCallId + host.random.int(0, 2 ** 40)
    this.dial()
  }

  /** Members are called again and again, so that one who was removed hears of it although it has nothing to say. */
  private dial(): void {
    this.host.after(dialEveryMs, () => {
      for (const id of this.peers()) this.network.dial(this, id)
      this.dial()
    })
  }

  readonly deliver = (envelope: Envelope): void => {
    const { message } = envelope
    const { clusterId, from, incarnation, publicKey } = envelope
    const peer = { nodeId: from, clusterId, incarnation, publicKey }
    const isAnswer = message._tag === "AdminReply" && this.calls.has(message.id)
    if (!isAnswer && !maySay(judgePeer(this.own, this.membership, peer), peer, message)) return
    count(this.received, envelope.from, 1)
    if (message._tag === "AdminReply" && message.id >= firstCallId) {
      this.calls.get(message.id)?.(message.result)
      return
    }
    this.receive(envelope)
  }

  /** What this process says of itself when a connection opens. */
  private get own(): PeerIdentity {
    const { incarnation, nodeId } = this.identity
    return { nodeId, incarnation, clusterId: this.clusterId, publicKey: publicKeyOf(nodeId) }
  }

  /** Whether it keeps a connection to this peer: a member under another identity is a stranger. */
  connectsTo(peer: Endpoint): boolean {
    return this.judge(peer)._tag === "member"
  }

  hasMet(peer: NodeId): boolean {
    return this.membership.members.some(({ id, incarnation }) => id === peer && incarnation !== null)
  }

  dismisses(peer: Endpoint): boolean {
    return this.judge(peer)._tag === "removed"
  }

  private judge(peer: Endpoint): PeerStanding {
    const { incarnation, nodeId } = peer.identity
    const identity = { nodeId, incarnation, clusterId: peer.clusterId, publicKey: publicKeyOf(nodeId) }
    return judgePeer(this.own, this.membership, identity)
  }

  get port(): OpenTransport {
    return {
      address: this.address,
      send: (to, message, claim) => {
        const queued = this.network.send(this, to, message, claim)
        count(queued ? this.sent : this.dropped, to, 1)
        return queued
      },
      flush: () => {},
      setMembership: (membership) => void (this.membership = membership),
      introduce: (own) => void (this.introduced = own),
      introductions: () => this.introductions(),
      setClusterId: (clusterId) => void (this.clusterId = clusterId),
      links: () => this.links(),
      traffic: () => this.traffic(),
      features: () => this.network.announced,
      call: (address, command, remainingMs) => this.call(address, command, remainingMs)
    }
  }

  private peers(): ReadonlyArray<NodeId> {
    return this.membership.members.map((member) => member.id).filter((id) => id !== this.identity.nodeId)
  }

  private introductions(): ReadonlyMap<NodeId, Introduction> {
    const self = this.identity.nodeId
    const said = this.peers().filter((id) => this.network.isConnected(self, id))
      .map((id) => [id, this.network.introductionOf(id)] as const)
    return new Map(said.filter((one): one is readonly [NodeId, Introduction] => one[1] !== null))
  }

  private links(): ReadonlyArray<Link> {
    const self = this.identity.nodeId
    return this.peers().map((id) => ({
      id,
      accepts: this.network.accepts(self, id),
      connected: this.network.isConnected(self, id)
    }))
  }

  private traffic(): ReadonlyArray<PeerTraffic> {
    return this.peers().map((id) => ({
      id,
      connected: this.network.isConnected(this.identity.nodeId, id),
      sentBytes: this.sent.get(id) ?? 0,
      receivedBytes: this.received.get(id) ?? 0,
      droppedMessages: this.dropped.get(id) ?? 0
    }))
  }

  private call(address: Address, command: AdminCommand, remainingMs: number): Effect.Effect<AdminResult, NoLeader> {
    return Effect.callback<AdminResult, NoLeader>((resume) => {
      const id = this.nextCall++
      const target = this.network.endpointAt(address)
      const isReached = target !== undefined &&
        this.network.send(this, target.identity.nodeId, {
          _tag: "AdminRequest",
          id,
          hops: 0,
          remainingMs: Math.floor(remainingMs),
          command
        })
      // A refused connection is noticed soon; a lost request only when the time is over.
      const wait = isReached ? remainingMs : Math.min(remainingMs, 20)
      const timer = this.host.after(wait, () => {
        this.calls.delete(id)
        resume(Effect.fail(new NoLeader({ message: `${address} cannot be reached` })))
      })
      this.calls.set(id, (result) => {
        this.calls.delete(id)
        timer.cancel()
        resume(Effect.succeed(result))
      })
      return Effect.sync(() => {
        timer.cancel()
        this.calls.delete(id)
      })
    })
  }
}

const count = (counter: Map<NodeId, number>, id: NodeId, by: number): void => {
  counter.set(id, (counter.get(id) ?? 0) + by)
}

/** Starts to listen; closes with the scope. */
export const openEndpoint = (
  network: SimNetwork,
  host: SimHost,
  identity: Identity,
  address: string,
  receive: (envelope: Envelope) => void
): Effect.Effect<OpenTransport, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const endpoint = new OpenEndpoint(network, host, identity, address as Address, receive)
      network.register(endpoint)
      return endpoint
    }),
    (endpoint) => Effect.sync(() => network.unregister(endpoint))
  ).pipe(Effect.map((endpoint) => endpoint.port))
