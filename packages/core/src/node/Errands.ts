/**
 * What a node does beside its roles: reading back what the state machine still needs, keeping the cluster's id,
 * sweeping deadlines, looking at the disk's space. Each is a loop of its own; what it finds comes back as a message.
 */
import { Duration, Effect, Queue } from "effect"
import type { StorageFailed } from "../DistKvError.ts"
import type { ClusterId, Identity, Refusal } from "../domain/Identity.ts"
import type { LogIndex } from "../domain/Position.ts"
import { LogStore } from "../LogStore.ts"
import type { NodeState } from "../roles/NodeState.ts"
import type { NodeMessage, Persisted } from "../state/NodeMessage.ts"
import type { OpenTransport } from "../Transport.ts"
import * as SpaceWatch from "./SpaceWatch.ts"

/** How often deadlines are swept while requests wait. */
const sweepEvery = Duration.millis(50)
/** Bytes read back at once for the state machine. */
const applyPageBytes = 1024 * 1024

export interface Errands {
  /** Asks for entries of the log for the state machine; a later wish replaces one that was not begun. */
  readonly readForApply: (from: LogIndex, to: LogIndex) => void
  /** Drops the beginning of the log from the disk; a later wish includes an earlier one. */
  readonly compact: (to: LogIndex) => void
  /** Makes the id of the cluster that admitted this node durable. */
  readonly adopt: (clusterId: ClusterId) => void
  /** Makes it durable that the cluster refuses this node. */
  readonly saveRefusal: (reason: Refusal) => void
  /** The log has grown durably by so many bytes: passes it on to the node. */
  readonly persisted: (message: Persisted, bytes: number) => void
  /** From now on a request waits: deadlines are swept until none does. */
  readonly watchDeadlines: () => void
  /** The loops, once there is a node to run them for. */
  readonly loops: (
    state: NodeState,
    identity: Identity,
    transport: OpenTransport
  ) => ReadonlyArray<Effect.Effect<never, StorageFailed>>
}

/** What a node learns of itself, each at most once in its life. */
type News = { readonly clusterId: ClusterId } | { readonly refused: Refusal }

export const make = Effect.fnUntraced(function*(
  offer: (message: NodeMessage) => void
): Effect.fn.Return<Errands, never, LogStore> {
  const store = yield* LogStore
  const reads = yield* Queue.sliding<readonly [LogIndex, LogIndex]>(1)
  const news = yield* Queue.unbounded<News>()
  const sweeps = yield* Queue.sliding<true>(1)
  const space = yield* SpaceWatch.make(offer)
  const compactions = yield* Queue.sliding<LogIndex>(1)
  let sweeping = false

  const compact = Effect.gen(function*() {
    while (true) yield* store.compact(yield* Queue.take(compactions))
  })

  const readForApply = Effect.gen(function*() {
    while (true) {
      const [from, to] = yield* Queue.take(reads)
      const entries = yield* store.read(from, to, applyPageBytes)
      offer({ _tag: "EntriesRead", to: null, entries })
    }
  })
  const keepIdentity = (first: Identity, transport: OpenTransport) =>
    Effect.gen(function*() {
      let identity = first
      while (true) {
        const change = yield* Queue.take(news)
        identity = { ...identity, ...change }
        yield* Effect.uninterruptible(store.saveIdentity(identity))
        if (!("clusterId" in change)) continue
        transport.setClusterId(change.clusterId)
        offer({ _tag: "Adopted", clusterId: change.clusterId })
      }
    })
  const sweep = (state: NodeState) =>
    Effect.gen(function*() {
      while (true) {
        yield* Queue.take(sweeps)
        while (!state.isIdle) {
          yield* Effect.sleep(sweepEvery)
          offer({ _tag: "SweepDue" })
        }
        sweeping = false
      }
    })
  return {
    compact: (to) => void Queue.offerUnsafe(compactions, to),
    readForApply: (from, to) => void Queue.offerUnsafe(reads, [from, to] as const),
    adopt: (clusterId) => void Queue.offerUnsafe(news, { clusterId }),
    saveRefusal: (refused) => void Queue.offerUnsafe(news, { refused }),
    persisted: (message, bytes) => {
      space.written(bytes)
      offer(message)
    },
    watchDeadlines: () => {
      if (sweeping) return
      sweeping = true
      Queue.offerUnsafe(sweeps, true)
    },
    loops: (
      state,
      identity,
      transport
    ) => [readForApply, compact, keepIdentity(identity, transport), sweep(state), space.run(state)]
  }
})
