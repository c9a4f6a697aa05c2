/**
 * How a leader loses its vote (thesis §4.2.2): where another can take over it does so first, and is asked for the
 * change; else the leader makes it itself, without counting itself, and leads no more once it is committed.
 */
import type { AdminResult } from "../domain/PeerMessage.ts"
import type { Administer } from "../state/NodeMessage.ts"
import type { ChangeCommand, Changes } from "./Changes.ts"
import type { Handover } from "./Handover.ts"
import type { NodeState } from "./NodeState.ts"

/** This leader is asked for a change by which it loses its vote. Returns whether writes that are held may go on. */
export const leave = (
  node: NodeState,
  changes: Changes,
  handover: Handover,
  request: Administer,
  command: ChangeCommand
): boolean => {
  const askHere = () => changes.ask(request, command)
  if (changes.changeOf(command)._tag !== "Change") {
    askHere()
    return false
  }
  const done = (result: AdminResult) => {
    if (result._tag !== "Transferred" && node.role === "Leader" && node.next === null) return askHere()
    // Another node asks the successor itself: the answer could not come back by way of one that is removed.
    if (request.hops > 0) request.done({ _tag: "NotLeader" })
    else node.waitForLeader(request)
  }
  return handover.order({ deadline: request.deadline, done }, null)
}

/** The entry by which this node loses its vote is committed: it tells the best of the voters to go on. */
export const resign = (node: NodeState, handover: Handover): void => {
  node.leaseUntil = Number.NEGATIVE_INFINITY
  handover.tellBest()
  node.become("Follower")
}

/** What callers of other nodes asked of this leader and it held: they ask its successor themselves. */
export const sendBack = (node: NodeState): void => {
  for (const write of node.writes.takeParked()) {
    if (write.phase !== "Parked") continue
    // By way of a node that may be on its way out of the cluster the answer could be lost.
    if (write.origin === null) node.writes.park(write)
    else node.writes.turnBack(write)
  }
}
