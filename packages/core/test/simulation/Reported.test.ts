/** Runs in which something was found once, in the program or in the simulation; each has a test of its own as well. */
import { assert, describe, it } from "@effect/vitest"
import { planOf } from "../../src/testing/SimPlan.ts"
import { simulatePlan } from "../../src/testing/Simulation.ts"

/** Classes of faults that came later: without them these seeds take the paths that they took. */
const later = "ring-strobe-clockFar-narrow-crashRare-rotRow-rotStart-rotSnapshot-replace"

const reported: ReadonlyArray<readonly [token: string, what: string]> = [
  [`40061.off-${later}`, "a node on a wiped disk was taken for one without a log when it started for the second time"],
  [
    `52659.off-${later}`,
    "a node that had replaced a damaged record was taken for one without a log when it started again"
  ],
  [
    `61599.off-${later}`,
    "a held-up node was blamed for a write that it began before it could hear of the last one's failure"
  ],
  [`67761.off-${later}`, "a node gave its vote although it had been refused while its disk hung"],
  [`102407.off-${later}`, "a node whose storage failed while it closed wrote its last checkpoint nevertheless"],
  ["401905", "a disk that had hung was blamed for what its node's log had dropped before it was committed elsewhere"],
  ["402567", "a node was blamed for following a leader of a term before the one in which an entry was committed"],
  ["402292", "slow snapshots were given no longer than an election to reach those without whom nobody could commit"],
  ["405039", "an order to hand over leadership, replayed half a minute later, was blamed on the leader that obeyed it"],
  ["300384", "a write of half a second was called stuck by a clock that ran twice as fast, and the node blamed for it"],
  [
    `71033.d7522.off-duplicate-replay-coup-clockRate-tight-fuzz-${later}`,
    "a member that an operator had added, and nobody had met, was taken for a stranger when it came first"
  ]
]

describe("runs that were reported once", () => {
  for (const [token, what] of reported) {
    it(`${token}: ${what}`, () => {
      const { violation } = simulatePlan(planOf(token))
      assert.isNull(violation, violation?.message)
    }, 120_000)
  }
})
