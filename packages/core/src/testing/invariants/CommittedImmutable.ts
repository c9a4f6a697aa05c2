/**
 * A committed entry never changes, and no node loses it, in memory or on disk, that has heard of a term in which it is
 * committed. One that has not may yet follow an earlier leader that never had the entry, by an append that was long on
 * its way: it has acknowledged nothing to the leader that committed it. Its disk may be later still.
 */
import { getU32 } from "../../domain/Bytes.ts"
import type { NodeId } from "../../domain/Identity.ts"
import type { LogIndex } from "../../domain/Position.ts"
import type { GlobalView } from "../GlobalView.ts"
import type { Invariant } from "./Invariant.ts"

export const committedImmutable = (world: GlobalView): Invariant => {
  /** The chains that the log of each node's run has dropped, so that its disk may: no write outlives its run. */
  const dropped = new Map<NodeId, Set<number>>()
  return {
    id: "I6",
    title: "committed entries are immutable",
    started: (node) => void dropped.delete(node.id),
    appended: (node, view, entries, replaced) => {
      if (replaced.length === 0) return
      const from = entries[0]!.index
      const chains = dropped.get(node.id) ?? new Set()
      dropped.set(node.id, chains)
      replaced.forEach((mark, i) => {
        const index = from + i
        if (node.log[index - 1]?.chain === mark.chain) return
        chains.add(mark.chain)
        const committed = world.committed[index - 1]
        if (committed === undefined || committed.chain !== mark.chain || view.term < committed.knownIn) return
        world.violate("I6", `${node.id} drops the committed entry ${mark.term}.${index} from its log`)
      })
    },
    written: (node, from, removed) => {
      removed.forEach((entry, i) => {
        const index = from + i
        const committed = world.committed[index - 1]
        const checksum = getU32(entry.record, 0)
        if (committed === undefined || committed.checksum !== checksum) return
        // What a snapshot holds is not lost.
        if (index <= node.disk.base.index) return
        const now = node.disk.entryAt(index as LogIndex)
        if (now !== undefined && getU32(now.record, 0) === checksum) return
        if (dropped.get(node.id)?.has(committed.chain) === true) return
        world.violate("I6", `${node.id} drops the committed entry ${entry.term}.${index} from its disk`)
      })
    }
  }
}
