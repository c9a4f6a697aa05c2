/**
 * The fibers that build, read, receive and install snapshots for the owner of the Raft state; what comes of it is
 * posted to the inbox. Here are those that build and read; `SnapshotReceiver.ts` has the other one.
 *
 * Files that cannot be written end nothing: what was begun is thrown away and tried again later. Damage of the state
 * does end the node.
 */
import { Clock, Duration, Effect, Queue, type Scope } from "effect"
import type { StorageFailed } from "../DistKvError.ts"
import type { ClusterId, NodeId } from "../domain/Identity.ts"
import { isSameSnapshot, type SnapshotId } from "../domain/Snapshot.ts"
import type { NodeMessage } from "../state/NodeMessage.ts"
import type { SnapshotDesk } from "../state/SnapshotDesk.ts"
import { StateStore, type StoredSnapshot } from "../StateStore.ts"
import { Held } from "./Held.ts"
import { type SnapshotBooks, type SnapshotCounters, zeroSnapshotCounters } from "./SnapshotBooks.ts"
import { receiveSnapshots } from "./SnapshotReceiver.ts"

/** How long a snapshot that could not be built is not tried again. */
const buildAgainAfter = Duration.seconds(1)

export interface Snapshots {
  readonly desk: SnapshotDesk
  readonly counters: Readonly<SnapshotCounters>
  readonly loops: ReadonlyArray<Effect.Effect<never, StorageFailed>>
}

interface Wanted {
  readonly to: NodeId
  readonly id: SnapshotId
  readonly offset: number
  readonly length: number
}

export interface SnapshotsOptions {
  readonly offer: (message: NodeMessage) => void
  readonly clusterId: () => ClusterId | null
  /** Snapshots are read at most this fast, for all followers together. */
  readonly bytesPerSecond: number
}

export const make = Effect.fnUntraced(function*(
  options: SnapshotsOptions
): Effect.fn.Return<Snapshots, never, StateStore | Scope.Scope> {
  const store = yield* StateStore
  const clock = yield* Clock.Clock
  const counters = zeroSnapshotCounters()
  const books = { counters, seconds: () => Number(clock.monotonicTimeNanosUnsafe()) / 1e9 }
  const outgoing = yield* sender(store, options, books)
  const incoming = yield* receiveSnapshots(store, options.offer, books)
  return { desk: { ...outgoing.desk, ...incoming.desk }, counters, loops: [...outgoing.loops, ...incoming.loops] }
})

const sender = Effect.fnUntraced(function*(
  store: StateStore["Service"],
  { bytesPerSecond, clusterId, offer }: SnapshotsOptions,
  { counters, seconds }: SnapshotBooks
) {
  const held = new Held<StoredSnapshot | null>()
  yield* Effect.addFinalizer(() => held.release)
  const builds = yield* Queue.sliding<"build" | "drop">(1)
  const reads = yield* Queue.unbounded<Wanted>()
  const build = Effect.gen(function*() {
    while (true) {
      if ((yield* Queue.take(builds)) === "drop") {
        yield* held.release
        continue
      }
      const began = seconds()
      counters.building = true
      const built = yield* Effect.result(held.replace(store.snapshot(clusterId())))
      counters.building = false
      counters.buildSeconds += seconds() - began
      if (built._tag === "Success") {
        if (built.success !== null) {
          counters.built++
          counters.lastIndex = built.success.id.last.index
        }
      } else if (built.failure._tag === "StorageFailed") return yield* built.failure
      else {
        counters.failed++
        yield* Effect.logWarning(`no snapshot was built, and it is tried again: ${built.failure.message}`)
        yield* Effect.sleep(buildAgainAfter)
      }
      offer({ _tag: "SnapshotBuilt" })
    }
  })
  const read = Effect.gen(function*() {
    while (true) {
      const { id, length, offset, to } = yield* Queue.take(reads)
      const { current } = held
      // Whoever asked would wait for ever: the next snapshot may have the very same id.
      const isGone = () => offer({ _tag: "SnapshotRead", to, id, offset, data: new Uint8Array(0) })
      if (current === null || !isSameSnapshot(current.id, id)) {
        isGone()
        continue
      }
      const data = yield* Effect.result(current.read(offset, length))
      if (data._tag === "Failure") {
        // Where another one has taken its place its file is gone; else it is damaged, and another one is built.
        if (held.current === current) {
          counters.failed++
          yield* Effect.logWarning(data.failure.message)
          yield* held.release
        }
        isGone()
        continue
      }
      counters.sentBytes += data.success.length
      offer({ _tag: "SnapshotRead", to, id, offset, data: data.success })
      yield* Effect.sleep(Duration.millis(data.success.length / bytesPerSecond * 1000))
    }
  })
  return {
    desk: {
      current: () => held.current?.id ?? null,
      build: () => void Queue.offerUnsafe(builds, "build"),
      drop: () => void Queue.offerUnsafe(builds, "drop"),
      read: (to: NodeId, id: SnapshotId, offset: number, length: number) =>
        void Queue.offerUnsafe(reads, { to, id, offset, length })
    },
    loops: [build, read]
  }
})
