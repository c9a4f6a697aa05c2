/**
 * The fibers that build, read, receive and install snapshots for the owner of the Raft state; what comes of it is
 * posted to the inbox.
 *
 * Files that cannot be written end nothing: what was begun is thrown away and tried again later. Damage of the state
 * does end the node.
 */
import { Clock, Duration, Effect, Exit, Queue, Scope } from "effect"
import type { StorageFailed } from "../DistKvError.ts"
import type { ClusterId, NodeId } from "../domain/Identity.ts"
import { isSameSnapshot, type SnapshotId } from "../domain/Snapshot.ts"
import type { NodeMessage } from "../state/NodeMessage.ts"
import type { SnapshotDesk } from "../state/SnapshotDesk.ts"
import { type IncomingSnapshot, type SnapshotUnwritten, StateStore, type StoredSnapshot } from "../StateStore.ts"

/** How long a snapshot that could not be built is not tried again. */
const buildAgainAfter = Duration.seconds(1)

/** What became of snapshots since the start, for the node's metrics. */
export interface SnapshotCounters {
  built: number
  buildSeconds: number
  sentBytes: number
  receivedBytes: number
  installed: number
  /** From the last byte received to the new state. */
  installSeconds: number
  /** Thrown away: what could not be built, read, kept or prepared. */
  failed: number
  /** The last entry of the one built or installed last; 0 before the first. */
  lastIndex: number
  /** Whether one is being built, and whether one is on its way in. */
  building: boolean
  receiving: boolean
}

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

/** Something that lasts as long as a scope of its own. */
class Held<A> {
  current: A | null = null
  private scope: Scope.Closeable | null = null

  /** Gives back what was held before, and holds what is made anew. */
  readonly replace = <E>(make: Effect.Effect<A, E, Scope.Scope>): Effect.Effect<A, E> =>
    Effect.gen({ self: this }, function*() {
      yield* this.release
      const scope = yield* Scope.make()
      this.scope = scope
      const made = yield* Scope.provide(make, scope)
      this.current = made
      return made
    })

  readonly release: Effect.Effect<void> = Effect.suspend(() => {
    const { scope } = this
    this.current = null
    this.scope = null
    return scope === null ? Effect.void : Scope.close(scope, Exit.void)
  })
}

export const make = Effect.fnUntraced(function*(
  options: SnapshotsOptions
): Effect.fn.Return<Snapshots, never, StateStore | Scope.Scope> {
  const store = yield* StateStore
  const clock = yield* Clock.Clock
  const counters: SnapshotCounters = {
    built: 0,
    buildSeconds: 0,
    sentBytes: 0,
    receivedBytes: 0,
    installed: 0,
    installSeconds: 0,
    failed: 0,
    lastIndex: 0,
    building: false,
    receiving: false
  }
  const books = { counters, seconds: () => Number(clock.monotonicTimeNanosUnsafe()) / 1e9 }
  const outgoing = yield* sender(store, options, books)
  const incoming = yield* receiver(store, options, books)
  return { desk: { ...outgoing.desk, ...incoming.desk }, counters, loops: [...outgoing.loops, ...incoming.loops] }
})

interface Books {
  readonly counters: SnapshotCounters
  /** Monotonic. */
  readonly seconds: () => number
}

const sender = Effect.fnUntraced(function*(
  store: StateStore["Service"],
  { bytesPerSecond, clusterId, offer }: SnapshotsOptions,
  { counters, seconds }: Books
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
      if (current === null || !isSameSnapshot(current.id, id)) continue
      const data = yield* Effect.result(current.read(offset, length))
      if (data._tag === "Failure") {
        // Its file is gone or damaged: another one is built.
        counters.failed++
        yield* Effect.logWarning(data.failure.message)
        yield* held.release
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

type Step =
  | { readonly _tag: "Receive"; readonly id: SnapshotId }
  | { readonly _tag: "Append"; readonly bytes: Uint8Array }
  | { readonly _tag: "Prepare" | "Install" | "Abandon" }

const receiver = Effect.fnUntraced(function*(
  store: StateStore["Service"],
  { offer }: SnapshotsOptions,
  { counters, seconds }: Books
) {
  const held = new Held<IncomingSnapshot>()
  yield* Effect.addFinalizer(() => held.release)
  const steps = yield* Queue.unbounded<Step>()
  let id: SnapshotId | null = null
  let kept = 0
  let whole = 0

  const take = (step: Step) =>
    Effect.gen(function*() {
      if (step._tag === "Receive") {
        id = step.id
        kept = 0
        counters.receiving = true
        yield* held.replace(store.receive)
        return
      }
      const { current } = held
      if (id === null || current === null) return
      switch (step._tag) {
        case "Append":
          yield* current.append(step.bytes)
          kept += step.bytes.length
          counters.receivedBytes += step.bytes.length
          return offer({ _tag: "SnapshotKept", id, bytes: kept })
        case "Prepare":
          whole = seconds()
          return offer({ _tag: "SnapshotPrepared", id, header: yield* current.prepare })
        case "Install": {
          const meta = yield* Effect.uninterruptible(current.install)
          counters.installed++
          counters.installSeconds += seconds() - whole
          counters.lastIndex = meta.applied.index
          counters.receiving = false
          offer({ _tag: "SnapshotInstalled", meta })
          return yield* held.release
        }
        case "Abandon":
          counters.receiving = false
          return yield* held.release
      }
    })
  const refuse = (malformed: boolean) =>
    Effect.gen(function*() {
      const refused = id
      counters.failed++
      counters.receiving = false
      yield* held.release
      if (refused !== null) offer({ _tag: "SnapshotRefused", id: refused, malformed })
    })
  const run = Effect.gen(function*() {
    while (true) {
      const step = yield* Queue.take(steps)
      yield* take(step).pipe(
        Effect.catchTag(
          "SnapshotUnwritten",
          (error: SnapshotUnwritten) => Effect.andThen(Effect.logWarning(error.message), refuse(false))
        ),
        Effect.catchTag(
          "MalformedSnapshot",
          (error) => Effect.andThen(Effect.logWarning(`a snapshot is refused: ${error.message}`), refuse(true))
        )
      )
    }
  })
  const post = (step: Step) => void Queue.offerUnsafe(steps, step)
  return {
    desk: {
      receive: (begun: SnapshotId) => post({ _tag: "Receive", id: begun }),
      append: (bytes: Uint8Array) => post({ _tag: "Append", bytes }),
      prepare: () => post({ _tag: "Prepare" }),
      install: () => post({ _tag: "Install" }),
      abandon: () => post({ _tag: "Abandon" })
    },
    loops: [run]
  }
})
