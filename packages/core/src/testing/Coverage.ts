/**
 * What has occurred in simulated runs: transitions between roles, and which message met a node in which role. A run
 * proves nothing about what did not happen in it, so the totals are asserted.
 */
import type { PeerMessage } from "../domain/PeerMessage.ts"
import type { Role } from "../domain/Role.ts"
import { ailments } from "./Ailment.ts"
import { crashPoints, rareCrashPoints } from "./CrashPoint.ts"
import { type FaultClass, faultClasses } from "./SimPlan.ts"

export class Coverage {
  /** How often, by `Follower>Candidate`; a node begins each of its runs as `start`. */
  readonly transitions = new Map<string, number>()
  /** How often, by `VoteRequest@Leader`: what a node was sent, and its role when it arrived. */
  readonly meetings = new Map<string, number>()
  /** How often anything else of interest happened, by its name. */
  readonly happenings = new Map<string, number>()

  transition(from: Role | "start", to: Role): void {
    count(this.transitions, `${from}>${to}`)
  }

  meeting(message: PeerMessage["_tag"], role: Role): void {
    count(this.meetings, `${message}@${role}`)
  }

  happened(name: string): void {
    count(this.happenings, name)
  }
}

const count = (counts: Map<string, number>, name: string): void => void counts.set(name, (counts.get(name) ?? 0) + 1)

/** What many runs added up to. */
export interface CoverageTotals {
  readonly faults: ReadonlyMap<string, number>
  readonly transitions: ReadonlyMap<string, number>
  readonly meetings: ReadonlyMap<string, number>
  readonly happenings: ReadonlyMap<string, number>
}

/**
 * Fault classes under the name by which what they bring about is counted, among the faults or the happenings, where
 * that is another one. An order that is given to a cluster is no more than a wish.
 */
const countedAs: Partial<Record<FaultClass, string>> = {
  drop: "dropped",
  dropType: "droppedByType",
  delay: "spiked",
  clog: "clogged",
  duplicate: "duplicated",
  replay: "replayed",
  reorder: "reordered",
  narrow: "overflowed",
  join: "joined",
  remove: "removed",
  standing: "voter>learner",
  address: "address changed",
  transfer: "leadership handed over",
  rotSnapshot: "damaged snapshot judged",
  replace: "came for a lost one"
}

/** Classes that change how a whole run goes, and are counted once for each run that they are on in. */
export const wholeRunClasses: ReadonlyArray<FaultClass> = ["clockRate", "clockFar", "tight", "fuzz"]

/** Of these one befalls one node of a run at most, so each is seldom: a few must be seen, and all of them often. */
const losses: ReadonlyArray<FaultClass> = ["wipe", "rot", "rollback", "rotRow", "rotStart"]

const roles: ReadonlyArray<Role> = ["Follower", "Candidate", "Leader"]

/** Raft's own figure 4, and a start in each role that a node can start in. */
const expectedTransitions: ReadonlyArray<string> = [
  "start>Follower",
  "Follower>Candidate",
  "Candidate>Follower",
  "Candidate>Leader",
  "Leader>Follower"
]

/** Messages that reach nodes in every role sooner or later: by delay, duplication, or a change of role on the way. */
const expectedMessages: ReadonlyArray<PeerMessage["_tag"]> = [
  "AppendRequest",
  "AppendReply",
  "VoteRequest",
  "VoteReply",
  "ForwardRequest",
  "ForwardReply",
  "ReadIndexRequest",
  "ReadIndexReply",
  "TimeoutNow",
  "LinkReport",
  "StateDigest",
  "AdminRequest"
]

/** Messages that are said to followers, or to leaders, and to nobody else on purpose. */
const expectedMeetings: ReadonlyArray<string> = [
  "AdminReply@Follower",
  "AdminReply@Leader",
  "SnapshotPiece@Follower",
  "SnapshotReply@Leader",
  "Refused@Follower"
]

/** They meet others only where a role changes while they are under way. */
const rareMeetings: ReadonlyArray<string> = [
  "AdminReply@Candidate",
  "SnapshotPiece@Candidate",
  "SnapshotPiece@Leader",
  "SnapshotReply@Candidate",
  "SnapshotReply@Follower"
]

/** What becomes of snapshots and members. */
const expectedHappenings: ReadonlyArray<string> = [
  "install",
  "install of a later generation",
  "install given up for another",
  "joining>voter",
  "voter>gone"
]

/** Rarer by far than others: one of many that are drawn once in some runs. */
const rareFaults: ReadonlyArray<string> = [
  ...[...crashPoints, ...rareCrashPoints].map((point) => `crash at ${point}`),
  "told that it was rolled back",
  "came where a removed one was"
]
const rareHappenings: ReadonlyArray<string> = [
  "install ended with its process",
  "damaged row read",
  "start refused",
  "voter>learner",
  "learner>voter",
  "learner>gone",
  ...ailments.map((ailment) => `calm, ${ailment}`)
]

/** What has not occurred at least `times` times, rare things a tenth of that, as text. */
export const missingFrom = (totals: CoverageTotals, times: number): ReadonlyArray<string> => {
  const missing = (counts: ReadonlyMap<string, number>, names: ReadonlyArray<string>, least = times) =>
    names.filter((name) => (counts.get(name) ?? 0) < least).map((name) => `${name} (${counts.get(name) ?? 0})`)
  const lost = losses.reduce((sum, name) => sum + (totals.faults.get(name) ?? 0), 0)
  return [
    ...missing(
      new Map([...totals.happenings, ...totals.faults]),
      faultClasses.filter((name) => !losses.includes(name)).map((name) => countedAs[name] ?? name)
    ),
    ...missing(totals.faults, losses, Math.floor(times / 4)),
    ...missing(new Map([["losses", lost]]), ["losses"]),
    ...missing(totals.faults, rareFaults, Math.floor(times / 10)),
    ...missing(totals.transitions, expectedTransitions),
    ...missing(totals.happenings, expectedHappenings),
    ...missing(totals.happenings, rareHappenings, Math.floor(times / 10)),
    ...missing(totals.meetings, expectedMessages.flatMap((message) => roles.map((role) => `${message}@${role}`))),
    ...missing(totals.meetings, expectedMeetings),
    ...missing(totals.meetings, rareMeetings, Math.floor(times / 10))
  ]
}

/** Adds what one run counted. */
export const addCounts = (totals: Map<string, number>, counts: Readonly<Record<string, number>>): void => {
  for (const [name, times] of Object.entries(counts)) totals.set(name, (totals.get(name) ?? 0) + times)
}
