/**
 * A sequence of writes and checkpoints in which step n is the same in every process, so that whoever finds a directory
 * after a crash can say what must be in it.
 */
import type { HardState, LogEntry } from "@distkv/core"
import { crc32 } from "node:zlib"
import { hardState, noOps } from "./directories.ts"

export interface Step {
  readonly hardState: HardState | null
  readonly entries: ReadonlyArray<LogEntry>
}

/** A number below `limit` that depends on the step and the purpose only. */
const draw = (step: number, purpose: string, limit: number): number => crc32(`${purpose} ${step}`) % limit

/** The log after some steps. */
export interface Model {
  readonly step: number
  readonly hardState: HardState
  readonly log: ReadonlyArray<LogEntry>
}

export const emptyModel: Model = { step: 0, hardState: hardState(0, null), log: [] }

/** What step `model.step + 1` writes: mostly more entries, now and then a new term, which may replace the log's end. */
export const nextStep = ({ hardState: current, log, step }: Model): Step => {
  const next = step + 1
  const newTerm = draw(next, "term", 4) === 0
  const term = newTerm ? current.term + 1 : Math.max(1, current.term)
  const replaced = newTerm ? Math.min(log.length, draw(next, "replace", 12)) : 0
  const from = log.length - replaced + 1
  return {
    hardState: newTerm || current.term === 0 ? hardState(term, `n${next % 3}`) : null,
    entries: noOps(term, from, from + draw(next, "count", 9))
  }
}

export const after = (model: Model, step: Step): Model => ({
  step: model.step + 1,
  hardState: step.hardState ?? model.hardState,
  log: step.entries.length === 0 ? model.log : [...model.log.slice(0, step.entries[0]!.index - 1), ...step.entries]
})
