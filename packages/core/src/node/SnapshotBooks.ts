/** What a node counts of snapshots from its start on, for its metrics. */
export interface SnapshotCounters {
  built: number
  buildSeconds: number
  sentBytes: number
  receivedBytes: number
  installed: number
  /** From the last byte received to the new state. */
  installSeconds: number
  /** Thrown away: what could not be built, read, kept or prepared. */
  failed: number
  /** The last entry of the one built or installed last; 0 before the first. */
  lastIndex: number
  /** Whether one is being built, and whether one is on its way in. */
  building: boolean
  receiving: boolean
}

export interface SnapshotBooks {
  readonly counters: SnapshotCounters
  /** Monotonic. */
  readonly seconds: () => number
}

export const zeroSnapshotCounters = (): SnapshotCounters => ({
  built: 0,
  buildSeconds: 0,
  sentBytes: 0,
  receivedBytes: 0,
  installed: 0,
  installSeconds: 0,
  failed: 0,
  lastIndex: 0,
  building: false,
  receiving: false
})
