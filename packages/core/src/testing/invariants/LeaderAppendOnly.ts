/**
 * A leader never overwrites or deletes entries of its own log, it only appends (paper figure 3: Leader Append-Only).
 */
import type { GlobalView } from "../GlobalView.ts"
import type { Invariant } from "./Invariant.ts"

export const leaderAppendOnly = (world: GlobalView): Invariant => ({
  id: "I2",
  title: "leader append-only",
  appended: (node, view, entries, replaced) => {
    if (replaced.length === 0 || world.leaders.get(view.term)?.node !== node.id) return
    world.violate(
      "I2",
      `${node.id} leads term ${view.term} and replaces ${replaced.length} entries from ${entries[0]?.index}`
    )
  }
})
