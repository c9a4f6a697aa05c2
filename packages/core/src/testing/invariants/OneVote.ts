/**
 * A node gives one vote per term, over all crashes and restarts (paper §5.2; term and vote are one write). Whoever
 * begins on an empty disk in its place is another voter: nobody counts its vote for the lost one's.
 */
import type { NodeId } from "../../domain/Identity.ts"
import type { Term } from "../../domain/Position.ts"
import type { GlobalView, NodeRecord } from "../GlobalView.ts"
import type { Invariant } from "./Invariant.ts"

export const oneVote = (world: GlobalView): Invariant => {
  const votes = new Map<string, NodeId>()
  const vote = ({ disk, id: voter }: NodeRecord, term: Term, candidate: NodeId, how: string) => {
    const name = `${voter} ${disk.identity?.incarnation} ${term}`
    const known = votes.get(name)
    if (known === undefined) votes.set(name, candidate)
    else if (known !== candidate) {
      world.violate("I10", `${voter} ${how} for ${candidate} in term ${term}, after one for ${known}`)
    }
  }
  return {
    id: "I10",
    title: "one vote per term",
    started: (node) => {
      const { disk } = node
      if (disk.votedFor !== null) vote(node, disk.term, disk.votedFor, "starts with a vote")
    },
    hardState: (node, before, after) => {
      if (after.votedFor !== null) vote(node, after.term, after.votedFor, "writes a vote")
      else if (before?.term === after.term && before.votedFor !== null) {
        world.violate("I10", `${node.id} forgets its vote for ${before.votedFor} in term ${after.term}`)
      }
    },
    stepped: (node, view, before) => {
      if (before === null || before.votedFor === null || before.term !== view.term) return
      if (before.votedFor === view.votedFor) return
      world.violate("I10", `${node.id} forgets in term ${view.term} that it has voted for ${before.votedFor}`)
    },
    sent: (node, to, message) => {
      if (message._tag !== "VoteReply" || message.preVote || !message.granted) return
      vote(node, message.term, to, "sends a vote")
    }
  }
}
