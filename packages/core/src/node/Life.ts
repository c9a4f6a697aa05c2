/**
 * Whether a node lives: its inbox takes messages and its fibers run until it is closed, or until the first of them
 * fails. Then everybody who waits is answered, and nobody is served any more.
 */
import { Cause, Deferred, Duration, Effect, Exit, type Fiber, Queue, type Scope } from "effect"
import { Shutdown, StorageFailed } from "../DistKvError.ts"
import type { NodeState } from "../roles/NodeState.ts"
import type { NodeMessage } from "../state/NodeMessage.ts"
import type { Checkpointer } from "./Checkpointer.ts"
import { settleAll } from "./Ending.ts"

export interface Life {
  readonly inbox: Queue.Queue<NodeMessage>
  readonly offer: (message: NodeMessage) => void
  /** Why calls are refused; null while the node serves. */
  readonly refusal: () => Shutdown | StorageFailed | null
  readonly isClosing: () => boolean
  readonly stopped: Effect.Effect<void, StorageFailed>
}

/** A life with fibers of its own. */
export interface Begun {
  /** Ends it because its storage turned out to be damaged. */
  readonly fail: (reason: StorageFailed) => void
}

interface Bearing extends Life {
  /** Runs the loops until the scope closes, and then closes gracefully, or until the first of them fails. */
  readonly begin: <R>(
    state: NodeState,
    checkpointer: Checkpointer,
    loops: ReadonlyArray<Effect.Effect<unknown, StorageFailed, R>>
  ) => Effect.Effect<Begun, never, R | Scope.Scope>
}

export const make: Effect.Effect<Bearing> = Effect.gen(function*() {
  const inbox = yield* Queue.unbounded<NodeMessage>()
  const stopped = yield* Deferred.make<void, StorageFailed>()
  let refusal: Shutdown | StorageFailed | null = null
  let closing = false
  // Nobody reads the inbox of a node that has stopped, though its transport may still be open.
  const offer = (message: NodeMessage): void => {
    if (refusal === null) Queue.offerUnsafe(inbox, message)
  }
  const stop = (state: NodeState, reason: Shutdown | StorageFailed): void => {
    if (refusal !== null) return
    refusal = reason
    settleAll(state, unreadOf(inbox), reason)
    Deferred.doneUnsafe(stopped, reason._tag === "StorageFailed" ? Effect.fail(reason) : Effect.void)
  }
  const begin = Effect.fnUntraced(function*<R>(
    state: NodeState,
    checkpointer: Checkpointer,
    loops: ReadonlyArray<Effect.Effect<unknown, StorageFailed, R>>
  ): Effect.fn.Return<Begun, never, R | Scope.Scope> {
    const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
    const fail = (reason: StorageFailed): void => {
      stop(state, reason)
      for (const fiber of fibers) fiber.interruptUnsafe()
    }
    const failWith = (cause: Cause.Cause<StorageFailed>) =>
      Effect.gen(function*() {
        if (Cause.hasInterruptsOnly(cause)) return
        const reason = failureOf(cause)
        yield* Effect.logError(`this node stops: ${reason.message}`)
        fail(reason)
      })
    for (const loop of loops) fibers.push(yield* Effect.forkScoped(Effect.catchCause(loop, failWith)))
    // Added last, so that it runs while the fibers still do.
    yield* Effect.addFinalizer(() =>
      Effect.gen(function*() {
        closing = true
        if (refusal === null) yield* close(state, offer, checkpointer.last(() => refusal !== null))
        stop(state, new Shutdown())
      })
    )
    return { fail }
  })
  return {
    inbox,
    offer,
    refusal: () => refusal,
    isClosing: () => closing,
    stopped: Deferred.await(stopped),
    begin
  }
})

/** Leadership is handed over, and what is under way finished, each within its time; then the state is checkpointed. */
const close = Effect.fnUntraced(function*(
  state: NodeState,
  offer: (message: NodeMessage) => void,
  lastCheckpoint: Effect.Effect<void, StorageFailed>
): Effect.fn.Return<void> {
  const patience = Duration.millis(state.parts.electionTimeout)
  const handedOver = yield* Deferred.make<void>()
  offer({ _tag: "Close", done: () => void Deferred.doneUnsafe(handedOver, Effect.void) })
  yield* Effect.timeoutOption(Deferred.await(handedOver), patience)
  const idle = Effect.gen(function*() {
    while (!state.writes.isIdle) yield* Effect.sleep(Duration.millis(5))
  })
  yield* Effect.timeoutOption(idle, patience)
  yield* Effect.catch(lastCheckpoint, (error) => Effect.logError(`the last checkpoint failed: ${error.message}`))
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
