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
import type { NodeMessage } from "../state/NodeMessage.ts"
import type { OpenTransport } from "../Transport.ts"

/** How often deadlines are swept while requests wait. */
const sweepEvery = Duration.millis(50)
/** How often the disk's free space is looked at. */
const spaceEvery = Duration.seconds(1)
/**
 * Or as soon as a commit may have used this part of the space that was left then: what is written to the log is written
 * to the state too, and a disk can fill faster than once a second.
 */
const partsOfSpace = 8
/** Bytes read back at once for the state machine. */
const applyPageBytes = 1024 * 1024

export interface Errands {
  /** Asks for entries of the log for the state machine; a later wish replaces one that was not begun. */
  readonly readForApply: (from: LogIndex, to: LogIndex) => void
  /** Makes the id of the cluster that admitted this node durable. */
  readonly adopt: (clusterId: ClusterId) => void
  /** Makes it durable that the cluster refuses this node. */
  readonly saveRefusal: (reason: Refusal) => void
  /** The log has grown by so many bytes. */
  readonly written: (bytes: number) => void
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
  const looks = yield* Queue.sliding<true>(1)
  let lookAfter = Number.POSITIVE_INFINITY
  let sweeping = false

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
  const watchSpace = (state: NodeState) =>
    Effect.gen(function*() {
      while (true) {
        const left = yield* store.spaceLeft
        if (left === null) return yield* Effect.never
        const full = left <= 0
        if (full !== state.diskFull) offer({ _tag: "SpaceChanged", full, bytes: left })
        if (full) yield* Effect.sleep(spaceEvery)
        else {
          lookAfter = left / partsOfSpace
          yield* Effect.raceFirst(Effect.sleep(spaceEvery), Queue.take(looks))
          lookAfter = Number.POSITIVE_INFINITY
        }
      }
    })

  return {
    readForApply: (from, to) => void Queue.offerUnsafe(reads, [from, to] as const),
    adopt: (clusterId) => void Queue.offerUnsafe(news, { clusterId }),
    saveRefusal: (refused) => void Queue.offerUnsafe(news, { refused }),
    written: (bytes) => {
      lookAfter -= bytes
      if (lookAfter <= 0) Queue.offerUnsafe(looks, true)
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
    ) => [readForApply, keepIdentity(identity, transport), sweep(state), watchSpace(state)]
  }
})
