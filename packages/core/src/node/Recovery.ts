/**
 * What a node finds at its start: the state of its last checkpoint, and the log after it, which is read once to learn
 * the memberships in it and to fill the memory window.
 */
import { Effect } from "effect"
import { howToReplace, StorageFailed } from "../DistKvError.ts"
import { decodeCommand } from "../domain/CommandCodec.ts"
import { flawOfFeatures } from "../domain/Features.ts"
import { commandKind, type LogEntry } from "../domain/LogEntry.ts"
import { emptyMembership } from "../domain/Membership.ts"
import { type LogId, type LogIndex, logStart } from "../domain/Position.ts"
import { TermRuns } from "../domain/TermRuns.ts"
import { LogStore, type RecoveredLog } from "../LogStore.ts"
import { MembershipLog } from "../state/MembershipLog.ts"
import { RaftLog } from "../state/RaftLog.ts"
import { StateMachine } from "../state/StateMachine.ts"
import { StateStore } from "../StateStore.ts"

const pageBytes = 4 * 1024 * 1024

export interface Recovered {
  readonly log: RaftLog
  readonly machine: StateMachine
  readonly memberships: MembershipLog
}

const isSamePlace = (a: LogId, b: LogId | null): boolean => b !== null && a.index === b.index && a.term === b.term

export const recoverState = Effect.fnUntraced(function*(
  found: RecoveredLog,
  windowBytes: number
): Effect.fn.Return<Recovered, StorageFailed, LogStore | StateStore> {
  const logStore = yield* LogStore
  const stateStore = yield* StateStore
  const meta = yield* stateStore.recover
  const applied = meta?.applied ?? logStart
  let terms = new TermRuns(found.terms, found.last, found.base)
  let { sizes } = found
  const isAhead = applied.index > found.base.index && terms.termAt(applied.index) !== applied.term
  if (isAhead && isSamePlace(applied, yield* stateStore.installed)) {
    // A snapshot was installed, and the log was to begin anew after it when the node ended.
    yield* logStore.write({ hardState: null, entries: [], reset: applied })
    terms = new TermRuns([], applied.index, applied)
    sizes = []
  }
  const { last } = terms
  if (terms.termAt(applied.index) !== applied.term) {
    return yield* new StorageFailed({
      message:
        `the checkpointed state stands at entry ${applied.index} of term ${applied.term}, which the log, ending ` +
        `at ${found.last}, does not have: log and state do not belong together. ${howToReplace}`
    })
  }
  const log = new RaftLog(terms, sizes)
  const memberships = new MembershipLog(
    meta === null ? (0 as LogIndex) : applied.index,
    meta?.membership ?? emptyMembership
  )
  let window: Array<LogEntry> = []
  let weight = 0
  for (let from = applied.index + 1; from <= last;) {
    const page = yield* logStore.read(from as LogIndex, last, pageBytes)
    if (page.length === 0) {
      return yield* new StorageFailed({ message: `the log lacks entry ${from}, although it ends at ${last}` })
    }
    let oldest = 0
    for (const entry of page) {
      if (entry.kind === commandKind.Configure) {
        const command = decodeCommand(entry.record)
        if (command._tag === "Configure") memberships.append(entry.index, command.membership)
      }
      window.push(entry)
      weight += entry.record.length
      while (weight > windowBytes && oldest < window.length - 1) weight -= window[oldest++]!.record.length
    }
    // However long the tail is, only what the window shall hold stays in memory.
    if (oldest > 0) window = window.slice(oldest)
    from += page.length
  }
  for (let i = window.length - 1; i >= 0; i--) log.prepend(window[i]!)
  const flaw = flawOfFeatures(memberships.current.features ?? 0)
  if (flaw !== null) return yield* new StorageFailed({ message: flaw })
  return { log, memberships, machine: new StateMachine(stateStore, meta) }
})
