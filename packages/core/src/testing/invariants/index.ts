/** All invariants that are checked at every step of a simulated cluster. */
import type { GlobalView } from "../GlobalView.ts"
import { commitKnown } from "./CommitKnown.ts"
import { commitOnDurableQuorum } from "./CommitOnDurableQuorum.ts"
import { committedImmutable } from "./CommittedImmutable.ts"
import { durableBeforeSend } from "./DurableBeforeSend.ts"
import { electionSafety } from "./ElectionSafety.ts"
import { exactlyOnce } from "./ExactlyOnce.ts"
import { identity } from "./Identity.ts"
import type { Invariant } from "./Invariant.ts"
import { leaderAppendOnly } from "./LeaderAppendOnly.ts"
import { leaderCompleteness } from "./LeaderCompleteness.ts"
import { logMatching } from "./LogMatching.ts"
import { membershipChange } from "./MembershipChange.ts"
import { monotonic } from "./Monotonic.ts"
import { oneVote } from "./OneVote.ts"
import { ordering } from "./Ordering.ts"
import { ownTermCommit } from "./OwnTermCommit.ts"
import { bounded } from "./Quiescence.ts"
import { quorumOfVoters } from "./QuorumOfVoters.ts"
import { refusedIsSilent } from "./RefusedIsSilent.ts"
import { slowMinority } from "./SlowMinority.ts"
import { stability } from "./Stability.ts"
import { stateDigests } from "./StateDigests.ts"
import { stateMachineSafety } from "./StateMachineSafety.ts"

export const allInvariants: ReadonlyArray<(view: GlobalView) => Invariant> = [
  electionSafety,
  leaderAppendOnly,
  logMatching,
  leaderCompleteness,
  stateMachineSafety,
  stateDigests,
  exactlyOnce,
  committedImmutable,
  // Before I7: it is the more exact reproach where an old term's entry is counted.
  ownTermCommit,
  commitOnDurableQuorum,
  monotonic,
  ordering,
  oneVote,
  durableBeforeSend,
  quorumOfVoters,
  membershipChange,
  identity,
  refusedIsSilent,
  bounded,
  stability,
  slowMinority,
  commitKnown
]
