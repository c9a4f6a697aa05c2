/**
 * applied ≤ commit ≤ last on every node; match < next ≤ last + 1 for every follower of a leader, and what is on its way
 * to it lies between the two.
 */
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
    for (const [peer, { match, next, underWay }] of progress ?? []) {
      if (peer === node.id) continue
      if (match >= next || next > last + 1) {
        world.violate("I9", `${node.id}: for ${peer} match ${match}, next ${next}, last ${last}`)
      }
      let before: number = match
      for (const append of underWay) {
        if (append.last <= before || append.last >= next) {
          world.violate("I9", `${node.id}: an append to ${peer} ends at ${append.last}, after ${before}, next ${next}`)
        }
        before = append.last
      }
    }
  }
})
