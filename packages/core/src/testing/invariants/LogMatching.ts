/**
 * Entries with the same index and term are the same, and so is everything before them (paper figure 3: Log Matching).
 * Terms never fall along a log.
 */
import type { Mark } from "../GlobalView.ts"
import type { GlobalView } from "../GlobalView.ts"
import type { Invariant } from "./Invariant.ts"

export const logMatching = (world: GlobalView): Invariant => {
  /** The first entry seen at each place, by term and index. */
  const seen = new Map<string, Mark>()
  return {
    id: "I3",
    title: "log matching",
    appended: (node, _view, entries) => {
      for (const entry of entries) {
        const mark = node.log[entry.index - 1]!
        const before = node.log[entry.index - 2]
        if (before !== undefined && before.term > mark.term) {
          world.violate("I3", `${node.id} appends ${entry.index} of term ${mark.term} after term ${before.term}`)
        }
        const name = `${entry.term}.${entry.index}`
        const first = seen.get(name)
        if (first === undefined) seen.set(name, mark)
        else if (first.chain !== mark.chain) {
          const what = first.checksum === mark.checksum ? "the entries before it differ" : "it is another entry"
          world.violate("I3", `${node.id} appends ${name}, which another log has too, but ${what}`)
        }
      }
    }
  }
}
