/** A node's own state as an observer sees it. */
import type { NodeView } from "../state/Observer.ts"
import { heldBy } from "./heldBy.ts"
import type { NodeState } from "./NodeState.ts"

export const viewOf = (node: NodeState): NodeView => ({
  id: node.id,
  get role() {
    return node.next ?? node.role
  },
  get term() {
    return node.term
  },
  get votedFor() {
    return node.votedFor
  },
  get leader() {
    return node.leader
  },
  get first() {
    return node.log.first
  },
  get last() {
    return node.log.last
  },
  termAt: (index) => node.log.termAt(index),
  entryAt: (index) => node.log.entryAt(index),
  get commit() {
    return node.commit
  },
  get applied() {
    return node.machine.applied
  },
  get revision() {
    return node.machine.revision
  },
  get digest() {
    return node.machine.digest.current
  },
  get membership() {
    return node.membership
  },
  get membershipIndex() {
    return node.memberships.index
  },
  get durable() {
    return node.durable
  },
  get progress() {
    return node.progress
  },
  limits: node.parts.limits,
  get pending() {
    return { writes: node.writes.count, reads: node.reads.count, bytes: node.writes.bytes }
  },
  held: () => heldBy(node)
})
