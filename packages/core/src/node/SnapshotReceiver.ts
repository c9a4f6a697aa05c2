/** The fiber that keeps, checks and installs the snapshot that a leader sends, one step after the other. */
import { Effect, Queue, type Scope } from "effect"
import type { StorageFailed } from "../DistKvError.ts"
import type { MalformedSnapshot, SnapshotId } from "../domain/Snapshot.ts"
import type { NodeMessage } from "../state/NodeMessage.ts"
import type { SnapshotDesk } from "../state/SnapshotDesk.ts"
import type { IncomingSnapshot, SnapshotUnwritten, StateStore } from "../StateStore.ts"
import { Held } from "./Held.ts"
import type { SnapshotBooks } from "./SnapshotBooks.ts"

type Step =
  | { readonly _tag: "Receive"; readonly id: SnapshotId }
  | { readonly _tag: "Append"; readonly bytes: Uint8Array }
  | { readonly _tag: "Prepare" | "Install" | "Abandon" }

type Offer = (message: NodeMessage) => void

class Receiver {
  readonly steps: Queue.Queue<Step>
  readonly held = new Held<IncomingSnapshot>()
  private readonly store: StateStore["Service"]
  private readonly offer: Offer
  private readonly books: SnapshotBooks
  private id: SnapshotId | null = null
  private kept = 0
  /** When its last byte was there. */
  private wholeAt = 0

  constructor(store: StateStore["Service"], offer: Offer, books: SnapshotBooks, steps: Queue.Queue<Step>) {
    this.store = store
    this.offer = offer
    this.books = books
    this.steps = steps
  }

  readonly run: Effect.Effect<never, StorageFailed> = Effect.gen({ self: this }, function*() {
    while (true) {
      const step = yield* Queue.take(this.steps)
      yield* this.take(step).pipe(
        Effect.catchTag(
          "SnapshotUnwritten",
          (error: SnapshotUnwritten) => Effect.andThen(Effect.logWarning(error.message), this.refuse(false))
        ),
        Effect.catchTag(
          "MalformedSnapshot",
          (error) => Effect.andThen(Effect.logWarning(`a snapshot is refused: ${error.message}`), this.refuse(true))
        )
      )
    }
  })

  private take(step: Step): Effect.Effect<void, SnapshotUnwritten | MalformedSnapshot | StorageFailed> {
    if (step._tag === "Receive") return this.begin(step.id)
    const { held, id } = this
    const { current } = held
    if (id === null || current === null) return Effect.void
    switch (step._tag) {
      case "Append":
        return Effect.map(current.append(step.bytes), () => {
          this.kept += step.bytes.length
          this.books.counters.receivedBytes += step.bytes.length
          this.offer({ _tag: "SnapshotKept", id, bytes: this.kept })
        })
      case "Prepare":
        this.wholeAt = this.books.seconds()
        return Effect.map(current.prepare, (header) => this.offer({ _tag: "SnapshotPrepared", id, header }))
      case "Install":
        return this.install(current)
      case "Abandon":
        this.books.counters.receiving = false
        return held.release
    }
  }

  private begin(id: SnapshotId): Effect.Effect<void, SnapshotUnwritten> {
    this.id = id
    this.kept = 0
    this.books.counters.receiving = true
    return Effect.asVoid(this.held.replace(this.store.receive))
  }

  private readonly install = Effect.fnUntraced({ self: this }, function*(current: IncomingSnapshot) {
    const { counters, seconds } = this.books
    const meta = yield* Effect.uninterruptible(current.install)
    counters.installed++
    counters.installSeconds += seconds() - this.wholeAt
    counters.lastIndex = meta.applied.index
    counters.receiving = false
    this.offer({ _tag: "SnapshotInstalled", meta })
    yield* this.held.release
  })

  private readonly refuse = Effect.fnUntraced({ self: this }, function*(malformed: boolean) {
    const { id } = this
    this.books.counters.failed++
    this.books.counters.receiving = false
    yield* this.held.release
    if (id !== null) this.offer({ _tag: "SnapshotRefused", id, malformed })
  })
}

/** What was received goes with the scope. */
export const receiveSnapshots = Effect.fnUntraced(function*(
  store: StateStore["Service"],
  offer: Offer,
  books: SnapshotBooks
): Effect.fn.Return<
  {
    readonly desk: Pick<SnapshotDesk, "receive" | "append" | "prepare" | "install" | "abandon">
    readonly loops: ReadonlyArray<Effect.Effect<never, StorageFailed>>
  },
  never,
  Scope.Scope
> {
  const steps = yield* Queue.unbounded<Step>()
  const receiver = new Receiver(store, offer, books, steps)
  yield* Effect.addFinalizer(() => receiver.held.release)
  const post = (step: Step) => void Queue.offerUnsafe(steps, step)
  return {
    desk: {
      receive: (id: SnapshotId) => post({ _tag: "Receive", id }),
      append: (bytes: Uint8Array) => post({ _tag: "Append", bytes }),
      prepare: () => post({ _tag: "Prepare" }),
      install: () => post({ _tag: "Install" }),
      abandon: () => post({ _tag: "Abandon" })
    },
    loops: [receiver.run]
  }
})
