/** A store in a `Map`, behind the service's interface: what HTTP is tested against where no node is needed. */
import {
  type Address,
  type ClusterId,
  CompareFailed,
  compareKeys,
  DistKv,
  type Entry,
  InvalidRequest,
  type Key,
  KeyNotFound,
  type LogIndex,
  type Member,
  MembershipRejected,
  type MemberStatus,
  type NodeId,
  type NodeMetrics,
  NotFound,
  type PublicKey,
  type Revision,
  SessionExpired,
  type Status,
  type Term
} from "@distkv/core"
import { Effect, Layer, Stream } from "effect"

type Service = typeof DistKv.Service

const nodeId = "n1" as NodeId
const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f" as PublicKey
const address = "127.0.0.1:12000" as Address

const member: MemberStatus = {
  id: nodeId,
  incarnation: null,
  publicKey,
  address,
  http: "http://127.0.0.1:11000",
  standing: "voter",
  healthy: true,
  lastContactMs: 0,
  match: 7 as LogIndex,
  lag: 0,
  version: "0.1.0",
  missingKeys: [],
  rolledBack: false
}

const noMetrics: NodeMetrics = {
  electionsStarted: 1,
  leaderChanges: 1,
  preVotesRejected: 0,
  leaderPauses: 0,
  disagreements: 0,
  proposalsPending: 0,
  proposals: 0,
  proposalsFailed: 0,
  readsPending: 0,
  reads: 0,
  readRounds: 0,
  forwarded: 0,
  retried: 0,
  sessions: 0,
  overloaded: 0,
  peerMessagesDropped: 0,
  peerWritesRefused: 0,
  logCommits: 0,
  logCommitSeconds: 0,
  logBytes: 0,
  logEntries: 0,
  checkpoints: 0,
  checkpointSeconds: 0,
  snapshotsBuilt: 0,
  snapshotBuildSeconds: 0,
  snapshotSentBytes: 0,
  snapshotReceivedBytes: 0,
  snapshotsInstalled: 0,
  snapshotInstallSeconds: 0,
  snapshotsFailed: 0,
  snapshotLastIndex: 0,
  snapshotBuilding: false,
  snapshotReceiving: false,
  overlayBytes: 0,
  keys: 0,
  peers: [{ id: "n2" as NodeId, connected: true, sentBytes: 1, receivedBytes: 2, droppedMessages: 0 }]
}

const encoder = new TextEncoder()
const bytesOf = (value: Uint8Array | string): Uint8Array =>
  typeof value === "string" ? encoder.encode(value) : Uint8Array.from(value)

/** Page limits of `semantics.md` §2. */
const maxPageBytes = 4 * 1024 * 1024

/** One store; `commands` counts what would have become log entries. */
export class FakeStore {
  readonly entries = new Map<string, Entry>()
  revision = 0 as Revision
  commands = 0
  ready = { leader: true, applied: true, storage: true, open: true, member: true }

  put(key: string, value: Uint8Array | string, revision: Revision): { created: boolean; previous: Entry | null } {
    const previous = this.entries.get(key) ?? null
    this.entries.set(key, {
      key: key as Key,
      value: bytesOf(value),
      createRevision: previous?.createRevision ?? revision,
      modRevision: revision,
      version: (previous?.version ?? 0) + 1,
      leaseId: null
    })
    return { created: previous === null, previous }
  }

  next(): Revision {
    return this.revision = (this.revision + 1) as Revision
  }

  get sorted(): ReadonlyArray<Entry> {
    return [...this.entries.values()].sort((a, b) => compareKeys(a.key, b.key))
  }

  get status(): Status {
    return {
      clusterId: "0123456789abcdef0123456789abcdef" as ClusterId,
      nodeId,
      publicKey,
      address,
      role: "leader",
      term: 3 as Term,
      leader: nodeId,
      commit: 7 as LogIndex,
      applied: 7 as LogIndex,
      revision: this.revision,
      failureTolerance: 0,
      members: [member],
      ready: this.ready,
      refused: null
    }
  }
}

const guardFails = (store: FakeStore, key: string, ifRevision: number | undefined): CompareFailed | undefined => {
  const current = store.entries.get(key) ?? null
  return ifRevision === undefined || ifRevision === (current?.modRevision ?? 0)
    ? undefined
    : new CompareFailed({ current, revision: store.revision })
}

const range = (
  store: FakeStore,
  options: {
    readonly prefix?: string | undefined
    readonly from?: string | undefined
    readonly to?: string | undefined
  }
) =>
  store.sorted.filter(({ key }) =>
    key.startsWith(options.prefix ?? "") &&
    (options.from === undefined || compareKeys(key, options.from) >= 0) &&
    (options.to === undefined || compareKeys(key, options.to) < 0)
  )

const known = (id: string): Effect.Effect<Member, NotFound> =>
  id === "n1" ? Effect.succeed(member) : Effect.fail(new NotFound({ message: `${id} is no member` }))

/** The service over `store`. */
export const fakeService = (store: FakeStore): Service =>
  DistKv.of({
    get: (key, options) =>
      Effect.suspend(() => {
        const entry = store.entries.get(key)
        return entry === undefined
          ? Effect.fail(
            new KeyNotFound({ key, revision: store.revision, consistency: options?.consistency ?? "linearizable" })
          )
          : Effect.succeed({
            ...entry,
            revision: store.revision,
            consistency: options?.consistency === "stale" ? "stale" as const : "linearizable" as const
          })
      }),
    set: (key, value, options) =>
      Effect.suspend(() => {
        store.commands++
        const failed = guardFails(store, key, options?.ifRevision)
        if (failed !== undefined) return Effect.fail(failed)
        const revision = store.next()
        const { created, previous } = store.put(key, value, revision)
        return Effect.succeed(options?.previous === true ? { revision, created, previous } : { revision, created })
      }),
    setMany: (entries) =>
      Effect.sync(() => {
        store.commands++
        const revision = store.next()
        for (const [key, value] of entries) store.put(key, value, revision)
        return { revision }
      }),
    delete: (key, options) =>
      Effect.suspend(() => {
        store.commands++
        const failed = guardFails(store, key, options?.ifRevision)
        if (failed !== undefined) return Effect.fail(failed)
        const deleted = store.entries.delete(key)
        return Effect.succeed({ revision: deleted ? store.next() : store.revision, deleted })
      }),
    list: (options = {}) =>
      Effect.suspend(() => {
        const limit = options.limit ?? 1000
        if (limit < 1 || limit > 10_000) return Effect.fail(new InvalidRequest({ message: "limit is 1 to 10000" }))
        const all = range(store, options)
        const ordered = options.reverse === true ? all.toReversed() : all
        const rest = options.after === undefined
          ? ordered
          : ordered.filter(({ key }) => compareKeys(key, options.after ?? "") * (options.reverse === true ? -1 : 1) > 0)
        const entries: Array<Entry> = []
        let bytes = 0
        for (const entry of rest) {
          bytes += entry.key.length + entry.value.length
          if (entries.length >= limit || (entries.length > 0 && bytes > maxPageBytes)) break
          entries.push(options.keysOnly === true ? { ...entry, value: new Uint8Array() } : entry)
        }
        return Effect.succeed({
          entries,
          more: entries.length < rest.length,
          revision: store.revision,
          consistency: options.consistency ?? "linearizable"
        })
      }),
    deleteRange: (options) =>
      Effect.sync(() => {
        store.commands++
        const doomed = range(store, options)
        for (const { key } of doomed) store.entries.delete(key)
        return { revision: doomed.length > 0 ? store.next() : store.revision, deleted: doomed.length }
      }),
    openSession: () => Effect.succeed({ session: "14" }),
    outcome: (session, sequence) =>
      session === "14" && sequence === "1"
        ? Effect.succeed({ _tag: "Applied", revision: store.revision, created: true })
        : Effect.fail(new SessionExpired({ message: "not remembered", session, sequence: `${sequence}` })),
    status: Effect.sync(() => store.status),
    metrics: Effect.succeed(noMetrics),
    join: () => Effect.fail(new MembershipRejected({ reason: "already a member", final: true })),
    members: {
      list: Effect.succeed([member]),
      add: (added) =>
        added.id === "n1"
          ? Effect.fail(new MembershipRejected({ reason: "n1 is a member", final: true }))
          : Effect.succeed<Member>({
            id: added.id as NodeId,
            incarnation: null,
            publicKey: added.publicKey as PublicKey,
            address: added.address as Address,
            http: null,
            standing: added.learner === true ? "learner" : "joining"
          }),
      remove: (id, options) =>
        id === "n1" && options?.force !== true
          ? Effect.fail(new MembershipRejected({ reason: "without n1 there would be no voter left", final: true }))
          : Effect.asVoid(known(id)),
      promote: (id) => Effect.map(known(id), () => ({ ...member, standing: "voter" as const })),
      demote: (id) => Effect.map(known(id), () => ({ ...member, standing: "learner" as const })),
      updateAddress: (id, moved) => Effect.map(known(id), () => ({ ...member, address: moved as Address }))
    },
    transferLeadership: (to) =>
      to === undefined || to === "n1"
        ? Effect.succeed({ leader: nodeId, term: 3 as Term })
        : Effect.fail(new NotFound({ message: `no member ${to}` })),
    snapshot: () => Stream.make(new TextEncoder().encode("a snapshot")),
    stopped: Effect.never
  })

/** A Layer of the fake with parts replaced, to make it fail or wait as a test needs. */
export const fakeLayer = (store: FakeStore, replaced: Partial<Service> = {}): Layer.Layer<DistKv> =>
  Layer.succeed(DistKv, DistKv.of({ ...fakeService(store), ...replaced }))
