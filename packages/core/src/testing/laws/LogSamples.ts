/** What the laws of the `LogStore` port put into logs, and how they look at it. */
import { Effect } from "effect"
import type { Command } from "../../domain/Command.ts"
import type { Key } from "../../domain/Entry.ts"
import type { Identity, Incarnation, NodeId } from "../../domain/Identity.ts"
import type { LogEntry } from "../../domain/LogEntry.ts"
import { type LogId, type LogIndex, logStart, type Term } from "../../domain/Position.ts"
import { entryOf } from "../../domain/RecordCodec.ts"
import type { HardState, LogStore, TermRun } from "../../LogStore.ts"
import type { StoreHarness, StoreLaw } from "./StoreLaw.ts"
import { expectEqual } from "./StoreLaw.ts"

type Store = LogStore["Service"]
export type LogStoreHarness = StoreHarness<Store, LogIndex>
export type LogStoreLaw = StoreLaw<Store, LogIndex>

export const at = (index: number) => index as LogIndex
export const unlimited = Number.MAX_SAFE_INTEGER

export const identity: Identity = {
  nodeId: "n1" as NodeId,
  incarnation: "0123456789abcdef0123456789abcdef" as Incarnation,
  clusterId: null,
  founding: true,
  raftPort: 4711
}

export const hard = (term: number, votedFor: string | null): HardState => ({
  term: term as Term,
  votedFor: votedFor as NodeId | null
})

export const put = (value: Uint8Array): Command => ({
  _tag: "Put",
  key: "key" as Key,
  value,
  ifRevision: null,
  previous: false,
  leaseId: null
})

export const entry = (
  term: number,
  index: number,
  command: Command = put(Uint8Array.of(term, index & 0xff))
): LogEntry =>
  entryOf({ term: term as Term, index: at(index), session: at(0), sequence: at(0), unacknowledged: at(0), command })

export const entries = (term: number, from: number, to: number): ReadonlyArray<LogEntry> =>
  Array.from({ length: to - from + 1 }, (_, i) => entry(term, from + i))

export const opened = <A, E>(harness: LogStoreHarness, body: (store: Store) => Effect.Effect<A, E>) =>
  Effect.scoped(Effect.flatMap(harness.open, body))

/** Opens the store, gives it an identity, runs the body, closes it. */
export const founded = <A, E>(harness: LogStoreHarness, body: (store: Store) => Effect.Effect<A, E>) =>
  opened(harness, (store) => Effect.andThen(store.saveIdentity(identity), body(store)))

export const write = (store: Store, written: ReadonlyArray<LogEntry>, hardState: HardState | null = null) =>
  store.write({ hardState, entries: written })

/** A log with these entries and no others, which begins after `base`. */
export const expectLog = Effect.fnUntraced(function*(
  what: string,
  store: Store,
  expected: ReadonlyArray<LogEntry>,
  base: LogId = logStart
) {
  const recovered = yield* store.recover
  yield* expectEqual(`${what}: base`, recovered.base, base)
  yield* expectEqual(`${what}: first index`, recovered.first, base.index + 1)
  yield* expectEqual(`${what}: last index`, recovered.last, base.index + expected.length)
  yield* expectEqual(`${what}: entries`, yield* store.read(at(1), at(unlimited), unlimited), expected)
  yield* expectEqual(`${what}: terms`, recovered.terms, termsOf(expected))
  const { sizes = [] } = recovered
  const isOdd = sizes.some(({ index, total }, i) =>
    index <= base.index || index > recovered.last ||
    (i > 0 && (index <= sizes[i - 1]!.index || total <= sizes[i - 1]!.total))
  )
  yield* expectEqual(`${what}: sizes that do not rise within the log`, isOdd ? sizes : [], [])
})

const termsOf = (log: ReadonlyArray<LogEntry>): ReadonlyArray<TermRun> =>
  log.filter(({ term }, i) => i === 0 || log[i - 1]!.term !== term).map(({ index, term }) => ({ term, first: index }))

export const law = (name: string, check: LogStoreLaw["check"]): LogStoreLaw => ({ name, check })
