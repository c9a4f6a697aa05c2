/**
 * What is done with a node's stores while the node does not run: checking them, bringing the state up to the log, and
 * making the first state of a new cluster.
 */
import { Effect, Result, type Scope } from "effect"
import { StorageFailed } from "../DistKvError.ts"
import { decodeCommand } from "../domain/CommandCodec.ts"
import { compareKeys, type Key } from "../domain/Entry.ts"
import { ownFeatures } from "../domain/Features.ts"
import type { HistoryEvent } from "../domain/HistoryEvent.ts"
import type { Identity } from "../domain/Identity.ts"
import type { Member, Membership } from "../domain/Membership.ts"
import { after, type LogId, logStart, type Revision, type Term } from "../domain/Position.ts"
import type { MalformedSnapshot, SnapshotHeader } from "../domain/Snapshot.ts"
import { SnapshotRenewal } from "../domain/SnapshotRenewal.ts"
import { SnapshotWriter } from "../domain/SnapshotWriter.ts"
import { LogStore, type RecoveredLog } from "../LogStore.ts"
import { founding } from "../rules/Reconfiguration.ts"
import { Sessions } from "../rules/Sessions.ts"
import { headerOfState, type SnapshotUnwritten, type StateMeta, StateStore } from "../StateStore.ts"
import { recoverState } from "./Recovery.ts"

export { revisionGap } from "../domain/SnapshotRenewal.ts"
export { drawClusterId, drawIncarnation, drawNodeId } from "./Identify.ts"

/** What a log or a state was found to hold; `problems` is empty where all of it is sound. */
export interface LogFindings {
  readonly found: RecoveredLog
  readonly entries: number
  readonly bytes: number
  readonly problems: ReadonlyArray<string>
}
export interface StateFindings {
  readonly meta: StateMeta | null
  readonly entries: number
  readonly bytes: number
  readonly events: number
  readonly sessions: number
  readonly problems: ReadonlyArray<string>
}

const pageBytes = 4 * 1024 * 1024
/** Rows looked at in one turn. */
const rowsPerTurn = 2048
/** Problems told; a store that is damaged has thousands of them. */
const problemsMost = 20

/** What the log says of itself at its start. */
export const foundLog: Effect.Effect<{ readonly found: RecoveredLog }, StorageFailed, LogStore> = Effect.gen(
  function*() {
    return { found: yield* (yield* LogStore).recover }
  }
)

/** Reads every record of the log: checksums, order, terms, and whether each is a command that this program knows. */
export const checkLog: Effect.Effect<LogFindings, StorageFailed, LogStore> = Effect.gen(function*() {
  const store = yield* LogStore
  const found = yield* store.recover
  const problems: Array<string> = []
  let entries = 0
  let bytes = 0
  let term: Term = found.base.term
  let from = found.first
  let step = pageBytes
  while (from <= found.last && problems.length < problemsMost) {
    const page = yield* Effect.result(store.read(from, found.last, step))
    if (page._tag === "Failure") {
      // One record of the page is damaged: from here on they are read one by one, so that those behind it are seen.
      if (step === 1) {
        problems.push(page.failure.message)
        from = after(from)
      }
      step = 1
      continue
    }
    if (page.success.length === 0) {
      problems.push(`the log lacks entry ${from}, although it ends at ${found.last}`)
      break
    }
    for (const entry of page.success) {
      if (entry.index !== from) problems.push(`where entry ${from} is next stands entry ${entry.index}`)
      if (entry.term < term) problems.push(`the term falls from ${term} to ${entry.term} at entry ${entry.index}`)
      term = entry.term
      from = after(entry.index)
      entries++
      bytes += entry.record.length
      const flaw = attempt(() => void decodeCommand(entry.record))
      if (flaw !== null) problems.push(`entry ${entry.index}: ${flaw}`)
    }
  }
  return { found, entries, bytes, problems }
})

/** Reads every row of the state, and holds the rows against what the state says of itself. */
export const checkState: Effect.Effect<StateFindings, StorageFailed, StateStore> = Effect.gen(function*() {
  const store = yield* StateStore
  const meta = yield* store.recover
  const problems: Array<string> = []
  const note = (problem: string) => {
    if (problems.length < problemsMost) problems.push(problem)
  }
  const revision = meta?.revision ?? 0
  let entries = 0
  let bytes = 0
  let last: Key | null = null
  while (problems.length < problemsMost) {
    let seen = 0
    const failure = attempt(() => {
      for (const { createRevision, key, modRevision, value, version } of store.scanUnsafe(scanFrom(last))) {
        if (key === last) continue
        if (last !== null && compareKeys(last, key) > 0) note(`the key ${JSON.stringify(key)} is out of order`)
        if (createRevision > modRevision || modRevision > revision || version < 1) {
          note(`the entry ${JSON.stringify(key)} has impossible revisions`)
        }
        last = key
        entries++
        bytes += value.length
        if (++seen === rowsPerTurn) break
      }
    })
    // The scan stands before the damaged row and cannot pass it.
    if (failure !== null) note(failure)
    if (failure !== null || seen < rowsPerTurn) break
    yield* Effect.yieldNow
  }
  if (meta !== null && problems.length === 0 && entries !== meta.keys) {
    note(`the state holds ${entries} entries and claims to hold ${meta.keys}`)
  }
  const events = yield* checkHistory(store, meta, note)
  const sessions = new Sessions()
  let rows = 0
  const failure = attempt(() => {
    const all = [...store.sessionsUnsafe()]
    rows = all.length
    const flaw = sessions.load(all)
    if (flaw !== null) note(`a row of the sessions is damaged: ${flaw}`)
  })
  if (failure !== null) note(failure)
  return { meta, entries, bytes, events, sessions: rows, problems }
})

const scanFrom = (from: Key | null) => ({ from, to: null, prefix: null, reverse: false, keysOnly: false })

/** Why looking failed; null where it did not. */
const attempt = (look: () => void): string | null => {
  const looked = Result.try(look)
  if (Result.isSuccess(looked)) return null
  return looked.failure instanceof Error ? looked.failure.message : String(looked.failure)
}

/** Every kept revision has an event, in order; returns how many revisions were seen. */
const checkHistory = Effect.fnUntraced(function*(
  store: StateStore["Service"],
  meta: StateMeta | null,
  note: (problem: string) => void
): Effect.fn.Return<number> {
  if (meta === null) return 0
  let seen = 0
  let written = 0
  for (let next = meta.compactRevision + 1; next <= meta.revision; next++) {
    let event: HistoryEvent | undefined
    const failure = attempt(() => (event = store.eventAtUnsafe(next as Revision)))
    if (failure !== null || event === undefined || event.revision !== next) {
      note(failure ?? `the history lacks revision ${next}`)
      return seen
    }
    if (event.historyBytes < written) note(`the history's bytes fall at revision ${next}`)
    written = event.historyBytes
    if (++seen % rowsPerTurn === 0) yield* Effect.yieldNow
  }
  return seen
})

/** What a node that runs no more knew: who its members were, and all its entries as of the end of its log. */
export interface Remains {
  readonly membership: Membership
  readonly applied: LogId
  readonly revision: Revision
  readonly keys: number
  /** The next piece of a snapshot of it, null after the last. It has no history, and no sessions. */
  readonly next: Effect.Effect<Uint8Array | null, StorageFailed>
}

/**
 * Applies in memory what the log has beyond the state, and changes nothing on disk. Entries at the end of the log may
 * never have been committed; taking them loses nothing that was acknowledged and is on this disk.
 */
export const remains: Effect.Effect<Remains, StorageFailed, LogStore | StateStore> = Effect.gen(function*() {
  const logStore = yield* LogStore
  const found = yield* logStore.recover
  const { machine, memberships } = yield* recoverState(found, 1)
  while (machine.applied < found.last) {
    const page = yield* logStore.read(after(machine.applied), found.last, pageBytes)
    for (const entry of page) machine.apply(entry)
    if (page.length === 0) {
      return yield* new StorageFailed({ message: `the log lacks entry ${after(machine.applied)}` })
    }
  }
  const membership = memberships.current
  const { meta } = machine.freeze()
  const chunks: Array<Uint8Array> = []
  const header = { ...headerOfState(meta, null), compactRevision: meta.revision, historyCutBytes: meta.historyBytes }
  const writer = new SnapshotWriter(header, (chunk) => void chunks.push(chunk))
  let from: Key | null = null
  let isOver = false
  const addRows = (): void => {
    let seen = 0
    for (const entry of machine.scan(scanFrom(from))) {
      if (entry.key === from) continue
      writer.add({ _tag: "Entry", entry })
      from = entry.key
      if (++seen === rowsPerTurn) return
    }
    isOver = true
    writer.end()
  }
  const next = Effect.try({
    try: () => {
      while (chunks.length === 0 && !isOver) addRows()
      return chunks.shift() ?? null
    },
    catch: (cause) =>
      cause instanceof StorageFailed ? cause : new StorageFailed({ message: "the state cannot be read", cause })
  })
  return { membership, applied: meta.applied, revision: meta.revision, keys: meta.keys, next }
})

/**
 * Makes empty stores those of a new cluster whose only member is `identity`, with the entries of a snapshot, which
 * comes in pieces. Returns the header of the snapshot itself.
 */
export const beginFrom = Effect.fnUntraced(function*<E, R>(
  identity: Identity & { readonly clusterId: NonNullable<Identity["clusterId"]> },
  self: Omit<Member, "standing">,
  pieces: Effect.Effect<Uint8Array | null, E, R>
): Effect.fn.Return<
  SnapshotHeader,
  E | MalformedSnapshot | SnapshotUnwritten | StorageFailed,
  R | LogStore | StateStore | Scope.Scope
> {
  const logStore = yield* LogStore
  const stateStore = yield* StateStore
  yield* logStore.saveIdentity(identity)
  const membership = { ...founding(self), features: ownFeatures }
  const renewal = new SnapshotRenewal({ clusterId: identity.clusterId, membership })
  const incoming = yield* stateStore.receive
  const malformed = (cause: unknown) => cause as MalformedSnapshot
  while (true) {
    const piece = yield* pieces
    if (piece === null) break
    for (const chunk of yield* Effect.try({ try: () => renewal.push(piece), catch: malformed })) {
      yield* incoming.append(chunk)
    }
  }
  const { header, rest } = yield* Effect.try({ try: () => renewal.end(), catch: malformed })
  for (const chunk of rest) yield* incoming.append(chunk)
  yield* incoming.prepare
  yield* incoming.install
  const last = header.last.index === 0 ? logStart : header.last
  yield* logStore.write({ hardState: { term: last.term, votedFor: null }, reset: last, entries: [] })
  return header
})
