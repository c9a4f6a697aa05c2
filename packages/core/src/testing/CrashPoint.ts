/** Moments at which a simulated node may lose power: right before or after what must not be torn apart. */

export const crashPoints = [
  "log write issued",
  "log write done",
  "log write told",
  "checkpoint issued",
  "checkpoint done",
  "snapshot issued",
  "snapshot done",
  "install issued",
  "install done",
  "term or vote written",
  "entries appended",
  "entry applied",
  "commit advanced",
  "elected",
  "configuration appended",
  "AppendRequest sent",
  "AppendReply sent",
  "VoteRequest sent",
  "VoteReply sent",
  "ForwardReply sent",
  "ReadIndexReply sent",
  "TimeoutNow sent"
] as const

/** Moments that only some nodes ever come to, drawn by a class of their own. */
export const rareCrashPoints = [
  "truncation issued",
  "truncation done",
  "compaction issued",
  "compaction done",
  "identity issued",
  "identity done",
  "SnapshotPiece sent",
  "SnapshotReply sent"
] as const

export type CrashPoint = (typeof crashPoints)[number] | (typeof rareCrashPoints)[number]

/** Passed by few nodes, and by those a few times in a run: a trap that waits for one node to pass never springs. */
export const seldomPassed: ReadonlySet<CrashPoint> = new Set<CrashPoint>([
  "snapshot issued",
  "snapshot done",
  "install issued",
  "install done",
  ...rareCrashPoints
])

/** Waits for one point to be passed so many times. */
export class CrashTrap {
  private point: CrashPoint | null = null
  private left = 0
  private spring: () => void = () => {}

  arm(point: CrashPoint, times: number, spring: () => void): void {
    this.point = point
    this.left = times
    this.spring = spring
  }

  disarm(): void {
    this.point = null
  }

  /** The node passes this point. Returns whether the trap has just sprung. */
  pass(point: CrashPoint): boolean {
    if (this.point !== point || --this.left > 0) return false
    this.point = null
    this.spring()
    return true
  }
}
