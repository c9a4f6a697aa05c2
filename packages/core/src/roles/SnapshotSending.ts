/**
 * How a leader helps followers that need entries it has dropped (thesis §5.3): it has a snapshot built, once for all of
 * them, and sends it piece by piece, a few on their way at a time. Each piece names the snapshot, so that a follower
 * goes on where it was after a broken connection.
 *
 * Invariants: at most `windowBytes` are unacknowledged; a snapshot is sent only while the log goes on from it; for a
 * follower that cannot be reached it is read at most once a heartbeat.
 */
import { feature } from "../domain/Features.ts"
import type { NodeId } from "../domain/Identity.ts"
import { hasFeature } from "../domain/Membership.ts"
import type { PeerMessageOf } from "../domain/PeerMessage.ts"
import type { LogIndex } from "../domain/Position.ts"
import { isSameSnapshot, type SnapshotId } from "../domain/Snapshot.ts"
import { backOff } from "../rules/BackOff.ts"
import type { Progress } from "../rules/Progress.ts"
import type { SnapshotNews } from "../state/SnapshotDesk.ts"
import type { NodeState } from "./NodeState.ts"

const windowBytes = 128 * 1024
const pieceBytes = 32 * 1024

interface Transfer {
  readonly id: SnapshotId
  acknowledged: number
  sent: number
  reading: boolean
  /** A piece did not get through: nothing more is read before the next heartbeat. */
  held: boolean
  /** Milliseconds (monotonic) of the last step forward. */
  movedAt: number
}

export class SnapshotSending {
  private readonly node: NodeState
  private readonly progress: ReadonlyMap<NodeId, Progress>
  private readonly transfers = new Map<NodeId, Transfer>()
  private building = false
  /** Who found what it got damaged: how often in a row, and until when (milliseconds, monotonic) it is left alone. */
  private readonly refusals = new Map<NodeId, { readonly times: number; readonly until: number }>()
  /** The snapshot that was found damaged last: those who have begun with it may go on, nobody begins with it. */
  private suspect: SnapshotId | null = null

  constructor(node: NodeState, progress: ReadonlyMap<NodeId, Progress>) {
    this.node = node
    this.progress = progress
  }

  /** The lowest index after which a follower that gets a snapshot will need entries; infinite where none does. */
  needed(isLive: (id: NodeId) => boolean): number {
    let needed = Number.POSITIVE_INFINITY
    for (const [id, progress] of this.progress) {
      if (progress.forgot || !isLive(id)) continue
      const place = progress.state === "Snapshot" ? this.transfers.get(id)?.id.last.index ?? 0 : progress.match
      needed = Math.min(needed, place)
    }
    return needed
  }

  /** Sends followers that wait for a snapshot what they may get now. */
  flush(): void {
    for (const [id, progress] of this.progress) {
      if (progress.state === "Snapshot" && !progress.forgot && this.knowsSnapshots(id)) this.serve(id)
      else this.transfers.delete(id)
    }
  }

  /** A heartbeat is due: what seems lost is sent again, and who is silent is asked. */
  retry(): void {
    const { node } = this
    for (const [id, transfer] of this.transfers) {
      if (!this.progress.has(id)) {
        this.transfers.delete(id)
        continue
      }
      transfer.held = false
      if (node.now - transfer.movedAt < 2 * node.parts.heartbeat) continue
      transfer.sent = transfer.acknowledged
      if (transfer.sent === transfer.id.bytes) this.send(id, transfer, transfer.sent, new Uint8Array(0))
    }
    if (this.transfers.size === 0 && !this.building && node.parts.snapshots.current() !== null) {
      node.parts.snapshots.drop()
    }
  }

  /** Takes what was built or read for followers. */
  take(news: Extract<SnapshotNews, { readonly _tag: "SnapshotBuilt" | "SnapshotRead" }>): void {
    if (news._tag === "SnapshotBuilt") {
      this.building = false
      return
    }
    const transfer = this.transfers.get(news.to)
    if (transfer === undefined || !isSameSnapshot(transfer.id, news.id)) return
    transfer.reading = false
    if (news.data.length === 0 || news.offset !== transfer.sent) return
    if (this.send(news.to, transfer, news.offset, news.data)) transfer.sent += news.data.length
    else transfer.held = true
  }

  /** Takes a follower's word on the snapshot that it gets. Returns where its log is known to begin anew, or null. */
  receive(from: NodeId, { id, offset, progress }: PeerMessageOf<"SnapshotReply">): LogIndex | null {
    const { node } = this
    const transfer = this.transfers.get(from)
    if (transfer === undefined || !isSameSnapshot(transfer.id, id)) return null
    if (progress === "done") {
      this.transfers.delete(from)
      this.refusals.delete(from)
      return id.last.index
    }
    if (progress === "damaged") {
      this.transfers.delete(from)
      this.suspect = id
      const times = (this.refusals.get(from)?.times ?? 0) + 1
      this.refusals.set(from, { times, until: node.now + backOff(times, node.parts.electionTimeout) })
      return null
    }
    if (progress === "installing") transfer.acknowledged = id.bytes
    else if (offset > transfer.acknowledged) transfer.acknowledged = Math.min(offset, id.bytes)
    else if (offset < transfer.acknowledged && node.now - transfer.movedAt > node.parts.electionTimeout / 2) {
      // It has lost what it had, by a restart perhaps.
      transfer.acknowledged = offset
      transfer.sent = offset
    } else return null
    transfer.movedAt = node.now
    transfer.sent = Math.max(transfer.sent, transfer.acknowledged)
    return null
  }

  /** This node leads no more. */
  end(): void {
    if (this.transfers.size > 0 || this.building) this.node.parts.snapshots.drop()
  }

  private knowsSnapshots(id: NodeId): boolean {
    const { membership, parts } = this.node
    return hasFeature(membership, "snapshots") || ((parts.transport.features(id) ?? 0) & feature.snapshots) !== 0
  }

  private serve(id: NodeId): void {
    const { node } = this
    const current = node.parts.snapshots.current()
    let transfer = this.transfers.get(id)
    if (node.now < (this.refusals.get(id)?.until ?? 0)) return
    const isSuspect = transfer === undefined && this.suspect !== null && current !== null &&
      isSameSnapshot(current, this.suspect)
    if (current === null || isSuspect || current.last.index < node.log.base.index) {
      this.transfers.delete(id)
      return this.build()
    }
    if (transfer === undefined || !isSameSnapshot(transfer.id, current)) {
      transfer = { id: current, acknowledged: 0, sent: 0, reading: false, held: false, movedAt: node.now }
      this.transfers.set(id, transfer)
    }
    if (transfer.reading || transfer.held || transfer.sent >= current.bytes) return
    if (transfer.sent - transfer.acknowledged + pieceBytes > windowBytes) return
    transfer.reading = true
    node.parts.snapshots.read(id, current, transfer.sent, pieceBytes)
  }

  private build(): void {
    if (this.building) return
    this.building = true
    this.suspect = null
    this.node.parts.snapshots.build()
  }

  private send(to: NodeId, { id }: Transfer, offset: number, data: Uint8Array): boolean {
    const { term } = this.node
    const claim = { term, votedFor: this.node.id, index: 0 as LogIndex }
    return this.node.send(to, { _tag: "SnapshotPiece", term, id, offset, data }, claim)
  }
}
