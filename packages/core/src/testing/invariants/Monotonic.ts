/**
 * What never goes back: on disk the term, over all restarts; within one run the term, the commit index, the applied
 * index and the revision; within one leadership each follower's match index. (`SimState` watches the checkpoints.)
 */
import type { NodeId } from "../../domain/Identity.ts"
import type { GlobalView } from "../GlobalView.ts"
import type { Invariant } from "./Invariant.ts"

const monotonicNames = ["term", "commit", "applied", "revision"] as const

export const monotonic = (world: GlobalView): Invariant => {
  const matches = new Map<NodeId, { readonly term: number; readonly match: Map<NodeId, number> }>()
  return {
    id: "I8",
    title: "nothing goes back",
    started: (node) => void matches.delete(node.id),
    hardState: (node, before, after) => {
      if (before !== null && after.term < before.term) {
        world.violate("I8", `${node.id} writes term ${after.term} over ${before.term}`)
      }
    },
    stepped: (node, view, before) => {
      if (before !== null) {
        for (const name of monotonicNames) {
          if (view[name] >= before[name]) continue
          world.violate("I8", `${node.id}: ${name} goes from ${before[name]} back to ${view[name]}`)
        }
      }
      if (view.progress === null) return
      let known = matches.get(node.id)
      if (known?.term !== view.term) matches.set(node.id, known = { term: view.term, match: new Map() })
      for (const [peer, { match }] of view.progress) {
        const last = known.match.get(peer) ?? 0
        if (match < last) world.violate("I8", `${node.id}: match of ${peer} goes from ${last} back to ${match}`)
        known.match.set(peer, match)
      }
    }
  }
}
