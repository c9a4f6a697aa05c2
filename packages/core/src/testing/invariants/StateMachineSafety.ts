/**
 * No two nodes apply different commands at one index, and all get the same answer from it (paper figure 3: State
 * Machine Safety; revisions follow from the log alone). Each run applies in order, without a gap, only what is
 * committed.
 */
import { getU32 } from "../../domain/Bytes.ts"
import type { NodeId } from "../../domain/Identity.ts"
import type { Outcome } from "../../domain/Outcome.ts"
import type { GlobalView } from "../GlobalView.ts"
import type { Invariant } from "./Invariant.ts"

const entryText = (entry: { readonly modRevision: number; readonly version: number } | null): string =>
  entry === null ? "-" : `${entry.modRevision}/${entry.version}`

/** Equal for equal outcomes. */
export const outcomeText = (outcome: Outcome): string => {
  switch (outcome._tag) {
    case "Done":
      return `Done ${outcome.revision}`
    case "Put":
      return `Put ${outcome.revision} ${outcome.created} ${entryText(outcome.previous)}`
    case "Deleted":
      return `Deleted ${outcome.revision} ${outcome.deleted}`
    case "CompareFailed":
      return `CompareFailed ${outcome.revision} ${entryText(outcome.current)}`
    case "SessionOpened":
      return `SessionOpened ${outcome.revision} ${outcome.session}`
    case "TooManyEntries":
    case "SessionExpired":
    case "SequenceReused":
    case "Sealed":
      return `${outcome._tag} ${outcome.revision}`
  }
}

export const stateMachineSafety = (world: GlobalView): Invariant => {
  const first: Array<{ readonly checksum: number; readonly outcome: string; readonly node: NodeId }> = []
  const next = new Map<NodeId, number>()
  return {
    id: "I5",
    title: "state-machine safety",
    started: (node) => void next.delete(node.id),
    installed: (node, last) => void next.set(node.id, last.index + 1),
    applied: (node, view, entry, outcome) => {
      const expected = next.get(node.id)
      next.set(node.id, entry.index + 1)
      if (expected !== undefined && entry.index !== expected) {
        world.violate("I5", `${node.id} applies ${entry.index} where ${expected} is next`)
      }
      if (entry.index > view.commit) {
        world.violate("I5", `${node.id} applies ${entry.index}, but only ${view.commit} are committed`)
      }
      const checksum = getU32(entry.record, 0)
      const text = outcomeText(outcome)
      const known = first[entry.index - 1]
      if (known === undefined) first[entry.index - 1] = { checksum, outcome: text, node: node.id }
      else if (known.checksum !== checksum) {
        world.violate("I5", `${node.id} applies another entry at ${entry.index} than ${known.node}`)
      } else if (known.outcome !== text) {
        world.violate("I5", `at ${entry.index} ${node.id} gets "${text}" where ${known.node} got "${known.outcome}"`)
      }
    }
  }
}
