/**
 * A healthy leader leads on: neither a member that comes and goes, hears or reaches nobody, or is slow, nor one that
 * was removed brings another election (thesis §4.2.3, §9.6). Checked while the run is calm.
 */
import type { GlobalView } from "../GlobalView.ts"
import type { Invariant } from "./Invariant.ts"

export const stability = (world: GlobalView): Invariant => ({
  id: "I31",
  title: "a healthy leader leads on",
  stepped: (node, view) => {
    const { calm } = world
    if (calm === null) return
    if (node.id === calm.leader) {
      if (view.role === "Leader" && view.term === calm.term) return
      world.violate("I31", `${node.id}, which led term ${calm.term} and is well, is ${view.role} of term ${view.term}`)
    } else if (view.role === "Leader") {
      world.violate("I31", `${node.id} leads term ${view.term} beside ${calm.leader}, which is well`)
    }
  }
})
