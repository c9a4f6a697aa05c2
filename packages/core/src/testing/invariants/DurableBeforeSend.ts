/**
 * Nothing is promised that a crash could take back: a vote, a candidacy and an acknowledgement, also that of a whole
 * snapshot, leave a node only when what they say is on its disk (paper figure 2: "updated on stable storage before
 * responding").
 */
import { getU32 } from "../../domain/Bytes.ts"
import type { NodeId } from "../../domain/Identity.ts"
import type { PeerMessage } from "../../domain/PeerMessage.ts"
import type { LogId, LogIndex, Term } from "../../domain/Position.ts"
import type { DurableClaim } from "../../Transport.ts"
import type { GlobalView, NodeRecord } from "../GlobalView.ts"
import type { Invariant } from "./Invariant.ts"

export const durableBeforeSend = (world: GlobalView): Invariant => {
  const fail = (node: NodeRecord, what: string) => {
    const { last, term, votedFor } = node.disk
    world.violate("I11", `${node.id} ${what}; on its disk: term ${term}, vote ${votedFor ?? "none"}, last ${last}`)
  }

  /** Whether the disk holds the vote; a later term on disk means that it did. */
  const holdsVote = ({ disk }: NodeRecord, term: Term, candidate: NodeId) =>
    disk.term > term || (disk.term === term && disk.votedFor === candidate)

  const checkClaim = (node: NodeRecord, claim: DurableClaim) => {
    const { disk } = node
    if (disk.term < claim.term) fail(node, `claims term ${claim.term}`)
    else if (disk.term === claim.term && claim.votedFor !== null && disk.votedFor !== claim.votedFor) {
      fail(node, `claims a vote for ${claim.votedFor}`)
    }
    if (disk.last < claim.index) fail(node, `claims index ${claim.index}`)
  }

  /** An acknowledgement says that the disk holds the leader's log up to its index. */
  const checkAcknowledgement = (node: NodeRecord, term: Term, index: LogIndex) => {
    const leader = world.leaders.get(term)
    const expected = leader?.log[index - 1]
    if (index <= node.disk.base.index || expected === undefined || node.disk.isLost) return
    const entry = node.disk.entryAt(index)
    if (entry === undefined) fail(node, `acknowledges ${index} of term ${term}`)
    else if (getU32(entry.record, 0) !== expected.checksum) {
      fail(node, `acknowledges ${expected.term}.${index}, but its disk holds ${entry.term}.${index} there`)
    }
  }

  /** That all of a snapshot is there says that the disk's state stands at its end, or that its log has that entry. */
  const checkSnapshot = (node: NodeRecord, { index, term }: LogId) => {
    const { disk } = node
    if (disk.isLost || disk.termAt(index) === term) return
    if (Math.max(disk.base.index, disk.state.meta?.applied.index ?? 0) >= index) return
    fail(node, `says that it has the snapshot of ${term}.${index}`)
  }

  const checkMessage = (node: NodeRecord, to: NodeId, message: PeerMessage) => {
    switch (message._tag) {
      case "VoteRequest":
        if (!message.preVote && !holdsVote(node, message.term, node.id)) fail(node, `campaigns in term ${message.term}`)
        return
      case "VoteReply":
        if (!message.preVote && message.granted && !holdsVote(node, message.term, to)) {
          fail(node, `votes for ${to} in term ${message.term}`)
        }
        return
      case "AppendRequest":
        if (!holdsVote(node, message.term, node.id)) fail(node, `replicates in term ${message.term}`)
        return
      case "AppendReply":
        if (message.matched) checkAcknowledgement(node, message.term, message.index)
        return
      case "SnapshotReply":
        if (message.progress === "done") checkSnapshot(node, message.id.last)
        return
      default:
        return
    }
  }

  return {
    id: "I11",
    title: "durable before send",
    sent: (node, to, message, claim) => {
      if (claim !== undefined) checkClaim(node, claim)
      checkMessage(node, to, message)
    }
  }
}
