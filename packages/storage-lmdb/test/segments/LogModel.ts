/** A log under losses of power, beside a model that says what it should hold. */
import type { HardState, LogEntry, LogId, LogIndex, Term } from "@distkv/core"
import { entryOf } from "@distkv/core"
import type { Step } from "../../src/segments/Frame.ts"
import type { SegmentLog } from "../../src/segments/SegmentLog.ts"
import { hardState } from "../directories.ts"
import type { PowerDisk } from "./PowerDisk.ts"

/** What a log should hold. */
export interface Model {
  readonly hardState: HardState
  readonly base: LogId
  readonly entries: ReadonlyArray<LogEntry>
}

export const nothingYet: Model = {
  hardState: hardState(0, null),
  base: { term: 0 as Term, index: 0 as LogIndex },
  entries: []
}

export const lastOf = ({ base, entries }: Model): number => entries.at(-1)?.index ?? base.index

export const after = (model: Model, step: Step): Model => {
  const base = step.base ?? model.base
  const first = step.entries[0]?.index ?? Number.POSITIVE_INFINITY
  const before = step.reset ? [] : model.entries.filter(({ index }) => index < first && index > base.index)
  return { hardState: step.hardState ?? model.hardState, base, entries: [...before, ...step.entries] }
}

/** An entry with a value of so many bytes. */
export const entryWith = (term: number, index: number, sequence: number, valueBytes: number): LogEntry =>
  entryOf({
    term: term as Term,
    index: index as LogIndex,
    session: 0 as LogIndex,
    sequence: sequence as LogIndex,
    unacknowledged: 0 as LogIndex,
    command: {
      _tag: "Put",
      key: "k" as never,
      value: Buffer.alloc(valueBytes, index),
      ifRevision: null,
      previous: false,
      leaseId: null
    }
  })

/** What a log holds. */
export const told = async (log: SegmentLog): Promise<Model> => ({
  hardState: log.hardState ?? nothingYet.hardState,
  base: log.base,
  entries: await log.read(
    (log.base.index + 1) as LogIndex,
    Number.MAX_SAFE_INTEGER as LogIndex,
    Number.MAX_SAFE_INTEGER
  )
})

/** Waits until it is done, and answers whether it was before the power went. Rejects where it failed. */
export const turns = async (some: Promise<unknown>, disk: PowerDisk): Promise<boolean> => {
  let done = false
  let failed: unknown = null
  some.then(() => {
    done = true
  }, (cause: unknown) => {
    failed = cause
  })
  while (!done && failed === null && !disk.isOff) await new Promise((resolve) => setImmediate(resolve))
  if (failed !== null) throw failed
  return done
}
