/**
 * A node's assembly: it recovers what its disk holds, opens its transport, and begins a life in which it plays roles
 * for ever, with a committer, a checkpointer and errands beside them.
 */
import { Clock, Duration, Effect, Random, type Scope } from "effect"
import { howToReplace, type StartError, StorageFailed } from "../DistKvError.ts"
import type { Settings } from "../DistKvSettings.ts"
import { encodeCommand } from "../domain/CommandCodec.ts"
import { ownFeatures } from "../domain/Features.ts"
import type { Address, Identity, Incarnation } from "../domain/Identity.ts"
import type { LogIndex, Term } from "../domain/Position.ts"
import { stamp } from "../domain/RecordCodec.ts"
import { type HardState, LogStore, type RecoveredLog } from "../LogStore.ts"
import { NodeState } from "../roles/NodeState.ts"
import { play } from "../roles/play.ts"
import { founding } from "../rules/Reconfiguration.ts"
import { Admission } from "../state/Admission.ts"
import { Observer } from "../state/Observer.ts"
import { StateStore } from "../StateStore.ts"
import { type OpenTransport, Transport } from "../Transport.ts"
import * as Checkpointer from "./Checkpointer.ts"
import * as Committer from "./Committer.ts"
import * as Errands from "./Errands.ts"
import { drawClusterId, identify } from "./Identify.ts"
import * as Life from "./Life.ts"
import { recoverState } from "./Recovery.ts"

import * as Snapshots from "./Snapshots.ts"

/** The program's version, as other nodes and operators see it. */
export const version = "0.1.0"

export interface RaftNode extends Omit<Life.Life, "inbox">, Life.Begun {
  readonly state: NodeState
  readonly address: Address
  /** This node's HTTP address as others see it, or null. */
  readonly http: string | null
  readonly incarnation: Incarnation
  readonly transport: OpenTransport
  readonly committer: Committer.Committer
  readonly checkpointer: Checkpointer.Checkpointer
  readonly snapshots: Snapshots.Snapshots
  readonly stateStore: StateStore["Service"]
}

/** Builds a node and starts it; the scope's end closes it. */
export const make = Effect.fnUntraced(function*(
  settings: Settings
): Effect.fn.Return<RaftNode, StartError, Scope.Scope | Transport | LogStore | StateStore> {
  const transportPort = yield* Transport
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const observer = yield* Observer
  const recovered = yield* (yield* LogStore).recover
  const drawn = yield* identify(settings, recovered)
  const life = yield* Life.make
  const { offer } = life
  const admission = new Admission(settings.limits)
  const transport = yield* transportPort.open(drawn, admission.door(offer))
  const address = settings.advertise ?? transport.address
  transport.introduce({ address, http: settings.http })
  const { hardState, identity, found } = yield* settle(settings, recovered, drawn, address, transport)
  const { log, machine, memberships } = yield* recoverState(found, settings.limits.logWindowBytes)

  const errands = yield* Errands.make(offer)
  const committer = yield* Committer.make(settings.commitTimeout, errands.persisted)
  const snapshots = yield* Snapshots.make({
    offer,
    clusterId: () => state.clusterId,
    bytesPerSecond: settings.limits.snapshotBytesPerSecond
  })
  const state: NodeState = new NodeState({
    id: identity.nodeId,
    incarnation: identity.incarnation,
    publicKey: transportPort.publicKey,
    clusterId: identity.clusterId,
    address,
    http: settings.http,
    refused: identity.refused ?? null,
    ...timingAndLimits(settings),
    admission,
    version,
    hardState,
    log,
    machine,
    memberships,
    transport,
    submit: committer.submit,
    commitBusySince: committer.busySince,
    offer,
    snapshots: snapshots.desk,
    ...errands,
    random: () => random.nextDoubleUnsafe(),
    clock: () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6,
    observer
  })
  const checkpointer = yield* Checkpointer.make({
    machine,
    durableIndex: () => state.durable.index,
    interval: settings.checkpointInterval,
    bytes: settings.checkpointBytes,
    succeeded: () => offer({ _tag: "Checkpointed" })
  })
  const { fail } = yield* life.begin(state, checkpointer, [
    play(state, life.inbox),
    committer.run,
    committer.watch,
    checkpointer.run,
    ...snapshots.loops,
    ...errands.loops(state, identity, transport)
  ])
  const { incarnation } = identity
  const stateStore = yield* StateStore
  const { http } = settings
  return { ...life, fail, state, address, http, incarnation, transport, committer, checkpointer, snapshots, stateStore }
})

const timingAndLimits = ({ checkpointBytes, clockDrift, electionTimeout, heartbeat, limits }: Settings) => ({
  electionTimeout: Duration.toMillis(electionTimeout),
  heartbeat: Duration.toMillis(heartbeat),
  clockDrift,
  limits,
  maxDirtyBytes: 16 * checkpointBytes
})

interface Settled {
  readonly found: RecoveredLog
  readonly hardState: HardState
  readonly identity: Identity
}

/** Makes durable what the first start decides: a drawn port, and the founding of a cluster, however often begun. */
const settle = Effect.fnUntraced(function*(
  settings: Settings,
  recovered: RecoveredLog,
  drawn: Identity,
  address: Address,
  transport: OpenTransport
): Effect.fn.Return<Settled, StartError, LogStore | Transport> {
  const store = yield* LogStore
  const { publicKey } = yield* Transport
  const port = settings.advertise === null ? Number(address.slice(address.lastIndexOf(":") + 1)) : drawn.raftPort
  let identity: Identity = { ...drawn, raftPort: port === 0 ? drawn.raftPort : port }
  if (identity.founding) {
    const { incarnation, nodeId } = identity
    const founder = { id: nodeId, incarnation, publicKey, address, http: settings.http }
    const membership = { ...founding(founder), features: ownFeatures }
    const term = 1 as Term
    const entry = stamp(encodeCommand({ _tag: "Configure", membership }), term, 1 as LogIndex)
    yield* store.write({ hardState: { term, votedFor: null }, entries: [entry] })
    identity = { ...identity, founding: false, clusterId: yield* drawClusterId }
    yield* store.saveIdentity(identity)
    transport.setClusterId(identity.clusterId!)
  } else if (identity.raftPort !== drawn.raftPort) yield* store.saveIdentity(identity)
  const found = recovered.identity === null || drawn.founding ? yield* store.recover : recovered
  if (found.hardState === null) {
    return yield* new StorageFailed({
      message: `this directory has an identity but no term and vote: the log's files are gone. ${howToReplace}`
    })
  }
  return { found, hardState: found.hardState, identity }
})
