/**
 * When a leader raises its commit index, the entry is on the disks of a majority of the voters in force (paper §5.3;
 * crashed voters' disks count, learners' do not). A leader that commits may append the next configuration in the same
 * batch: of what lies before that, the configuration before it decides as well.
 */
import { voterIds } from "../../domain/Membership.ts"
import type { GlobalView, NodeRecord } from "../GlobalView.ts"
import type { Invariant } from "./Invariant.ts"

export const commitOnDurableQuorum = (world: GlobalView): Invariant => ({
  id: "I7",
  title: "commit needs a durable quorum",
  stepped: (node, view) => {
    if (view.role !== "Leader" || view.commit <= world.committed.length) return
    const voters = voterIds(view.membership)
    const term = node.log[view.commit - 1]?.term
    const deciding = [voters, votersBefore(node, view.commit)]
    if (term !== undefined && deciding.some((ids) => world.isDurableOn(ids, view.commit, term))) return
    const disks = voters.map((id) => `${id}:${world.nodes.get(id)?.disk.termAt(view.commit) ?? "-"}`).join(" ")
    world.violate("I7", `${node.id} commits ${term ?? "?"}.${view.commit} in term ${view.term}, on disks: ${disks}`)
  }
})

/** The voters of the configuration before the last one, where the last one lies behind `commit`; else of the last. */
const votersBefore = (node: NodeRecord, commit: number) => {
  const place = node.configs.findLast((index, i) => index <= commit || i < node.configs.length - 1)
  return node.log[(place ?? 0) - 1]?.voters ?? []
}
