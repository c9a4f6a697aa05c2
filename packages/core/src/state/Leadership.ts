/** What a leader knows of its cluster, for the status. */
import type { NodeId } from "../domain/Identity.ts"
import type { LogIndex } from "../domain/Position.ts"

/** What a leader knows of a member; null where it does not. */
export interface MemberKnowledge {
  readonly match: LogIndex
  readonly contactAt: number
  readonly version: string | null
  readonly missing: ReadonlyArray<NodeId>
  /** Whether it came back without entries that it had acknowledged, and is refused. */
  readonly forgot: boolean
}

/** A leader's knowledge of its cluster, for the status. */
export interface Leadership {
  readonly knows: (id: NodeId) => MemberKnowledge | null
  readonly isLive: (id: NodeId) => boolean
  /** What it holds for callers and peers; see `heldBy`. */
  readonly held: () => Readonly<Record<string, number>>
  /** The index after which a follower in contact may still need entries; infinite where none needs any. */
  readonly needed: () => number
}
