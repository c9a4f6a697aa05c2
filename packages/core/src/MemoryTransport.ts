/**
 * Nodes that reach each other within one process: every law of the port, and every message through the codec.
 *
 * Delivery is a turn of the receiver's own fiber, never part of `send` or `flush`, and needs no timer. Links can be cut
 * and healed, so that a test sees what a real network does.
 */
import { Context, Duration, Effect, Layer, Queue, type Scope } from "effect"
import { InvalidRequest, NoLeader, OutcomeUnknown } from "./DistKvError.ts"
import { ownFeatures } from "./domain/Features.ts"
import type { Address, Identity, PublicKey } from "./domain/Identity.ts"
import type { AdminCommand, AdminResult, Envelope } from "./domain/PeerMessage.ts"
import { MemoryNode, type MemoryTransportOptions, MemoryWires, type Packet } from "./MemoryNetwork.ts"
import { type OpenTransport, Transport } from "./Transport.ts"

export type { MemoryTransportOptions } from "./MemoryNetwork.ts"

/** The network that nodes in one process share. Each build of its layer is a network of its own. */
export class MemoryNetwork extends Context.Service<MemoryNetwork, MemoryWires>()("@distkv/core/MemoryNetwork") {}

/** A network without nodes. Provide one build of it to every node that shall reach the others. */
export const network: Layer.Layer<MemoryNetwork> = Layer.sync(MemoryNetwork, () => new MemoryWires())

const openNode = Effect.fnUntraced(function*(
  wires: MemoryWires,
  options: MemoryTransportOptions,
  own: MemoryNode["own"],
  identity: Identity,
  receive: (envelope: Envelope) => void
): Effect.fn.Return<OpenTransport, InvalidRequest, Scope.Scope> {
  // Unbounded, because each sender's bytes are counted before they get here.
  const arrivals = yield* Queue.unbounded<Packet>()
  const node = new MemoryNode(wires, options, own, identity, receive, arrivals)
  if (!wires.attach(node)) {
    return yield* new InvalidRequest({ message: `another node of this network has the address ${own.address}` })
  }
  yield* Effect.addFinalizer(() => Effect.sync(() => wires.detach(node)))
  yield* Queue.takeAll(arrivals).pipe(
    Effect.map((packets) => packets.forEach((packet) => node.arrive(packet))),
    Effect.forever,
    Effect.forkScoped
  )
  return {
    address: own.address,
    send: (to, message) => node.send(to, message),
    flush: () => node.flush(),
    setMembership: (membership) => node.setMembership(membership),
    introduce: (own) => node.introduce(own),
    introductions: () => node.introductions(),
    setClusterId: (clusterId) => node.setClusterId(clusterId),
    links: () => node.links(),
    traffic: () => node.traffic(),
    features: () => ownFeatures,
    call: (address, command, remainingMs) => callNode(node, address, command, remainingMs)
  }
})

const callNode = (
  node: MemoryNode,
  address: Address,
  command: AdminCommand,
  remainingMs: number
): Effect.Effect<AdminResult, NoLeader> =>
  Effect.callback<AdminResult, NoLeader>((resume) => {
    const asked = node.call(address, command, remainingMs, (result) => resume(Effect.succeed(result)))
    if (typeof asked !== "string") return Effect.sync(asked)
    resume(Effect.fail(new NoLeader({ message: asked })))
    return Effect.void
  }).pipe(
    Effect.timeoutOrElse({
      duration: Duration.millis(remainingMs),
      orElse: () => Effect.succeed<AdminResult>({ _tag: "Failed", error: unanswered(address) })
    })
  )

const unanswered = (address: Address) =>
  new OutcomeUnknown({ message: `the node at ${address} was asked and did not answer in time` })

/** One node's transport on the network provided. The node may be closed and opened again under the same address. */
export const layer = (options: MemoryTransportOptions = {}): Layer.Layer<Transport, never, MemoryNetwork> =>
  Layer.effect(
    Transport,
    Effect.map(MemoryNetwork, (wires) => {
      const address = (options.address ?? wires.drawAddress()) as Address
      const publicKey = (options.publicKey ?? `memory ${address}`) as PublicKey
      return Transport.of({
        publicKey,
        open: (identity, receive) => openNode(wires, options, { address, publicKey }, identity, receive)
      })
    })
  )

/** A node with nobody to talk to, for a store that lives in one process alone. */
export const layerAlone: Layer.Layer<Transport> = Layer.provide(layer(), network)
