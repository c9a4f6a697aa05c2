/**
 * What a program can do beyond the first release, as bits that nodes announce when they connect.
 *
 * Two rules keep a cluster of several versions whole while it is upgraded node by node:
 *
 * - A new kind of command, a new field in a record, and everything else that is written to the log, is used only once
 *   the membership in force holds its bit. The leader raises the bits of the membership by a config entry of its own,
 *   when every member has announced them; they are never lowered. So every node that ever reads such an entry knows it.
 * - A new kind of message to a peer is sent under the same condition, or when that very peer has announced its bit: an
 *   older program takes it for a broken protocol and cuts the connection.
 *
 * A node that lacks a bit of the membership refuses to take part, and says that its program is too old.
 */

/** The bit of each feature, by the name under which it is asked for. Numbers are never used again for anything else. */
export const feature = {
  /** Sessions: their commands, and session and sequence in the records of writes. */
  sessions: 1,
  /** Snapshots over the wire, for followers behind a compacted log. */
  snapshots: 2,
  /** Digests of the applied state, compared between replicas. */
  digests: 4,
  /** Administrative requests beyond `Join`, `AddMember` and `Transfer`. */
  administration: 8
} as const

export type Feature = keyof typeof feature

/** All that this program can do. */
export const ownFeatures: number = Object.values(feature).reduce((all, bit) => all | bit, 0)

/** The names of the bits that `known` lacks of `needed`; those that this program does not know either by number. */
export const missingFeatures = (needed: number, known: number): ReadonlyArray<string> => {
  const missing = needed & ~known
  const named = Object.entries(feature).filter(([, bit]) => (missing & bit) !== 0).map(([name]) => name)
  const unnamed = missing & ~ownFeatures
  return unnamed === 0 ? named : [...named, `0x${unnamed.toString(16)}`]
}

/** Why this program must not take part in a cluster that uses these features, or null where it may. */
export const flawOfFeatures = (needed: number): string | null => {
  const missing = missingFeatures(needed, ownFeatures)
  return missing.length === 0
    ? null
    : `this program is too old for its cluster, which uses features that it does not know (${missing.join(", ")}): ` +
      "start this node with the version that the other members run; its data is untouched"
}
