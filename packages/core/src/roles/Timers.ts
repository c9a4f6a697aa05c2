/**
 * Time as messages: a role's timer lives in the role's scope and posts to the inbox.
 *
 * A timer that fires late (the process was paused, or the event loop blocked) yields once before it speaks, so that
 * messages which already lie in the sockets are read first: the leader's heartbeat may be among them.
 */
import { Clock, Duration, Effect } from "effect"
import type { NodeState } from "./NodeState.ts"

/** Posts `ElectionDue` whenever the deadline, which every contact with the leader moves, is over. */
export const electionTimer = Effect.fnUntraced(function*(node: NodeState): Effect.fn.Return<never> {
  const clock = yield* Clock.Clock
  while (true) {
    const left = node.electionDeadline - node.parts.clock()
    if (left > 0) {
      yield* clock.sleep(Duration.millis(left))
      continue
    }
    if (-left > node.parts.heartbeat) {
      yield* Effect.yieldNow
      if (node.electionDeadline > node.parts.clock()) continue
    }
    node.parts.offer({ _tag: "ElectionDue" })
    yield* clock.sleep(Duration.millis(node.parts.heartbeat))
  }
})

/** Posts `HeartbeatDue` once per heartbeat; after a pause once, not once for each that was missed. */
export const heartbeatTimer = Effect.fnUntraced(function*(node: NodeState): Effect.fn.Return<never> {
  const clock = yield* Clock.Clock
  const { heartbeat } = node.parts
  let due = node.parts.clock() + heartbeat
  while (true) {
    yield* clock.sleep(Duration.millis(Math.max(0, due - node.parts.clock())))
    const late = node.parts.clock() - due
    if (late > heartbeat) yield* Effect.yieldNow
    node.parts.offer({ _tag: "HeartbeatDue" })
    due = Math.max(due + heartbeat, node.parts.clock())
  }
})
