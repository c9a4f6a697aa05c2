/** How a node drops the beginning of its log, and how it goes on from a snapshot that has replaced its state. */
import { hasFeature } from "../domain/Membership.ts"
import type { LogIndex } from "../domain/Position.ts"
import { dropUpTo } from "../rules/Compaction.ts"
import type { StateMeta } from "../StateStore.ts"
import type { NodeState } from "./NodeState.ts"

/** Drops what a checkpoint holds and nobody in contact needs any more, in memory first: the disk follows. */
export const compact = (node: NodeState): void => {
  const { log, machine, parts } = node
  // A member that knows no snapshots could never catch up with a log that was compacted.
  if (!hasFeature(node.membership, "snapshots")) return
  const index = dropUpTo({
    base: log.base.index,
    last: log.last,
    lowestWithin: (bytes) => log.lowestWithin(bytes),
    // A snapshot may have taken the place of the state while what its log goes on with is on the way to the disk.
    checkpointed: Math.min(machine.checkpointed, node.durable.index) as LogIndex,
    needed: node.leadership?.needed() ?? Number.POSITIVE_INFINITY
  }, parts.limits)
  if (index === null) return
  log.dropUpTo(index)
  parts.compact(index)
}

/**
 * The store's state is that of a snapshot now. Where the log has the snapshot's last entry, all after it stays; else it
 * begins anew there (thesis §5.1, figure 5.3). What waited for an entry in between cannot know what became of it.
 */
export const goOnFrom = (node: NodeState, meta: StateMeta): void => {
  const { disk, log, machine, parts, writes } = node
  const { applied, membership } = meta
  machine.replaced(meta)
  const keepsLog = log.termAt(applied.index) === applied.term
  if (!keepsLog) {
    log.reset(applied)
    disk.reset(applied)
    node.belonging.reset(applied.index, membership)
    node.forgetStrangers()
  }
  if (parts.observer !== null) parts.observer.installed(node.view, applied, keepsLog)
  node.commitTo(applied.index)
  writes.passed(applied.index)
  node.counters.snapshotsInstalled++
}
