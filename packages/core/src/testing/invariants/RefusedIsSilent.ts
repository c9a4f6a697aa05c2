/**
 * Whom its cluster has refused for good (it was removed, or came back with an older directory) asks for no vote and
 * gives none, over all restarts; what counts is the refusal on its disk. (It may still acknowledge its own removal.)
 */
import type { PeerMessage } from "../../domain/PeerMessage.ts"
import type { GlobalView } from "../GlobalView.ts"
import type { Invariant } from "./Invariant.ts"

const takesPart = (message: PeerMessage): boolean =>
  message._tag === "VoteRequest" || (message._tag === "VoteReply" && message.granted)

export const refusedIsSilent = (world: GlobalView): Invariant => ({
  id: "D09",
  title: "who is refused does not vote",
  sent: ({ disk, id }, to, message) => {
    const refused = disk.identity?.refused
    if (refused === undefined || !takesPart(message)) return
    world.violate("D09", `${id} was refused as ${refused}, and sends ${to} a ${message._tag}`)
  }
})
