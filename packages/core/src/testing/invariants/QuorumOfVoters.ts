/** Who leads a term has durable votes of a majority of the voters of its configuration; learners' do not count. */
import { type GlobalView, majority } from "../GlobalView.ts"
import { votersOf } from "../Voters.ts"
import type { Invariant } from "./Invariant.ts"

export const quorumOfVoters = (world: GlobalView): Invariant => ({
  id: "I13",
  title: "quorums count only voters",
  elected: (node, view) => {
    const voters = votersOf(view.membership)
    const votes = world.votes.get(view.term)
    const given = voters.filter((voter) => votes?.get(voter) === node.id)
    if (voters.length > 0 && given.length >= majority(voters)) return
    world.violate(
      "I13",
      `${node.id} leads term ${view.term} with ${given.length} votes (${given.join(" ")}) of ${voters.join(" ")}`
    )
  }
})
