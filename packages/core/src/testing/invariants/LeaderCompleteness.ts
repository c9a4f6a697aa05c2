/**
 * What is committed in one term is in the log of every leader of a later term (paper figure 3: Leader Completeness).
 */
import type { GlobalView } from "../GlobalView.ts"
import type { Invariant } from "./Invariant.ts"

export const leaderCompleteness = (world: GlobalView): Invariant => ({
  id: "I4",
  title: "leader completeness",
  elected: (node, view) => {
    // Chains cover all entries before them, so the last one that has to be there speaks for all.
    for (let index = world.committed.length; index > 0; index--) {
      const committed = world.committed[index - 1]!
      if (committed.knownIn >= view.term) continue
      if (node.log[index - 1]?.chain === committed.chain) return
      world.violate(
        "I4",
        `${node.id} leads term ${view.term} without entry ${committed.term}.${index}, committed by term ${committed.knownIn}`
      )
      return
    }
  }
})
