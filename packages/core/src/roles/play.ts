/**
 * Plays one role after another, for ever: the only fiber that changes a node's Raft state.
 *
 * Each role takes everything that waits in the inbox, handles each message by plain synchronous code, and ends the turn
 * with one flush. A role's timers and peer fibers live in its scope and end with it. The unread rest of a batch belongs
 * to the next role.
 */
import { Effect, FiberMap, Queue, type Scope } from "effect"
import type { StorageFailed } from "../DistKvError.ts"
import type { NodeId } from "../domain/Identity.ts"
import type { LogIndex } from "../domain/Position.ts"
import { LogStore } from "../LogStore.ts"
import type { NodeMessage } from "../state/NodeMessage.ts"
import { Candidate } from "./Candidate.ts"
import { Follower } from "./Follower.ts"
import { Leader } from "./Leader.ts"
import type { NodeState } from "./NodeState.ts"
import { electionTimer, heartbeatTimer } from "./Timers.ts"

type Inbox = Queue.Queue<NodeMessage>

/** What the pump needs of a role. */
export interface Player {
  readonly step: (message: NodeMessage) => void
  readonly flush: () => void
}

/** Messages handled in one turn at most; the rest waits until sockets and timers had theirs. */
const messagesPerTurn = 4096
/** Bytes read back at once for a follower that lags behind the memory window. */
const catchUpBytes = 1024 * 1024

export const play = Effect.fnUntraced(function*(
  node: NodeState,
  inbox: Inbox
): Effect.fn.Return<never, StorageFailed, LogStore> {
  while (true) {
    const role = node.role
    yield* Effect.scoped(
      role === "Leader" ? lead(node, inbox) : role === "Candidate" ? campaign(node, inbox) : follow(node, inbox)
    )
    yield* Effect.logDebug(`${node.id} ${role} -> ${node.role} in term ${node.term}`)
  }
})

const follow = Effect.fnUntraced(function*(node: NodeState, inbox: Inbox): Effect.fn.Return<void, never, Scope.Scope> {
  yield* Effect.forkScoped(electionTimer(node))
  yield* pump(node, inbox, new Follower(node))
})

const campaign = Effect.fnUntraced(
  function*(node: NodeState, inbox: Inbox): Effect.fn.Return<void, never, Scope.Scope> {
    const candidate = new Candidate(node)
    yield* Effect.forkScoped(electionTimer(node))
    yield* pump(node, inbox, candidate)
  }
)

const lead = Effect.fnUntraced(function*(
  node: NodeState,
  inbox: Inbox
): Effect.fn.Return<void, StorageFailed, Scope.Scope | LogStore> {
  const store = yield* LogStore
  const peers = yield* FiberMap.make<NodeId, void, StorageFailed>()
  const fork = yield* FiberMap.runtime(peers)()
  const readForPeer = (id: NodeId, from: LogIndex) => {
    fork(
      id,
      store.read(from, node.log.last, catchUpBytes).pipe(
        Effect.map((entries) => node.parts.offer({ _tag: "EntriesRead", to: id, entries }))
      )
    )
  }
  const leader = new Leader(node, readForPeer)
  yield* Effect.forkScoped(heartbeatTimer(node))
  // A peer's fiber that fails has found the log damaged: that ends the node, not only the fiber.
  yield* Effect.raceFirst(pump(node, inbox, leader), Effect.andThen(FiberMap.join(peers), Effect.never))
  leader.end()
})

/** Feeds a role until it names the next one. */
const pump = Effect.fnUntraced(function*(node: NodeState, inbox: Inbox, player: Player): Effect.fn.Return<void> {
  player.flush()
  while (node.next === null) {
    let batch: ReadonlyArray<NodeMessage> = node.carry
    if (batch.length > 0) node.carry = []
    else {
      batch = yield* Queue.takeAll(inbox)
      node.parts.admission.emptied()
    }
    if (batch.length > messagesPerTurn) {
      node.carry = batch.slice(messagesPerTurn)
      batch = batch.slice(0, messagesPerTurn)
    }
    node.now = node.parts.clock()
    node.batch = batch
    runBatch(node, player, batch)
    node.batch = []
    if (node.carry.length > 0 && node.next === null) yield* Effect.yieldNow
  }
  node.role = node.next
  node.next = null
})

/** Hands a batch to a role, up to the message that ends the role; then ends the turn. */
export const runBatch = (node: NodeState, player: Player, batch: ReadonlyArray<NodeMessage>): void => {
  for (let i = 0; i < batch.length; i++) {
    player.step(batch[i]!)
    if (node.next === null) continue
    node.carry = [...batch.slice(node.redeliver ? i : i + 1), ...node.carry]
    node.redeliver = false
    break
  }
  player.flush()
}
