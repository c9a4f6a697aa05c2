/** A committed entry never changes, and no node that has it loses it, in memory or on disk. */
import { getU32 } from "../../domain/Bytes.ts"
import type { LogIndex } from "../../domain/Position.ts"
import type { GlobalView } from "../GlobalView.ts"
import type { Invariant } from "./Invariant.ts"

export const committedImmutable = (world: GlobalView): Invariant => ({
  id: "I6",
  title: "committed entries are immutable",
  appended: (node, _view, entries, replaced) => {
    const from = entries[0]!.index
    replaced.forEach((mark, i) => {
      const index = from + i
      const committed = world.committed[index - 1]
      if (committed === undefined || committed.chain !== mark.chain) return
      if (node.log[index - 1]?.chain === mark.chain) return
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
      world.violate("I6", `${node.id} drops the committed entry ${entry.term}.${index} from its disk`)
    })
  }
})
