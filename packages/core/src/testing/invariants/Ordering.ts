/** applied ≤ commit ≤ last on every node; match < next ≤ last + 1 for every follower of a leader. */
import type { GlobalView } from "../GlobalView.ts"
import type { Invariant } from "./Invariant.ts"

export const ordering = (world: GlobalView): Invariant => ({
  id: "I9",
  title: "positions are in order",
  stepped: (node, view) => {
    const { applied, commit, last, progress } = view
    if (applied > commit || commit > last) {
      world.violate("I9", `${node.id}: applied ${applied}, commit ${commit}, last ${last}`)
    }
    if (node.log.length !== last) {
      world.violate("I9", `${node.id}: its log ends at ${last}, but ${node.log.length} entries were appended`)
    }
    for (const [peer, { match, next }] of progress ?? []) {
      if (peer === node.id || (match < next && next <= last + 1)) continue
      world.violate("I9", `${node.id}: for ${peer} match ${match}, next ${next}, last ${last}`)
    }
  }
})
