/**
 * When a leader raises its commit index, the entry is on the disks of a majority of the voters in force (paper §5.3;
 * crashed voters' disks count, learners' do not).
 */
import { voterIds } from "../../domain/Membership.ts"
import type { GlobalView } from "../GlobalView.ts"
import type { Invariant } from "./Invariant.ts"

export const commitOnDurableQuorum = (world: GlobalView): Invariant => ({
  id: "I7",
  title: "commit needs a durable quorum",
  stepped: (node, view) => {
    if (view.role !== "Leader" || view.commit <= world.committed.length) return
    const voters = voterIds(view.membership)
    const term = node.log[view.commit - 1]?.term
    if (term !== undefined && world.isDurableOn(voters, view.commit, term)) return
    const disks = voters.map((id) => `${id}:${world.nodes.get(id)?.disk.termAt(view.commit) ?? "-"}`).join(" ")
    world.violate("I7", `${node.id} commits ${term ?? "?"}.${view.commit} in term ${view.term}, on disks: ${disks}`)
  }
})
