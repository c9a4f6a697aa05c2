/**
 * A property that holds at every step. Each is a small object that hears of events and says so when one breaks it;
 * absent methods cost nothing. `docs/INVARIANTS.md` lists them with their place in the paper.
 */
import type { NodeId } from "../../domain/Identity.ts"
import type { LogEntry } from "../../domain/LogEntry.ts"
import type { Outcome } from "../../domain/Outcome.ts"
import type { PeerMessage } from "../../domain/PeerMessage.ts"
import type { LogId, LogIndex } from "../../domain/Position.ts"
import type { HardState } from "../../LogStore.ts"
import type { NodeView } from "../../state/Observer.ts"
import type { DurableClaim } from "../../Transport.ts"
import type { Mark, NodeRecord, Snapshot } from "../GlobalView.ts"

export interface Invariant {
  readonly id: string
  readonly title: string
  /** A process starts on what its disk holds. */
  readonly started?: (node: NodeRecord) => void
  /** Entries are about to join the log in memory, which is still the old one. */
  readonly appending?: (node: NodeRecord, view: NodeView, entries: ReadonlyArray<LogEntry>) => void
  /** They have; `replaced` stood there before. */
  readonly appended?: (
    node: NodeRecord,
    view: NodeView,
    entries: ReadonlyArray<LogEntry>,
    replaced: ReadonlyArray<Mark>
  ) => void
  /** A snapshot that ends at `last` took the place of the node's log and state. */
  readonly installed?: (node: NodeRecord, last: LogId) => void
  readonly applied?: (node: NodeRecord, view: NodeView, entry: LogEntry, outcome: Outcome) => void
  /** After a batch; `before` is the state after the batch before, null for the first of a run. */
  readonly stepped?: (node: NodeRecord, view: NodeView, before: Snapshot | null) => void
  /** Seen as leader of `view.term` for the first time; called before it counts as that term's leader. */
  readonly elected?: (node: NodeRecord, view: NodeView) => void
  readonly sent?: (node: NodeRecord, to: NodeId, message: PeerMessage, claim: DurableClaim | undefined) => void
  /** A hard state reached the disk. */
  readonly hardState?: (node: NodeRecord, before: HardState | null, after: HardState) => void
  /** The durable log changed from `from` on; `removed` stood there before. */
  readonly written?: (node: NodeRecord, from: LogIndex, removed: ReadonlyArray<LogEntry>) => void
}
