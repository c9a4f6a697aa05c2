/**
 * A minority that is slow, or away, slows nobody: what a healthy leader appends is committed as soon as the others have
 * it (paper §2: a minority of slow servers need not impact overall system performance). Checked while it is calm.
 */
import type { GlobalView } from "../GlobalView.ts"
import { calmQueue } from "./CalmQueue.ts"
import type { Invariant } from "./Invariant.ts"

export const slowMinority = (world: GlobalView): Invariant => {
  const led = calmQueue(world)
  return {
    id: "I32",
    title: "a slow minority slows nobody",
    appended: (node, _view, entries) => {
      led(node)?.queue.push({ index: entries.at(-1)!.index, at: world.world.now })
    },
    stepped: (node, view) => {
      const phase = led(node)
      if (phase === null) return
      const { calm, queue } = phase
      for (let first = queue[0]; first !== undefined; first = queue[0]) {
        const ms = world.world.now - first.at
        if (ms > calm.commitWithinMs) {
          world.violate("I32", `${node.id} has not committed ${first.index} ${ms.toFixed(0)} ms after it was appended`)
          return
        }
        if (view.commit < first.index) return
        queue.shift()
      }
    }
  }
}
