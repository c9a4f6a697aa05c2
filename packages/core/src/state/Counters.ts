/** What a node counts from its start on, for its metrics. */
export interface Counters {
  elections: number
  leaderChanges: number
  preVotesRejected: number
  readRounds: number
  /** Writes sent to the leader, and how many of them were sent before. */
  forwarded: number
  retried: number
  disagreements: number
  snapshotsInstalled: number
  /** How often this node, leading, was held up for more than half an election time-out. */
  pauses: number
}

export const zeroCounters = (): Counters => ({
  elections: 0,
  leaderChanges: 0,
  preVotesRejected: 0,
  readRounds: 0,
  forwarded: 0,
  retried: 0,
  disagreements: 0,
  snapshotsInstalled: 0,
  pauses: 0
})
