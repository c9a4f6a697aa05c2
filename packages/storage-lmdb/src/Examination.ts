/** What is checked about a directory as a whole before it is believed. Each check throws `StorageFailed`. */
import type { Identity } from "@distkv/core"
import { howToReplace, logStart, StorageFailed } from "@distkv/core"
import type { LmdbState } from "./LmdbState.ts"
import type { LogBackend } from "./LogBackend.ts"
import type { MarkFile } from "./MarkFile.ts"
import type { MetaRows } from "./MetaRows.ts"

export interface Findings {
  readonly directory: string
  readonly identity: Identity | null
  readonly mark: MarkFile
  readonly log: LogBackend
  readonly state: LmdbState
  readonly stateMeta: MetaRows
}

export const examineUnsafe = (findings: Findings): void => {
  const { identity } = findings
  if (identity === null) {
    checkUnused(findings)
    return
  }
  checkComplete(findings)
  checkOwners(findings, identity)
  checkMark(findings, identity)
  checkState(findings)
}

const refuse = (message: string): never => {
  throw new StorageFailed({ message })
}

/** Without an identity there may be the beginnings of one that a crash cut short, but nothing that was promised. */
const checkUnused = ({ directory, log, mark, state }: Findings): void => {
  const { hardState, last } = log
  const promised = last > 0 || state.found !== null || (hardState !== null && hardState.term > 0)
  const marked = mark.mark !== null && (mark.mark.floor > 0 || mark.mark.hardState.term > 0)
  if (promised) refuse(`${directory} holds data, but no identity.json: restore it. ${howToReplace}`)
  if (marked) {
    refuse(
      `the mark ${mark.path} belongs to a node that has already taken part in a cluster, but ${directory} is empty: ` +
        "restore the directory, or, for a new node, move the mark away"
    )
  }
}

const checkComplete = ({ directory, log }: Findings): void => {
  if (log.hardState === null || !log.isOwned) {
    refuse(`${directory} has an identity, but its log has no term and vote: restore the log. ${howToReplace}`)
  }
}

/** A state that was never claimed is empty, and made again from the log. */
const checkOwners = ({ directory, log, state, stateMeta }: Findings, identity: Identity): void => {
  log.checkOwnerUnsafe(identity)
  stateMeta.checkOwnerUnsafe(identity)
  if (state.found !== null && !state.isOwned) {
    refuse(`the state in ${directory} belongs to nobody. ${howToReplace}`)
  }
}

const checkMark = ({ directory, log, mark }: Findings, identity: Identity): void => {
  const found = mark.mark
  const { hardState, last } = log
  if (found === null) {
    return refuse(
      `the mark ${mark.path} of ${directory} is missing, so nobody can tell whether the directory was rolled back: put it ` +
        `back, or name its place in the settings. ${howToReplace}`
    )
  }
  if (found.incarnation !== identity.incarnation) {
    refuse(`the mark ${mark.path} belongs to another directory than ${directory}: name its place in the settings`)
  }
  const voted = found.hardState.votedFor
  const behind = hardState === null || hardState.term < found.hardState.term || last < found.floor ||
    (hardState.term === found.hardState.term && voted !== null && voted !== hardState.votedFor)
  if (behind) {
    refuse(
      `${directory} is behind its mark ${mark.path}: it has term ${hardState?.term}, vote ${hardState?.votedFor}, last ` +
        `index ${last}; the mark has term ${found.hardState.term}, vote ${voted}, index ${found.floor}. An older copy ` +
        `was restored, or the disk has lost what it had confirmed. ${howToReplace}`
    )
  }
}

/**
 * The state is made of the log, so it is never ahead of it, and both agree on the entry where it stands. A snapshot
 * that was just installed may be ahead: the log then begins anew after it.
 */
const checkState = ({ directory, log, state }: Findings): void => {
  const { base, last } = log
  const { index, term } = state.found?.applied ?? logStart
  if (log.termUnsafe(index) === term) return
  const { installed } = state
  if (index > base.index && installed !== null && installed.index === index && installed.term === term) return
  refuse(
    `the state in ${directory} has applied index ${index} of term ${term}, which the log (after index ${base.index}, ` +
      `up to ${last}) does not have: log and state are of different times. ${howToReplace}`
  )
}
