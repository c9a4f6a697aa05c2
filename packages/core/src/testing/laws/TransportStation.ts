/** A node that only listens and speaks, and the words it uses, for the laws of the `Transport` port. */
import { Effect, Exit, Scope } from "effect"
import type { StartError } from "../../DistKvError.ts"
import type { ClusterId, Identity, Incarnation, NodeId } from "../../domain/Identity.ts"
import { emptyMembership, type Member, type Membership } from "../../domain/Membership.ts"
import type { AdminCommand, AdminResult, Envelope, PeerMessage, PeerMessageOf } from "../../domain/PeerMessage.ts"
import { type LogIndex, logStart, type Term } from "../../domain/Position.ts"
import type { OpenTransport, Transport } from "../../Transport.ts"
import { entry, put } from "./LogSamples.ts"
import { LawBroken } from "./StoreLaw.ts"

/**
 * How the laws get at an implementation: `transports` makes that many nodes' transports, each accepting the keys of the
 * others. One that is opened again with the same `raftPort` has the same address again.
 */
export interface TransportHarness {
  readonly transports: (
    count: number
  ) => Effect.Effect<ReadonlyArray<Transport["Service"]>, StartError, Scope.Scope>
}

export const clusterA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" as ClusterId
export const clusterB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" as ClusterId

export const identityOf = (name: string, clusterId: ClusterId | null, raftPort: number | null = null): Identity => ({
  nodeId: name as NodeId,
  incarnation: Buffer.from(name).toString("hex").padStart(32, "0") as Incarnation,
  clusterId,
  founding: false,
  raftPort
})

/** One open transport, with everything that it heard. */
export interface Station {
  readonly id: NodeId
  readonly identity: Identity
  readonly transport: Transport["Service"]
  readonly open: OpenTransport
  readonly heard: Array<Envelope>
  /** Answers a message as it arrives. */
  answer: ((envelope: Envelope) => void) | null
  readonly close: Effect.Effect<void>
}

export const start = Effect.fnUntraced(function*(
  transport: Transport["Service"],
  identity: Identity
): Effect.fn.Return<Station, StartError, Scope.Scope> {
  const scope = yield* Effect.acquireRelease(Scope.make(), (one) => Scope.close(one, Exit.void))
  const heard: Array<Envelope> = []
  const hear = (envelope: Envelope) => {
    heard.push(envelope)
    station.answer?.(envelope)
  }
  const open = yield* transport.open(identity, hear).pipe(Scope.provide(scope))
  const station: Station = {
    id: identity.nodeId,
    identity,
    transport,
    open,
    heard,
    answer: null,
    close: Scope.close(scope, Exit.void)
  }
  return station
})

export const memberOf = (station: Station): Member => ({
  id: station.id,
  incarnation: station.identity.incarnation,
  publicKey: station.transport.publicKey,
  address: station.open.address,
  http: null,
  standing: "voter"
})

export const membershipOf = (...members: ReadonlyArray<Member>): Membership => ({ ...emptyMembership, members })

/** Tells every station that they all are the members, and waits until each pair is connected. */
export const connect = Effect.fnUntraced(function*(...stations: ReadonlyArray<Station>) {
  const membership = membershipOf(...stations.map(memberOf))
  for (const { open } of stations) open.setMembership(membership)
  yield* until(
    "all members are connected",
    () => stations.every(({ open }) => open.links().every((link) => link.connected))
  )
})

/** Waits for a condition that has to come true, looking often; after ten seconds the law is broken. */
export const until = Effect.fnUntraced(function*(
  what: string,
  condition: () => boolean
): Effect.fn.Return<void, LawBroken> {
  for (let look = 0; look < 5000; look++) {
    if (condition()) return
    yield* Effect.sleep(2)
  }
  return yield* new LawBroken({ message: `never came true: ${what}` })
})

export const expect = (what: string, holds: boolean): Effect.Effect<void, LawBroken> =>
  holds ? Effect.void : Effect.fail(new LawBroken({ message: what }))

/** Sends one message and ends the turn. */
export const say = (from: Station, to: Station | NodeId, message: PeerMessage): boolean => {
  const sent = from.open.send(typeof to === "string" ? to : to.id, message)
  from.open.flush()
  return sent
}

const term = 7 as Term

/** A short message, told apart by its number. */
export const vote = (number: number): PeerMessage => ({
  _tag: "VoteRequest",
  term: number as Term,
  preVote: true,
  transfer: false,
  lastLog: logStart
})

/** An append with one entry that holds a value of this size. */
export const append = (bytes: number): PeerMessageOf<"AppendRequest"> => ({
  _tag: "AppendRequest",
  term,
  previous: logStart,
  committed: 0 as LogIndex,
  round: 1,
  entries: [entry(term, 1, put(new Uint8Array(bytes).map((_, i) => i)))]
})

const snapshot = { last: { term, index: 9 as LogIndex }, bytes: 8, checksum: 0xffff_ffff }

/** One message of every kind. */
export const samples = (name: NodeId): ReadonlyArray<PeerMessage> => [
  vote(1),
  { _tag: "VoteReply", term, preVote: false, granted: true },
  append(1000),
  { _tag: "AppendReply", term, matched: true, index: 3 as LogIndex, hint: logStart, round: 4 },
  { _tag: "TimeoutNow", term },
  { _tag: "LinkReport", term, links: [{ id: name, accepts: true, connected: false }], version: "1.2.3", full: true },
  { _tag: "StateDigest", term, index: 7 as LogIndex, digest: 2 ** 53 - 1, majority: true },
  {
    _tag: "ForwardRequest",
    run: 8,
    id: 5,
    leaderTerm: term,
    hops: 1,
    remainingMs: 100,
    record: append(10).entries[0]?.record ?? new Uint8Array(0)
  },
  { _tag: "ForwardReply", id: 5, result: { _tag: "NotLeader" } },
  { _tag: "ReadIndexRequest", id: 6, term, remainingMs: 100 },
  { _tag: "ReadIndexReply", id: 6, index: 9 as LogIndex },
  { _tag: "AdminRequest", id: 7, hops: 1, remainingMs: 100, command: { _tag: "Transfer", to: null } },
  { _tag: "AdminReply", id: 7, result: { _tag: "Transferred", leader: name, term } },
  { _tag: "SnapshotPiece", term, id: snapshot, offset: 5, data: Uint8Array.of(1, 2, 3) },
  { _tag: "SnapshotReply", term, id: snapshot, offset: 8, progress: "installing" },
  { _tag: "Refused", term, reason: "rolledBack", lost: { term, index: 3 as LogIndex } }
]

/** What a node asks that wants to become a member under its own name. */
export const joinOf = (station: Station): AdminCommand => ({
  _tag: "Join",
  id: station.id,
  incarnation: station.identity.incarnation,
  publicKey: station.transport.publicKey,
  address: station.open.address,
  http: null,
  learner: false
})

/** Makes a station answer every admin request in this way. */
export const answerWith = (station: Station, result: AdminResult): void => {
  station.answer = ({ from, message }) => {
    if (message._tag === "AdminRequest") say(station, from, { _tag: "AdminReply", id: message.id, result })
  }
}
