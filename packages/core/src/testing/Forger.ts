/** Messages of those who may not speak: strangers, members of another cluster, and whoever names somebody else. */
import type { ClusterId, Incarnation, NodeId, PublicKey } from "../domain/Identity.ts"
import type { Envelope, PeerMessage } from "../domain/PeerMessage.ts"
import { type LogIndex, logStart, type Term } from "../domain/Position.ts"
import { forgedTerm } from "./invariants/Identity.ts"
import type { Prng } from "./Prng.ts"
import type { SimDisk } from "./SimDisk.ts"
import { publicKeyOf } from "./SimEndpoint.ts"

const stranger = "mallory" as NodeId
const foreignIncarnation = "f".repeat(32) as Incarnation
const foreignCluster = "f".repeat(32) as ClusterId

/** Something that would matter in `clusterId`, said by somebody who may not; some pretend to be `member`. */
export const forgeEnvelope = (random: Prng, clusterId: ClusterId, member: SimDisk): Envelope => {
  const from = member.node
  const incarnation = member.identity?.incarnation ?? foreignIncarnation
  const publicKey = publicKeyOf(from)
  const strangerKey = publicKeyOf(stranger)
  const liar = random.pick<Omit<Envelope, "message">>([
    // Of another cluster, and of none, with a name that nobody knows.
    { from: stranger, incarnation: foreignIncarnation, publicKey: strangerKey, clusterId: foreignCluster },
    { from: stranger, incarnation: foreignIncarnation, publicKey: strangerKey, clusterId: null },
    // A member's name with another key, or with another directory.
    { from, incarnation, publicKey: "ssh-sim other" as PublicKey, clusterId },
    { from, incarnation: foreignIncarnation, publicKey, clusterId },
    // A member that says it belongs to another cluster.
    { from, incarnation, publicKey, clusterId: foreignCluster }
  ])
  return { ...liar, message: forgedMessage(random) }
}

const forgedMessage = (random: Prng): PeerMessage => {
  const term = (forgedTerm + random.int(0, 1000)) as Term
  const round = random.int(0, 1000)
  return random.pick<PeerMessage>([
    { _tag: "VoteRequest", term, preVote: false, transfer: true, lastLog: { term, index: 1_000_000 as LogIndex } },
    { _tag: "AppendRequest", term, previous: logStart, committed: 0 as LogIndex, round, entries: [] },
    { _tag: "AppendReply", term, matched: true, index: 1_000_000 as LogIndex, hint: logStart, round },
    { _tag: "TimeoutNow", term },
    { _tag: "VoteReply", term, preVote: false, granted: false },
    { _tag: "Refused", term, reason: random.pick(["removed", "rolledBack"]), lost: logStart }
  ])
}
