/**
 * When a leader raises its commit index, the entry is on the disks of a majority of the voters in force (paper §5.3;
 * crashed voters' disks count, learners' do not).
 */
import type { NodeId } from "../../domain/Identity.ts"
import type { GlobalView } from "../GlobalView.ts"
import { votersOf } from "../Voters.ts"
import type { Invariant } from "./Invariant.ts"

export const commitOnDurableQuorum = (world: GlobalView): Invariant => {
  /** The voters before a change that a leader has appended in the step at hand: what it counted first went by them. */
  const before = new Map<NodeId, ReadonlyArray<NodeId>>()
  return {
    id: "I7",
    title: "commit needs a durable quorum",
    appended: (node, view, entries) => {
      const { configs, log } = node
      const [previous, last] = configs.slice(-2)
      if (view.role !== "Leader" || last === undefined || previous === undefined || last < entries[0]!.index) return
      before.set(node.id, log[previous - 1]?.voters ?? [])
    },
    stepped: (node, view) => {
      const former = before.get(node.id)
      if (former !== undefined) before.delete(node.id)
      if (view.role !== "Leader" || view.commit <= world.committed.length) return
      const voters = votersOf(view.membership)
      const term = node.log[view.commit - 1]?.term
      if (term !== undefined) {
        if (world.isDurableOn(voters, view.commit, term)) return
        if (former !== undefined && world.isDurableOn(former, view.commit, term)) return
      }
      const disks = voters.map((id) => `${id}:${world.nodes.get(id)?.disk.termAt(view.commit) ?? "-"}`).join(" ")
      world.violate("I7", `${node.id} commits ${term ?? "?"}.${view.commit} in term ${view.term}, on disks: ${disks}`)
    }
  }
}
