/**
 * Nodes that have applied the same entry have the same digest of their states: the digest misses nothing that the
 * answers show, depends on nothing but the log, and survives checkpoints, restarts and snapshots.
 */
import type { GlobalView } from "../GlobalView.ts"
import type { Invariant } from "./Invariant.ts"

export const stateDigests = (world: GlobalView): Invariant => {
  const known = new Map<number, { readonly digest: number | undefined; readonly node: string }>()
  return {
    id: "I25",
    title: "equal digests of equal states",
    applied: (node, view, entry) => {
      const first = known.get(entry.index)
      if (first === undefined) known.set(entry.index, { digest: view.digest, node: node.id })
      else if (first.digest !== view.digest) {
        world.violate(
          "I25",
          `after ${entry.index} ${node.id} has the digest ${view.digest} where ${first.node} had ${first.digest}`
        )
      }
    }
  }
}
