/** How a script names messages: which ones a rule of the network is about, and what a forged one says. */
import type { LogEntry } from "../../src/domain/LogEntry.ts"
import type { PeerMessage } from "../../src/domain/PeerMessage.ts"
import { logStart } from "../../src/domain/Position.ts"
import type { LogId, LogIndex, Term } from "../../src/domain/Position.ts"
import type { Packet } from "../../src/testing/NetworkFaults.ts"
import { putEntry } from "../simulation/calls.ts"
import { ScriptFailed } from "./Script.ts"

/** Whether a packet is of one kind: a message's tag, or a finer name. */
const kinds: Record<string, (message: PeerMessage) => boolean> = {
  any: () => true,
  Heartbeat: (message) => message._tag === "AppendRequest" && message.entries.length === 0,
  Append: (message) => message._tag === "AppendRequest" && message.entries.length > 0,
  PreVote: (message) => message._tag === "VoteRequest" && message.preVote,
  Vote: (message) => message._tag === "VoteRequest" && !message.preVote,
  Snapshot: (message) => message._tag === "SnapshotPiece",
  Ack: (message) => message._tag === "AppendReply" && message.matched,
  Reject: (message) => message._tag === "AppendReply" && !message.matched,
  Grant: (message) => message._tag === "VoteReply" && !message.preVote && message.granted,
  PreGrant: (message) => message._tag === "VoteReply" && message.preVote && message.granted
}

/** `n1>n2`, `*>n2` or `n1>*` as a test of sender and receiver. */
export const linkOf = (text: string): readonly [from: string, to: string] => {
  const [from, to, ...more] = text.split(">")
  if (from === undefined || from === "" || to === undefined || to === "" || more.length > 0) {
    throw new ScriptFailed(`${text} is no link: write n1>n2, n1>* or *>n2`)
  }
  return [from, to]
}

/** `n1>n2 Append Vote`: the packets of these kinds on this link; all of them without a kind. */
export const patternOf = (words: ReadonlyArray<string>): (packet: Packet) => boolean => {
  const [link = "", ...names] = words
  const [from, to] = linkOf(link)
  return (packet) =>
    (from === "*" || packet.from === from) && (to === "*" || packet.to === to) &&
    (names.length === 0 || names.some((name) => (kinds[name] ?? ((message) => message._tag === name))(packet.message)))
}

/** `3.7` is term 3, index 7. */
const positionOf = (text: string): LogId => {
  const [term, index] = text.split(".").map(Number)
  if (!Number.isInteger(term) || !Number.isInteger(index)) throw new ScriptFailed(`${text} is no term.index`)
  return { term: term as Term, index: index as LogIndex }
}

/** What follows a word, or the fallback where the word is absent. */
const after = (words: ReadonlyArray<string>, word: string, fallback: string): string => {
  const at = words.indexOf(word)
  return at < 0 ? fallback : words[at + 1] ?? fallback
}

/** The entries of the terms named after `entries`, from the given index on. */
const entriesAfter = (words: ReadonlyArray<string>, first: number): ReadonlyArray<LogEntry> => {
  const at = words.indexOf("entries")
  if (at < 0) return []
  const terms: Array<number> = []
  for (const word of words.slice(at + 1)) {
    if (!/^\d+$/.test(word)) break
    terms.push(Number(word))
  }
  return terms.map((term, i) => putEntry(term, first + i, `k${first + i}`))
}

/**
 * A message as a script writes it, the same way as a trace shows it:
 * `Append t5 after 1.3 entries 5 5 commit 3 round 2`, `Ack t5 7 round 2`, `Reject t5 7 hint 1.3`,
 * `Vote t9 last 1.1 [transfer]`, `PreVote t9 last 1.1`, `VoteReply t9 yes`, `PreVoteReply t9 no`, `TimeoutNow t3`.
 */
export const forge = ([kind = "", inTerm = "", ...words]: ReadonlyArray<string>): PeerMessage => {
  if (!/^t\d+$/.test(inTerm)) throw new ScriptFailed(`${inTerm} is no term: write t5`)
  const term = Number(inTerm.slice(1)) as Term
  const round = Number(after(words, "round", "0"))
  switch (kind) {
    case "Append": {
      const previous = positionOf(after(words, "after", "1.1"))
      const committed = Number(after(words, "commit", "0")) as LogIndex
      return {
        _tag: "AppendRequest",
        term,
        previous,
        committed,
        round: Math.max(1, round),
        entries: entriesAfter(words, previous.index + 1)
      }
    }
    case "Ack":
    case "Reject": {
      const hint = after(words, "hint", "")
      const index = Number(words[0]) as LogIndex
      const matched = kind === "Ack"
      return { _tag: "AppendReply", term, matched, index, hint: hint === "" ? logStart : positionOf(hint), round }
    }
    case "Vote":
    case "PreVote": {
      const lastLog = positionOf(after(words, "last", "1.1"))
      return { _tag: "VoteRequest", term, preVote: kind === "PreVote", transfer: words.includes("transfer"), lastLog }
    }
    case "VoteReply":
    case "PreVoteReply":
      return { _tag: "VoteReply", term, preVote: kind === "PreVoteReply", granted: words[0] === "yes" }
    case "TimeoutNow":
      return { _tag: "TimeoutNow", term }
    default:
      throw new ScriptFailed(`${kind} is no message that a script can forge`)
  }
}
