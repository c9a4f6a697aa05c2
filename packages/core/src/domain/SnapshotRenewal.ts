/**
 * A snapshot as the beginning of a new cluster: what a restored or forcibly recovered cluster starts from.
 *
 * Invariant: nothing that the old cluster said can be mistaken for something of the new one. The cluster id is another;
 * the revision is higher by 2^32, so that no revision given out after the snapshot was taken comes again with another
 * content; the history is gone and everything up to that revision counts as compacted; and nobody's sessions are known.
 */
import type { ClusterId } from "./Identity.ts"
import type { Membership } from "./Membership.ts"
import type { Revision } from "./Position.ts"
import type { SnapshotHeader } from "./Snapshot.ts"
import { SnapshotReader } from "./SnapshotReader.ts"
import { SnapshotWriter } from "./SnapshotWriter.ts"

/** What a new cluster's revision is above that of the cluster it comes from. */
export const revisionGap = 2 ** 32

export interface NewCluster {
  readonly clusterId: ClusterId
  readonly membership: Membership
}

/** The header under which the entries of a snapshot begin a new cluster. */
export const renewedHeader = (header: SnapshotHeader, { clusterId, membership }: NewCluster): SnapshotHeader => {
  const revision = (header.revision + revisionGap) as Revision
  return {
    ...header,
    clusterId,
    membership,
    revision,
    compactRevision: revision,
    historyCutBytes: header.historyBytes,
    digest: 0
  }
}

/** Turns the stream of one snapshot into that of its renewal, piece by piece. */
export class SnapshotRenewal {
  private readonly reader: SnapshotReader
  private writer: SnapshotWriter | null = null
  private chunks: Array<Uint8Array> = []

  constructor(into: NewCluster) {
    this.reader = new SnapshotReader({
      header: (header) => {
        this.writer = new SnapshotWriter(renewedHeader(header, into), (chunk) => void this.chunks.push(chunk))
      },
      row: (row) => {
        if (row._tag === "Entry") this.writer?.add(row)
      }
    })
  }

  /** Takes the next bytes; returns what is ready of the renewal. Throws `MalformedSnapshot`. */
  push(bytes: Uint8Array): ReadonlyArray<Uint8Array> {
    this.reader.push(bytes)
    return this.take()
  }

  /** The stream is over; returns the rest of the renewal. Throws `MalformedSnapshot` where something is missing. */
  end(): { readonly rest: ReadonlyArray<Uint8Array>; readonly header: SnapshotHeader } {
    const { header } = this.reader.end()
    this.writer?.end()
    return { rest: this.take(), header }
  }

  private take(): ReadonlyArray<Uint8Array> {
    const { chunks } = this
    this.chunks = []
    return chunks
  }
}
