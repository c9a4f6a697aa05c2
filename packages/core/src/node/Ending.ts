/** How a node ends: everybody who waits for it is answered, in whatever stage their request is. */
import { OutcomeUnknown, type Shutdown, type StorageFailed } from "../DistKvError.ts"
import type { NodeState } from "../roles/NodeState.ts"
import type { NodeMessage } from "../state/NodeMessage.ts"

/**
 * Answers everything that waits, when the node stops. `unread` are the messages that no role has seen; a batch in whose
 * middle the program failed is among the state's own.
 */
export const settleAll = (
  state: NodeState,
  unread: ReadonlyArray<NodeMessage>,
  reason: Shutdown | StorageFailed
): void => {
  state.writes.settleAll(reason)
  state.reads.settleAll(reason)
  for (const { done } of state.waitingAdmin.splice(0)) done({ _tag: "Failed", error: reason })
  // These have left this node, or its leadership has: what became of them is not known here.
  const error = new OutcomeUnknown({ message: `the node stopped while the change was under way: ${reason.message}` })
  for (const { done } of [...state.passedOn.values(), ...state.transfers.splice(0)]) done({ _tag: "Failed", error })
  state.passedOn.clear()
  const { batch, carry } = state
  state.batch = []
  state.carry = []
  for (const messages of [batch, carry, unread]) for (const message of messages) refuse(state, message, reason)
  state.writes.release()
  state.reads.release()
}

/** Answers a request that was not looked at; one that was is settled already, and this changes nothing. */
const refuse = (state: NodeState, message: NodeMessage, reason: Shutdown | StorageFailed): void => {
  switch (message._tag) {
    case "Propose":
      if (message.write.phase === "Settled") return
      state.writes.admit(message.write)
      return state.writes.settle(message.write, { _tag: "Failed", error: reason })
    case "Read":
      if (message.read.settled) return
      state.reads.admit(message.read)
      return state.reads.settle(message.read, reason)
    case "Administer":
      return message.done({ _tag: "Failed", error: reason })
    case "Close":
      return message.done()
    default:
      return
  }
}
