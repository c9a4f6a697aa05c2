/** A simulated run broke an invariant, or could not be finished. */
import type { Violation } from "./SimWorld.ts"

export class SimulationFailed extends Error {
  override readonly name = "SimulationFailed"
  readonly violation: Violation
  /** The last events, one line each. */
  readonly timeline: string
  /** The command that runs it again; null where only the test itself can. */
  readonly replay: string | null

  constructor(violation: Violation, timeline: string, replay: string | null) {
    super(
      `${violation.invariant} at ${violation.at.toFixed(3)} ms: ${violation.message}\n` +
        `${timeline}\n\n${violation.invariant} at ${violation.at.toFixed(3)} ms: ${violation.message}` +
        (replay === null ? "" : `\nreplay: ${replay}`)
    )
    this.violation = violation
    this.timeline = timeline
    this.replay = replay
  }
}
