/**
 * How a follower takes in a snapshot (thesis §5.3): the pieces are kept, checked as a whole, prepared beside the state,
 * and take its place in one step. Meanwhile the node goes on hearing its leader, applying and answering.
 *
 * Invariants: pieces of different snapshots are never put together; a snapshot that the log or state already holds
 * changes nothing, so `applied` never goes back; a leader never installs one.
 */
import type { NodeId } from "../domain/Identity.ts"
import type { PeerMessageOf } from "../domain/PeerMessage.ts"
import { isSameSnapshot, type SnapshotId } from "../domain/Snapshot.ts"
import type { Incoming, SnapshotNews } from "../state/SnapshotDesk.ts"
import type { NodeState } from "./NodeState.ts"

/** Bytes that may wait to be kept; a leader has less on its way. */
const waitingMost = 256 * 1024

type Piece = PeerMessageOf<"SnapshotPiece">
type IncomingNews = Extract<SnapshotNews, { _tag: "SnapshotKept" | "SnapshotPrepared" | "SnapshotRefused" }>
type Progress = PeerMessageOf<"SnapshotReply">["progress"]

/** Takes a piece from the leader of this term. */
export const takePiece = (node: NodeState, from: NodeId, piece: Piece): void => {
  const { data, id, offset } = piece
  if (holds(node, id)) {
    if (node.incoming !== null && node.incoming.phase !== "Installing" && isSameSnapshot(node.incoming.id, id)) {
      drop(node)
    }
    // The snapshot is of what is committed, so this much of the log is.
    node.commitTo(id.last.index)
    return answer(node, from, id, id.bytes, "done")
  }
  const incoming = begin(node, from, piece)
  if (incoming === null) return
  if (!isSameSnapshot(incoming.id, id)) return answer(node, from, id, 0, "installing")
  if (incoming.phase !== "Receiving") return answer(node, from, id, id.bytes, "installing")
  incoming.at = node.now
  const fits = incoming.taken - incoming.kept + data.length <= waitingMost && offset + data.length <= id.bytes
  if (data.length === 0 || offset !== incoming.taken || !fits) return answer(node, from, id, incoming.kept, "receiving")
  incoming.taken += data.length
  node.parts.snapshots.append(data)
}

/** The snapshot that a piece belongs to, from its first piece on; null where the piece is to be ignored. */
const begin = (node: NodeState, from: NodeId, { data, id, offset, term }: Piece): Incoming | null => {
  const { incoming, now, parts } = node
  if (incoming !== null) {
    if (isSameSnapshot(incoming.id, id)) return incoming
    // What is whole is finished: the log goes on from there, or the newer one follows.
    if (incoming.phase !== "Receiving") return incoming
    const isNewer = term > incoming.term || id.last.index > incoming.id.last.index
    if (!isNewer && now - incoming.at < 2 * parts.electionTimeout) return null
  }
  if (node.spaceLeft !== null && (node.diskFull || 2 * id.bytes > node.spaceLeft)) return null
  if (offset !== 0 || data.length === 0) {
    answer(node, from, id, 0, "receiving")
    return null
  }
  const begun: Incoming = { id, from, term, taken: 0, kept: 0, at: now, phase: "Receiving" }
  node.incoming = begun
  parts.snapshots.receive(id)
  return begun
}

/** Whether this node needs nothing of a snapshot. */
const holds = ({ commit, log }: NodeState, { last }: SnapshotId): boolean =>
  last.index <= commit || log.termAt(last.index) === last.term

const drop = (node: NodeState): void => {
  node.incoming = null
  node.parts.snapshots.abandon()
}

const answer = (node: NodeState, to: NodeId, id: SnapshotId, offset: number, progress: Progress): void => {
  const { term } = node
  node.whenDurable(() => {
    if (node.term === term) node.send(to, { _tag: "SnapshotReply", term, id, offset, progress })
  })
}

/** Tells the leader, if there is another one, how a snapshot that it may be sending fares. */
const report = (node: NodeState, id: SnapshotId, offset: number, progress: Progress): void => {
  if (node.leader !== null && node.leader !== node.id) answer(node, node.leader, id, offset, progress)
}

/** Takes what the fibers beside the owner have to say of a snapshot on its way in. */
export const takeIncoming = (node: NodeState, news: IncomingNews): void => {
  const { incoming } = node
  if (incoming === null || !isSameSnapshot(incoming.id, news.id)) return
  switch (news._tag) {
    case "SnapshotKept":
      incoming.kept = news.bytes
      if (incoming.kept < incoming.id.bytes) return report(node, incoming.id, incoming.kept, "receiving")
      incoming.phase = "Preparing"
      node.parts.snapshots.prepare()
      return report(node, incoming.id, incoming.kept, "installing")
    case "SnapshotPrepared": {
      const { clusterId, last } = news.header
      const isOurs = clusterId === null || clusterId === node.clusterId
      if (!isOurs || last.index !== incoming.id.last.index || last.term !== incoming.id.last.term) {
        report(node, incoming.id, 0, "damaged")
        return drop(node)
      }
      incoming.phase = "Prepared"
      return tryInstall(node)
    }
    case "SnapshotRefused":
      report(node, incoming.id, 0, news.malformed ? "damaged" : "receiving")
      return drop(node)
  }
}

/** Puts the prepared snapshot in the place of the state, unless the log has caught up or a checkpoint is under way. */
export const tryInstall = (node: NodeState): void => {
  const { incoming, machine, parts } = node
  if (incoming?.phase !== "Prepared") return
  if (node.role === "Leader" || holds(node, incoming.id)) return drop(node)
  if (machine.isFrozen) return
  incoming.phase = "Installing"
  machine.replace()
  parts.snapshots.install()
}
