/**
 * What a stranger says changes nothing: a forged message carries a term that no cluster reaches, and no node ever has
 * it. Strangers are foreign nodes, members of another cluster, and whoever names a sender that it is not.
 */
import type { GlobalView } from "../GlobalView.ts"
import type { Invariant } from "./Invariant.ts"

/** Terms from here on are only ever seen in forged messages. */
export const forgedTerm = 2 ** 40

export const identity = (world: GlobalView): Invariant => ({
  id: "I33",
  title: "strangers change nothing",
  hardState: (node, _before, after) => {
    if (after.term >= forgedTerm) world.violate("I33", `${node.id} takes the term ${after.term} of a stranger`)
  },
  stepped: (node, view) => {
    if (view.term >= forgedTerm) world.violate("I33", `${node.id} takes the term ${view.term} of a stranger`)
  }
})
