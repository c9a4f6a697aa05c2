/** A leader counts copies only for entries of its own term; older ones commit with them (paper §5.4.2, figure 8). */
import type { GlobalView } from "../GlobalView.ts"
import type { Invariant } from "./Invariant.ts"

export const ownTermCommit = (world: GlobalView): Invariant => ({
  id: "I12",
  title: "only own-term entries commit by counting",
  stepped: (node, view) => {
    if (view.role !== "Leader" || view.commit <= world.committed.length) return
    const term = node.log[view.commit - 1]?.term
    if (term === view.term) return
    world.violate("I12", `${node.id} leads term ${view.term} and commits ${term ?? "?"}.${view.commit} by counting`)
  }
})
