/**
 * The life of a node: it recovers what its disk holds, opens its transport, forks its fibers, plays roles for ever, and
 * closes gracefully. The first failure of the storage, and any defect, ends it: it answers nobody any more and says
 * why.
 */
import { Cause, Clock, Deferred, Duration, Effect, Exit, type Fiber, Queue, Random, type Scope } from "effect"
import { Shutdown, type StartError, StorageFailed } from "../DistKvError.ts"
import type { Settings } from "../DistKvSettings.ts"
import { encodeCommand } from "../domain/CommandCodec.ts"
import type { Address, ClusterId, Identity, Incarnation } from "../domain/Identity.ts"
import type { LogIndex, Term } from "../domain/Position.ts"
import { stamp } from "../domain/RecordCodec.ts"
import { LogStore, type RecoveredLog } from "../LogStore.ts"
import { NodeState } from "../roles/NodeState.ts"
import { play } from "../roles/play.ts"
import { founding } from "../rules/Reconfiguration.ts"
import type { NodeMessage } from "../state/NodeMessage.ts"
import { Observer } from "../state/Observer.ts"
import type { StateStore } from "../StateStore.ts"
import { type OpenTransport, Transport } from "../Transport.ts"
import * as Checkpointer from "./Checkpointer.ts"
import * as Committer from "./Committer.ts"
import { settleAll } from "./Ending.ts"
import { drawClusterId, identify } from "./Identify.ts"
import { recoverState } from "./Recovery.ts"

/** The program's version, as other nodes and operators see it. */
export const version = "0.1.0"

/** How often deadlines are swept while requests wait. */
const sweepEvery = Duration.millis(50)
/** How often the disk's free space is looked at. */
const spaceEvery = Duration.seconds(1)
/** Bytes read back at once for the state machine. */
const applyPageBytes = 1024 * 1024

export interface RaftNode {
  readonly state: NodeState
  readonly address: Address
  /** This node's HTTP address as others see it, or null. */
  readonly http: string | null
  readonly incarnation: Incarnation
  readonly transport: OpenTransport
  readonly committer: Committer.Committer
  readonly checkpointer: Checkpointer.Checkpointer
  readonly offer: (message: NodeMessage) => void
  /** Why calls are refused; null while the node serves. */
  readonly refusal: () => Shutdown | StorageFailed | null
  readonly isClosing: () => boolean
  /** Ends the node because its storage turned out to be damaged. */
  readonly fail: (reason: StorageFailed) => void
  readonly stopped: Effect.Effect<void, StorageFailed>
}

/** Builds a node and starts it; the scope's end closes it. */
export const make = Effect.fnUntraced(function*(
  settings: Settings
): Effect.fn.Return<RaftNode, StartError, Scope.Scope | Transport | LogStore | StateStore> {
  const logStore = yield* LogStore
  const transportPort = yield* Transport
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const observer = yield* Observer
  const recovered = yield* logStore.recover
  const drawn = yield* identify(settings, recovered)
  const inbox = yield* Queue.unbounded<NodeMessage>()
  let refusal: Shutdown | StorageFailed | null = null
  // Nobody reads the inbox of a node that has stopped, though its transport may still be open.
  const offer = (message: NodeMessage): void => {
    if (refusal === null) Queue.offerUnsafe(inbox, message)
  }
  const transport = yield* transportPort.open(drawn, (envelope) => offer({ _tag: "Peer", envelope }))
  const address = settings.advertise ?? transport.address
  const { found, identity } = yield* settle(settings, recovered, drawn, address, transport)
  const { log, machine, memberships } = yield* recoverState(found, settings.limits.logWindowBytes)
  if (found.hardState === null) {
    return yield* new StorageFailed({
      message: "this directory has an identity but no term and vote: the log's files are gone. " +
        "Restore the whole directory, or join as a new node with an empty one"
    })
  }
  const stopped = yield* Deferred.make<void, StorageFailed>()
  const applyReads = yield* Queue.sliding<readonly [LogIndex, LogIndex]>(1)
  const adoptions = yield* Queue.sliding<ClusterId>(1)
  const sweeps = yield* Queue.sliding<true>(1)
  let closing = false
  let sweeping = false

  const committer = yield* Committer.make(settings.commitTimeout, offer)
  const watchDeadlines = (): void => {
    if (sweeping) return
    sweeping = true
    Queue.offerUnsafe(sweeps, true)
  }
  const state = new NodeState({
    id: identity.nodeId,
    incarnation: identity.incarnation,
    publicKey: transportPort.publicKey,
    clusterId: identity.clusterId,
    electionTimeout: Duration.toMillis(settings.electionTimeout),
    heartbeat: Duration.toMillis(settings.heartbeat),
    limits: settings.limits,
    version,
    hardState: found.hardState,
    log,
    machine,
    memberships,
    transport,
    submit: committer.submit,
    commitBusySince: committer.busySince,
    offer,
    watchDeadlines,
    readForApply: (from, to) => void Queue.offerUnsafe(applyReads, [from, to] as const),
    adopt: (clusterId) => void Queue.offerUnsafe(adoptions, clusterId),
    random: () => random.nextDoubleUnsafe(),
    clock: () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6,
    observer
  })
  if (memberships.current.members.length > 0) transport.setMembership(memberships.current)
  const checkpointer = yield* Checkpointer.make({
    machine,
    durableIndex: () => state.durable.index,
    interval: settings.checkpointInterval,
    bytes: settings.checkpointBytes
  })

  const readForApply = Effect.gen(function*() {
    while (true) {
      const [from, to] = yield* Queue.take(applyReads)
      const entries = yield* logStore.read(from, to, applyPageBytes)
      offer({ _tag: "EntriesRead", to: null, entries })
    }
  })
  const adopt = Effect.gen(function*() {
    while (true) {
      const clusterId = yield* Queue.take(adoptions)
      yield* Effect.uninterruptible(logStore.saveIdentity({ ...identity, clusterId }))
      transport.setClusterId(clusterId)
      offer({ _tag: "Adopted", clusterId })
    }
  })
  const sweep = Effect.gen(function*() {
    while (true) {
      yield* Queue.take(sweeps)
      while (!state.isIdle) {
        yield* Effect.sleep(sweepEvery)
        offer({ _tag: "SweepDue" })
      }
      sweeping = false
    }
  })
  const watchSpace = Effect.gen(function*() {
    while (true) {
      const left = yield* logStore.spaceLeft
      if (left === null) return yield* Effect.never
      const full = left <= 0
      if (full !== state.diskFull) offer({ _tag: "SpaceChanged", full, bytes: left })
      yield* Effect.sleep(spaceEvery)
    }
  })

  const stop = (reason: Shutdown | StorageFailed): void => {
    if (refusal !== null) return
    refusal = reason
    settleAll(state, unreadOf(inbox), reason)
    Deferred.doneUnsafe(stopped, reason._tag === "StorageFailed" ? Effect.fail(reason) : Effect.void)
  }
  const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
  const failNow = (reason: StorageFailed): void => {
    stop(reason)
    for (const fiber of fibers) fiber.interruptUnsafe()
  }
  const fail = (cause: Cause.Cause<StorageFailed>) =>
    Effect.gen(function*() {
      if (Cause.hasInterruptsOnly(cause)) return
      const reason = failureOf(cause)
      yield* Effect.logError(`this node stops: ${reason.message}`)
      failNow(reason)
    })
  const loops = [
    play(state, inbox),
    committer.run,
    committer.watch,
    checkpointer.run,
    readForApply,
    adopt,
    sweep,
    watchSpace
  ]
  for (const loop of loops) fibers.push(yield* Effect.forkScoped(Effect.catchCause(loop, fail)))
  // Added last, so that it runs while the fibers still do.
  yield* Effect.addFinalizer(() =>
    Effect.gen(function*() {
      closing = true
      if (refusal === null) yield* close(state, offer, checkpointer)
      stop(new Shutdown())
    })
  )

  return {
    state,
    address,
    http: settings.http,
    incarnation: identity.incarnation,
    transport,
    committer,
    checkpointer,
    offer,
    refusal: () => refusal ?? null,
    isClosing: () => closing,
    fail: failNow,
    stopped: Deferred.await(stopped)
  }
})

interface Settled {
  readonly found: RecoveredLog
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
    const membership = founding({ id: nodeId, incarnation, publicKey, address, http: settings.http })
    const term = 1 as Term
    const entry = stamp(encodeCommand({ _tag: "Configure", membership }), term, 1 as LogIndex)
    yield* store.write({ hardState: { term, votedFor: null }, entries: [entry] })
    identity = { ...identity, founding: false, clusterId: yield* drawClusterId }
    yield* store.saveIdentity(identity)
    transport.setClusterId(identity.clusterId!)
  } else if (identity.raftPort !== drawn.raftPort) yield* store.saveIdentity(identity)
  const found = recovered.identity === null || drawn.founding ? yield* store.recover : recovered
  return { found, identity }
})

/** Leadership is handed over, and what is under way finished, each within its time; then the state is checkpointed. */
const close = Effect.fnUntraced(function*(
  state: NodeState,
  offer: (message: NodeMessage) => void,
  checkpointer: Checkpointer.Checkpointer
): Effect.fn.Return<void> {
  const patience = Duration.millis(state.parts.electionTimeout)
  const handedOver = yield* Deferred.make<void>()
  offer({ _tag: "Close", done: () => void Deferred.doneUnsafe(handedOver, Effect.void) })
  yield* Effect.timeoutOption(Deferred.await(handedOver), patience)
  const idle = Effect.gen(function*() {
    while (!state.writes.isIdle) yield* Effect.sleep(Duration.millis(5))
  })
  yield* Effect.timeoutOption(idle, patience)
  yield* Effect.catch(checkpointer.last, (error) => Effect.logError(`the last checkpoint failed: ${error.message}`))
})

/** Takes whatever no role has read. */
const unreadOf = (inbox: Queue.Queue<NodeMessage>): ReadonlyArray<NodeMessage> => {
  const unread: Array<NodeMessage> = []
  while (true) {
    const next = Queue.takeUnsafe(inbox)
    if (next === undefined || Exit.isFailure(next)) return unread
    unread.push(next.value)
  }
}

/** The storage's own failure where there is one; else what went wrong in the program, which ends the node as well. */
const failureOf = (cause: Cause.Cause<StorageFailed>): StorageFailed => {
  const reason = Cause.squash(cause)
  if (reason instanceof StorageFailed) return reason
  return new StorageFailed({ message: `the program failed: ${Cause.pretty(cause)}`, cause: reason })
}
