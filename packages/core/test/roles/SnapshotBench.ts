/** Snapshots on a `Bench`: what leaders and followers say of them, and what becomes of them beside the owner. */
import type { Membership } from "../../src/domain/Membership.ts"
import type { PeerMessageOf } from "../../src/domain/PeerMessage.ts"
import type { Revision } from "../../src/domain/Position.ts"
import type { SnapshotHeader, SnapshotId } from "../../src/domain/Snapshot.ts"
import type { NodeMessage } from "../../src/state/NodeMessage.ts"
import { metaOfSnapshot } from "../../src/StateStore.ts"
import { at } from "../rules/Logs.ts"
import { type Bench, cluster, clusterId, peer } from "./Bench.ts"

/** A snapshot that ends with entry `indexOf` of term `termOf`. */
export const snapshot = (termOf: number, indexOf: number, bytes = 300, checksum = 1): SnapshotId => ({
  last: at(termOf, indexOf),
  bytes,
  checksum
})

const headerOf = (id: SnapshotId, membership: Membership, cluster = clusterId): SnapshotHeader => ({
  clusterId: cluster,
  last: id.last,
  membership,
  revision: 7 as Revision,
  compactRevision: 0 as Revision,
  historyBytes: 0,
  historyCutBytes: 0,
  keys: 0,
  digest: null
})

/** A piece of `id`, from member `from` in term `termOf`. */
export const piece = (from: number, termOf: number, id: SnapshotId, offset: number, length: number): NodeMessage =>
  peer(from, {
    _tag: "SnapshotPiece",
    term: at(termOf, 0).term,
    id,
    offset,
    data: new Uint8Array(length)
  })

/** A follower's word on `id`. */
export const progress = (
  from: number,
  termOf: number,
  id: SnapshotId,
  offset: number,
  how: PeerMessageOf<"SnapshotReply">["progress"] = "receiving"
): NodeMessage => peer(from, { _tag: "SnapshotReply", term: at(termOf, 0).term, id, offset, progress: how })

/** The fibers beside the owner have kept so many bytes. */
export const kept = (id: SnapshotId, bytes: number): NodeMessage => ({ _tag: "SnapshotKept", id, bytes })

/** They have made a state of it. */
export const prepared = (id: SnapshotId, header: Partial<SnapshotHeader> = {}): NodeMessage => ({
  _tag: "SnapshotPrepared",
  id,
  header: { ...headerOf(id, cluster(3)), ...header }
})

/** It has taken the state's place, with `membership` as the committed one. */
export const installed = (id: SnapshotId, membership: Membership = cluster(3)): NodeMessage => ({
  _tag: "SnapshotInstalled",
  meta: metaOfSnapshot(headerOf(id, membership))
})

/** A checkpoint of everything applied succeeds. */
export const checkpoint = (bench: Bench): void => {
  bench.node.machine.freeze()
  bench.node.machine.thaw()
  bench.deliver({ _tag: "Checkpointed" })
}

/** What was asked of the fibers beside the owner since the last call. */
export const askedOf = (bench: Bench): ReadonlyArray<string> => bench.asked.splice(0)

/** What was said of snapshots since the last call, as `n2 receiving 100`. */
export const repliesOf = (bench: Bench): ReadonlyArray<string> =>
  bench.take("SnapshotReply").map(({ message, to }) => `${to} ${message.progress} ${message.offset}`)
