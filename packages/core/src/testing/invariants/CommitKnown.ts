/**
 * Followers learn of a commit with the next heartbeat at the latest, also where nothing else happens (paper §5.3: the
 * leader includes the index in every append). Checked while the run is calm, on all members that are well.
 */
import type { GlobalView } from "../GlobalView.ts"
import { calmQueue } from "./CalmQueue.ts"
import type { Invariant } from "./Invariant.ts"

export const commitKnown = (world: GlobalView): Invariant => {
  const led = calmQueue(world)
  return {
    id: "I34",
    title: "followers learn of commits",
    stepped: (node, view, before) => {
      const phase = led(node)
      if (phase === null) return
      const { calm, queue } = phase
      const { now } = world.world
      if (before !== null && view.commit > before.commit) queue.push({ index: view.commit, at: now })
      for (let first = queue[0]; first !== undefined && now - first.at > calm.knownWithinMs; first = queue[0]) {
        for (const id of calm.healthy) {
          const commit = world.node(id).last?.commit ?? 0
          if (commit >= first.index) continue
          const ms = (now - first.at).toFixed(0)
          world.violate(
            "I34",
            `${id} knows of commits up to ${commit} ${ms} ms after ${node.id} committed ${first.index}`
          )
        }
        queue.shift()
      }
    }
  }
}
