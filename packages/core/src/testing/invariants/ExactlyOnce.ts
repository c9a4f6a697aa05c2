/**
 * A command of a session takes effect at most once, and every later copy of it answers what the first one did, or that
 * it is not remembered (thesis §6.3). What was sealed, or not remembered once, is never executed.
 */
import { decodeCommand } from "../../domain/CommandCodec.ts"
import { sequenceOf, sessionOf } from "../../domain/RecordCodec.ts"
import { isRefusedBySession } from "../AppliedHistory.ts"
import type { GlobalView } from "../GlobalView.ts"
import type { Invariant } from "./Invariant.ts"
import { outcomeText } from "./StateMachineSafety.ts"

export const exactlyOnce = (world: GlobalView): Invariant => {
  /** The answer that stands for a session and sequence, with the index of the entry that got it. */
  const first = new Map<string, { readonly index: number; readonly text: string }>()
  return {
    id: "I17",
    title: "a command of a session takes effect once",
    applied: (node, _view, entry, outcome) => {
      const session = sessionOf(entry.record)
      if (session === 0) return
      const name = `${session}:${sequenceOf(entry.record)}`
      const known = first.get(name)
      const isSeal = decodeCommand(entry.record)._tag === "Seal"
      const text = outcomeText(outcome)
      if (known === undefined) {
        if (outcome._tag !== "SequenceReused") first.set(name, { index: entry.index, text })
        return
      }
      // A node that starts again applies what it has applied before.
      if (entry.index <= known.index || isRefusedBySession(outcome)) return
      const isSame = isSeal
        ? text.split(" ").slice(0, 2).join() === known.text.split(" ").slice(0, 2).join()
        : text === known.text
      if (isSame) return
      world.violate(
        "I17",
        `${node.id} answers "${text}" to ${name} at ${entry.index}, and "${known.text}" at ${known.index}`
      )
    }
  }
}
