/** What is judged over the whole history of a run, once all faults have ended and all nodes agree. */
import type { AppliedHistory } from "../AppliedHistory.ts"
import type { History } from "../History.ts"
import { failuresAreFinal } from "./FinalFailures.ts"
import { acknowledgedWritesAreKept } from "./KeptWrites.ts"
import { isLinearizable } from "./Linearizable.ts"
import { nobodyIsStranded } from "./NobodyStranded.ts"
import { nothingIsInvented } from "./NothingInvented.ts"
import { staleReadsKeepOrder } from "./StaleReads.ts"
import { outcomesAreTrue } from "./TrueOutcomes.ts"

/** By the id of the invariant: the reasons why it does not hold. */
export const historyChecks: ReadonlyArray<
  readonly [id: string, check: (history: History, applied: AppliedHistory) => ReadonlyArray<string>]
> = [
  ["I15", acknowledgedWritesAreKept],
  ["I16", nothingIsInvented],
  ["I27", failuresAreFinal],
  ["I17", outcomesAreTrue],
  ["I29", nobodyIsStranded],
  ["I18", isLinearizable],
  ["I20", staleReadsKeepOrder]
]
