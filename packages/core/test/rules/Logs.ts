/** Logs as lists of terms, for the tests of the rules: the entry at index i has the term at place i - 1. */
import { encodeCommand } from "../../src/domain/CommandCodec.ts"
import type { LogEntry } from "../../src/domain/LogEntry.ts"
import type { LogId, LogIndex, Term } from "../../src/domain/Position.ts"
import { logStart } from "../../src/domain/Position.ts"
import { stamp } from "../../src/domain/RecordCodec.ts"
import { TermRuns } from "../../src/domain/TermRuns.ts"
import type { FollowerLog } from "../../src/rules/LogMatching.ts"

export type Terms = ReadonlyArray<number>

export const index = (n: number): LogIndex => n as LogIndex
export const term = (n: number): Term => n as Term
export const at = (termOf: number, indexOf: number): LogId => ({ term: term(termOf), index: index(indexOf) })

/** The position of the entry at `place`; the start of every log for 0. */
export const idAt = (log: Terms, place: number): LogId => place === 0 ? logStart : at(log[place - 1] ?? 0, place)

export const entry = (termOf: number, indexOf: number): LogEntry =>
  stamp(encodeCommand({ _tag: "NoOp" }), term(termOf), index(indexOf))

/** The same log as the program knows it. */
export const followerLog = (log: Terms): FollowerLog => {
  const terms = new TermRuns([], index(0))
  for (const one of log) terms.push(term(one))
  return { last: index(log.length), terms }
}

/** How many entries two logs share from their beginning on. */
export const shared = (a: Terms, b: Terms): number => {
  const differs = a.findIndex((one, i) => one !== b[i])
  return differs < 0 ? a.length : differs
}

/**
 * Two logs as Raft can make them: equal up to somewhere, and after it of terms of which none is in both, each never
 * falling. `stem`, `left` and `right` say where terms rise.
 */
export const pairOf = (stem: Terms, left: Terms, right: Terms): readonly [Terms, Terms] => {
  const rising = (from: number, steps: Terms, step: number): Array<number> => {
    let current = from
    return steps.map((rise) => current += rise * step)
  }
  const common = rising(1, stem, 1)
  // Multiples of three and one more on one side, of three and two on the other: never the same term.
  const base = Math.ceil(((common.at(-1) ?? 1) + 1) / 3) * 3
  return [[...common, ...rising(base + 1, left, 3)], [...common, ...rising(base + 2, right, 3)]]
}
