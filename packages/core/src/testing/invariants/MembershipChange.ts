/**
 * Voters change one at a time: a leader appends a config entry only when the one before is committed and it has
 * committed an entry of its own term (thesis §4.1 with the correction of 2015), two successive configurations differ by
 * one voter at most, and the configuration in force is the last one in the log.
 */
import type { NodeId } from "../../domain/Identity.ts"
import { emptyMembership, type Membership } from "../../domain/Membership.ts"
import type { NodeView } from "../../state/Observer.ts"
import type { GlobalView, Mark, NodeRecord } from "../GlobalView.ts"
import { configText } from "../Voters.ts"
import type { Invariant } from "./Invariant.ts"

export const membershipChange = (world: GlobalView): Invariant => {
  /** The membership of each node that was found right, and the entry that it came from: most steps change neither. */
  const checked = new Map<NodeId, { readonly membership: Membership; readonly mark: Mark | undefined }>()

  const checkInForce = (node: NodeRecord, view: NodeView) => {
    const last = node.configs.length === 0 ? 0 : node.configs[node.configs.length - 1]!
    const mark = node.log[last - 1]
    const known = checked.get(node.id)
    if (known !== undefined && known.membership === view.membership && known.mark === mark) {
      if (view.membershipIndex >= last) return
    }
    checked.set(node.id, { membership: view.membership, mark })
    // After a start the index is that of the checkpoint, which may be beyond the entry itself.
    if (view.membershipIndex < last) {
      world.violate("I14", `${node.id} acts on the configuration of ${view.membershipIndex}, its log's last is ${last}`)
      return
    }
    const config = configText(mark?.membership ?? emptyMembership)
    if (configText(view.membership) !== config) {
      world.violate("I14", `${node.id} acts on "${configText(view.membership)}", its log says "${config}"`)
    }
  }

  const checkStep = (node: NodeRecord, view: NodeView, index: number) => {
    const place = node.configs.indexOf(index)
    const previous = node.configs[place - 1]
    const voters = node.log[index - 1]?.voters ?? []
    if (previous === undefined) return
    const before = node.log[previous - 1]?.voters ?? []
    const added = voters.filter((id) => !before.includes(id))
    const removed = before.filter((id) => !voters.includes(id))
    if (added.length + removed.length > 1) {
      world.violate("I14", `${node.id} changes the voters from ${before.join()} to ${voters.join()} at once`)
    }
    if (node.log[index - 1]?.term !== view.term || world.leaders.get(view.term)?.node !== node.id) return
    if (previous > view.commit) {
      world.violate("I14", `${node.id} appends a configuration at ${index} while that of ${previous} is not committed`)
    }
    if (node.log[view.commit - 1]?.term !== view.term) {
      world.violate("I14", `${node.id} appends a configuration before it has committed in term ${view.term}`)
    }
  }

  return {
    id: "I14",
    title: "one membership change at a time",
    appended: (node, view, entries) => {
      const from = entries[0]!.index
      for (const index of node.configs) if (index >= from) checkStep(node, view, index)
    },
    stepped: (node, view) => checkInForce(node, view)
  }
}
