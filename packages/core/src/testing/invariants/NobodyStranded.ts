/** I29, over the whole history. */
import { evidenceOf, type History } from "../History.ts"

/** I29: nobody waits for ever. */
export const nobodyIsStranded = (history: History): ReadonlyArray<string> =>
  history.pending().map((call) => `still waits: ${evidenceOf(call)}`)
