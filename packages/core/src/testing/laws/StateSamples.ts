/** What the laws of the `StateStore` port put into stores, and how they look at it. */
import { Effect } from "effect"
import type { Entry, EntryMetadata, Key } from "../../domain/Entry.ts"
import type { Address, Incarnation, NodeId, PublicKey } from "../../domain/Identity.ts"
import type { Membership } from "../../domain/Membership.ts"
import { emptyMembership } from "../../domain/Membership.ts"
import type { LogIndex, Revision, Term } from "../../domain/Position.ts"
import type { Checkpoint, HistoryEvent, PreviousEntry, Scan, StateMeta, StateStore } from "../../StateStore.ts"
import type { StoreHarness, StoreLaw } from "./StoreLaw.ts"
import { reading } from "./StoreLaw.ts"

export type Store = StateStore["Service"]
export type StateStoreHarness = StoreHarness<Store, Key>
export type StateStoreLaw = StoreLaw<Store, Key>

export const membership: Membership = {
  members: [{
    id: "n1" as NodeId,
    incarnation: "0123456789abcdef0123456789abcdef" as Incarnation,
    publicKey: "ssh-ed25519 AAAA" as PublicKey,
    address: "host-ü:1" as Address,
    http: null,
    standing: "voter"
  }],
  tombstones: [{ id: "n0" as NodeId, publicKey: "ssh-ed25519 BBBB" as PublicKey }],
  outgoing: null
}

export const rev = (revision: number) => revision as Revision

export const meta = (revision: number, more: Partial<StateMeta> = {}): StateMeta => ({
  applied: { term: 1 as Term, index: revision as LogIndex },
  revision: rev(revision),
  compactRevision: rev(0),
  historyBytes: 0,
  historyCutBytes: 0,
  keys: 0,
  membership: emptyMembership,
  ...more
})

export const row = (key: string, value: string | Uint8Array, more: Partial<Entry> = {}): Entry => ({
  key: key as Key,
  value: typeof value === "string" ? new TextEncoder().encode(value) : value,
  createRevision: rev(1),
  modRevision: rev(1),
  version: 1,
  leaseId: null,
  ...more
})

/** The metadata of an entry that an event replaced. */
export const previous = (modRevision: number, more: Partial<PreviousEntry> = {}): PreviousEntry => ({
  createRevision: rev(1),
  modRevision: rev(modRevision),
  version: 1,
  leaseId: null,
  ...more
})

export const rowsOf = (
  entries: ReadonlyArray<Entry>,
  deleted: ReadonlyArray<string> = []
): ReadonlyMap<Key, Entry | null> =>
  new Map([
    ...entries.map((entry): [Key, Entry | null] => [entry.key, entry]),
    ...deleted.map((key): [Key, null] => [key as Key, null])
  ])

export const checkpoint = (revision: number, rows: Checkpoint["rows"], more: Partial<Checkpoint> = {}): Checkpoint => ({
  meta: meta(revision),
  rows,
  history: [],
  sessions: [],
  ...more
})

export const event = (revision: number, position = 0, more: Partial<HistoryEvent> = {}): HistoryEvent => ({
  revision: rev(revision),
  position,
  key: `key${position}` as Key,
  entry: row(`key${position}`, `value of ${revision}`, { modRevision: rev(revision) }),
  previous: null,
  historyBytes: revision * 100 + position,
  ...more
})

export const everything: Scan = { from: null, to: null, prefix: null, reverse: false, keysOnly: false }

export const keysIn = (store: Store, scan: Partial<Scan>) =>
  reading(() => Array.from(store.scanUnsafe({ ...everything, ...scan }), (entry) => entry.key))

/** The metadata alone, whatever else came with them. */
export const metadataOf = ({ createRevision, key, leaseId, modRevision, version }: EntryMetadata): EntryMetadata => ({
  key,
  createRevision,
  modRevision,
  version,
  leaseId
})

export const metadataIn = (store: Store, key: string) =>
  reading(() => {
    const found = store.metadataUnsafe(key as Key)
    return found === undefined ? undefined : metadataOf(found)
  })

export const opened = <A, E>(harness: StateStoreHarness, body: (store: Store) => Effect.Effect<A, E>) =>
  Effect.scoped(Effect.flatMap(harness.open, body))

export const law = (name: string, check: StateStoreLaw["check"]): StateStoreLaw => ({ name, check })
