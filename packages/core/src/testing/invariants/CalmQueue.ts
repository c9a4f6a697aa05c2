/** What a calm phase's leader has begun and others still have to follow, oldest first. */
import type { Calm } from "../CalmPhase.ts"
import type { GlobalView, NodeRecord } from "../GlobalView.ts"

interface Led {
  readonly calm: Calm
  /** World milliseconds. */
  readonly queue: Array<{ readonly index: number; readonly at: number }>
}

/** The calm phase that a node leads, with its queue, or null. Each phase begins a new queue. */
export const calmQueue = (world: GlobalView): (node: NodeRecord) => Led | null => {
  let current: Led | null = null
  return (node) => {
    const { calm } = world
    if (calm === null || node.id !== calm.leader) return null
    if (current?.calm !== calm) current = { calm, queue: [] }
    return current
  }
}
