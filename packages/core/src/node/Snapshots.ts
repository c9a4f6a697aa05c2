/**
 * The fibers that build, read, receive and install snapshots for the owner of the Raft state; what comes of it is
 * posted to the inbox.
 *
 * Files that cannot be written end nothing: what was begun is thrown away and tried again later. Damage of the state
 * does end the node.
 */
import { Duration, Effect, Exit, Queue, Scope } from "effect"
import type { StorageFailed } from "../DistKvError.ts"
import type { ClusterId, NodeId } from "../domain/Identity.ts"
import { isSameSnapshot, type SnapshotId } from "../domain/Snapshot.ts"
import type { NodeMessage } from "../state/NodeMessage.ts"
import type { SnapshotDesk } from "../state/SnapshotDesk.ts"
import { type IncomingSnapshot, type SnapshotUnwritten, StateStore, type StoredSnapshot } from "../StateStore.ts"

/** How long a snapshot that could not be built is not tried again. */
const buildAgainAfter = Duration.seconds(1)

export interface Snapshots {
  readonly desk: SnapshotDesk
  readonly counters: { built: number; sentBytes: number; receivedBytes: number }
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
  const counters = { built: 0, sentBytes: 0, receivedBytes: 0 }
  const outgoing = yield* sender(store, options, counters)
  const incoming = yield* receiver(store, options, counters)
  return { desk: { ...outgoing.desk, ...incoming.desk }, counters, loops: [...outgoing.loops, ...incoming.loops] }
})

type Counters = Snapshots["counters"]

const sender = Effect.fnUntraced(function*(
  store: StateStore["Service"],
  { bytesPerSecond, clusterId, offer }: SnapshotsOptions,
  counters: Counters
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
      const built = yield* Effect.result(held.replace(store.snapshot(clusterId())))
      if (built._tag === "Success") counters.built++
      else if (built.failure._tag === "StorageFailed") return yield* built.failure
      else {
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
  counters: Counters
) {
  const held = new Held<IncomingSnapshot>()
  yield* Effect.addFinalizer(() => held.release)
  const steps = yield* Queue.unbounded<Step>()
  let id: SnapshotId | null = null
  let kept = 0

  const take = (step: Step) =>
    Effect.gen(function*() {
      if (step._tag === "Receive") {
        id = step.id
        kept = 0
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
          return offer({ _tag: "SnapshotPrepared", id, header: yield* current.prepare })
        case "Install": {
          const meta = yield* Effect.uninterruptible(current.install)
          offer({ _tag: "SnapshotInstalled", meta })
          return yield* held.release
        }
        case "Abandon":
          return yield* held.release
      }
    })
  const refuse = (malformed: boolean) =>
    Effect.gen(function*() {
      const refused = id
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
