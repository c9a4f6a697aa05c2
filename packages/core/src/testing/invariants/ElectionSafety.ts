/** At most one leader per term, and only it replicates in that term (paper §5.2, figure 3: Election Safety). */
import type { NodeId } from "../../domain/Identity.ts"
import type { Term } from "../../domain/Position.ts"
import type { GlobalView } from "../GlobalView.ts"
import type { Invariant } from "./Invariant.ts"

export const electionSafety = (world: GlobalView): Invariant => {
  const replicators = new Map<Term, NodeId>()
  const claim = (term: Term, node: NodeId, how: string) => {
    const known = replicators.get(term) ?? world.leaders.get(term)?.node
    if (known !== undefined && known !== node) {
      world.violate("I1", `${node} ${how} in term ${term}, which belongs to ${known}`)
    }
    replicators.set(term, node)
  }
  return {
    id: "I1",
    title: "election safety",
    elected: (node, view) => claim(view.term, node.id, "leads"),
    sent: (node, _to, message) => {
      if (message._tag === "AppendRequest") claim(message.term, node.id, "replicates")
    }
  }
}
