/** Messages as short text, for the timeline. */
import { commandKind } from "../domain/LogEntry.ts"
import type { PeerMessage } from "../domain/PeerMessage.ts"

const kindNames = new Map(Object.entries(commandKind).map(([name, kind]) => [kind, name]))

const position = (id: { readonly term: number; readonly index: number }): string => `${id.term}.${id.index}`

/** One line, shorter than a column of the timeline where possible. */
export const messageText = (message: PeerMessage): string => {
  switch (message._tag) {
    case "AppendRequest": {
      const { committed, entries, previous, round, term } = message
      if (entries.length === 0) return `Heartbeat t${term} after ${position(previous)} c${committed} r${round}`
      const last = entries[entries.length - 1]!
      const kind = entries.length === 1 ? ` ${kindNames.get(last.kind) ?? last.kind}` : ""
      return `Append t${term} after ${position(previous)} to ${position(last)}${kind} c${committed} r${round}`
    }
    case "AppendReply":
      return message.matched
        ? `AppendReply t${message.term} ok ${message.index} r${message.round}`
        : `AppendReply t${message.term} no ${message.index} hint ${position(message.hint)} r${message.round}`
    case "VoteRequest":
      return `${message.preVote ? "PreVote" : "Vote"}? t${message.term} last ${position(message.lastLog)}` +
        (message.transfer ? " transfer" : "")
    case "VoteReply":
      return `${message.preVote ? "PreVote" : "Vote"} ${message.granted ? "yes" : "no"} t${message.term}`
    case "TimeoutNow":
      return `TimeoutNow t${message.term}`
    case "LinkReport":
      return `LinkReport t${message.term} ${
        message.links.filter((link) => link.connected).map((link) => link.id).join(",")
      }`
    case "SnapshotPiece":
      return `Snapshot t${message.term} ${position(message.id.last)} at ${message.offset} of ${message.id.bytes}`
    case "SnapshotReply":
      return `SnapshotReply t${message.term} ${position(message.id.last)} ${message.progress} ${message.offset}`
    case "StateDigest":
      return `StateDigest t${message.term} at ${message.index} ${message.digest}${message.majority ? " of most" : ""}`
    case "ForwardRequest":
      return `Forward #${message.id} t${message.leaderTerm} hops ${message.hops}`
    case "ForwardReply":
      return `Forwarded #${message.id} ${message.result._tag}`
    case "ReadIndexRequest":
      return `ReadIndex? #${message.id} t${message.term}`
    case "ReadIndexReply":
      return `ReadIndex #${message.id} ${message.index ?? "no"}`
    case "AdminRequest":
      return `Admin #${message.id} ${message.command._tag} hops ${message.hops}`
    case "AdminReply":
      return `Admin #${message.id} ${message.result._tag}`
    case "Refused":
      return `Refused ${message.reason} t${message.term} lost ${position(message.lost)}`
  }
}
