/**
 * A minority that is slow, or away, slows nobody: what a healthy leader appends is committed as soon as the others have
 * it (paper §2: a minority of slow servers need not impact overall system performance). Checked while it is calm.
 */
import type { Calm } from "../CalmPhase.ts"
import type { GlobalView } from "../GlobalView.ts"
import type { Invariant } from "./Invariant.ts"

export const slowMinority = (world: GlobalView): Invariant => {
  let waiting: Array<{ readonly index: number; readonly at: number }> = []
  let phase: Calm | null = null
  return {
    id: "I32",
    title: "a slow minority slows nobody",
    appended: (node, _view, entries) => {
      const { calm } = world
      if (calm === null || node.id !== calm.leader) return
      if (phase !== calm) waiting = []
      phase = calm
      waiting.push({ index: entries.at(-1)!.index, at: world.world.now })
    },
    stepped: (node, view) => {
      const { calm } = world
      if (calm === null || calm !== phase || node.id !== calm.leader) return
      for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
        const ms = world.world.now - first.at
        if (ms > calm.commitWithinMs) {
          world.violate("I32", `${node.id} has not committed ${first.index} ${ms.toFixed(0)} ms after it was appended`)
          return
        }
        if (view.commit < first.index) return
        waiting.shift()
      }
    }
  }
}
