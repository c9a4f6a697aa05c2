/** A client of the HTTP interface: those calls of `DistKv` that it offers, with the same options and results. */
import {
  type AddMember,
  type CallOptions,
  type ChangeOptions,
  type Consistency,
  type DeleteOptions,
  type DeleteRangeOptions,
  type DeleteRangeResult,
  type DeleteResult,
  type DistKvError,
  type IdempotencyKey,
  InvalidRequest,
  isKey,
  type Key,
  type ListOptions,
  type ListResult,
  OutcomeUnknown,
  type ReadEntry,
  type ReadOptions,
  type SetOptions,
  type SetResult,
  type WriteOutcome
} from "@distkv/core"
import { Context, Effect, Layer, Schema } from "effect"
import { idempotencyHeaders } from "../Idempotency.ts"
import {
  AddMemberJson,
  AddressJson,
  ClusterJson,
  DeleteJson,
  DeleteRangeJson,
  ListJson,
  MemberChangedJson,
  OutcomeJson,
  RemovedJson,
  RevisionText,
  SessionJson,
  SetJson,
  toEntry,
  toOutcome,
  TransferJson,
  TransferredJson
} from "../Wire.ts"
import { type Endpoints, fromUrls, type Kind, Unreachable } from "./Endpoints.ts"
import type { Reply } from "./exchange.ts"

/** Why a call over HTTP fails: what the node answered, or that none could be reached. */
export type ClientError = DistKvError | Unreachable

export interface ClientOptions {
  /** Like `http://127.0.0.1:11000`; asked in turn, see `Endpoints`. */
  readonly endpoints: ReadonlyArray<string>
}

export class DistKvClient extends Context.Service<DistKvClient, {
  readonly get: (key: string, options?: ReadOptions) => Effect.Effect<ReadEntry, ClientError>
  readonly set: (
    key: string,
    value: Uint8Array | string,
    options?: SetOptions
  ) => Effect.Effect<SetResult, ClientError>
  readonly delete: (key: string, options?: DeleteOptions) => Effect.Effect<DeleteResult, ClientError>
  readonly list: (options?: ListOptions) => Effect.Effect<ListResult, ClientError>
  readonly deleteRange: (options: DeleteRangeOptions) => Effect.Effect<DeleteRangeResult, ClientError>
  /** Opens a session; a write with a key in it is sent again, to the next endpoint too, where its reply is lost. */
  readonly openSession: (options?: CallOptions) => Effect.Effect<{ readonly session: string }, ClientError>
  readonly outcome: (
    session: string,
    sequence: number | string,
    options?: CallOptions
  ) => Effect.Effect<WriteOutcome, ClientError>
  /** The answering node's view of the cluster; it needs no quorum. */
  readonly cluster: (options?: CallOptions) => Effect.Effect<ClusterJson, ClientError>
  readonly addMember: (member: AddMember, options?: CallOptions) => Effect.Effect<MemberChangedJson, ClientError>
  readonly removeMember: (id: string, options?: ChangeOptions) => Effect.Effect<void, ClientError>
  readonly promoteMember: (id: string, options?: ChangeOptions) => Effect.Effect<MemberChangedJson, ClientError>
  readonly demoteMember: (id: string, options?: ChangeOptions) => Effect.Effect<MemberChangedJson, ClientError>
  readonly updateAddress: (
    id: string,
    address: string,
    options?: CallOptions
  ) => Effect.Effect<MemberChangedJson, ClientError>
  readonly transfer: (
    to?: string,
    options?: CallOptions
  ) => Effect.Effect<typeof TransferredJson.Type, ClientError>
}>()("@distkv/server/DistKvClient") {
  /** A client of these endpoints; fails when one is no `http://host:port`. */
  static readonly make = (options: ClientOptions): Effect.Effect<typeof DistKvClient.Service, InvalidRequest> =>
    Effect.map(Effect.fromResult(fromUrls(options.endpoints)), overHttp)

  static readonly layer = (options: ClientOptions): Layer.Layer<DistKvClient, InvalidRequest> =>
    Layer.effect(DistKvClient, DistKvClient.make(options))
}

type Query = Readonly<Record<string, string | number | boolean | undefined>>

const withQuery = (path: string, query: Query): string => {
  const parts: Array<string> = []
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) parts.push(`${name}=${encodeURIComponent(String(value))}`)
  }
  return parts.length === 0 ? path : `${path}?${parts.join("&")}`
}

/** Clients normalise `.` and `..` segments before they send, so these two keys go in the query. */
const entryTarget = (key: string, query: Query): string =>
  key === "." || key === ".."
    ? withQuery("/v1/kv", { key, ...query })
    : withQuery(`/v1/kv/${encodeURIComponent(key)}`, query)

const checkKey = (key: string): Effect.Effect<Key, InvalidRequest> =>
  isKey(key)
    ? Effect.succeed(key as Key)
    : Effect.fail(new InvalidRequest({ message: "a key is a well-formed string of 1 to 1024 bytes in UTF-8" }))

const checkTexts = (query: Query): Effect.Effect<void, InvalidRequest> => {
  for (const [name, value] of Object.entries(query)) {
    if (typeof value === "string" && !value.isWellFormed()) {
      return Effect.fail(new InvalidRequest({ message: `${name} is not a well-formed string` }))
    }
  }
  return Effect.void
}

const decoder = new TextDecoder()

const decodeBody = <S extends Schema.ConstraintDecoder<unknown>>(kind: Kind, schema: S, reply: Reply) =>
  Effect.mapError(
    Schema.decodeUnknownEffect(Schema.fromJsonString(schema))(decoder.decode(reply.body)),
    (issue) => unreadable(kind, issue.message)
  )

/** A success whose content cannot be read: the call was done, but what it gave is lost. */
const unreadable = (kind: Kind, detail: string): ClientError => {
  const message = `the reply is not one of a distkv node: ${detail}`
  return kind === "write" ? new OutcomeUnknown({ message }) : new Unreachable({ message })
}

const EntryHeaders = Schema.Struct({
  modRevision: RevisionText,
  createRevision: RevisionText,
  version: Schema.NumberFromString,
  lease: Schema.NullOr(RevisionText),
  revision: RevisionText,
  consistency: Schema.Literals(["linearizable", "lease", "stale"])
})

const decodeEntryHeaders = (headers: Headers) =>
  Schema.decodeUnknownEffect(EntryHeaders)({
    modRevision: headers.get("etag")?.replace(/^"([0-9]+)"$/, "$1"),
    createRevision: headers.get("distkv-create-revision"),
    version: headers.get("distkv-version"),
    lease: headers.get("distkv-lease"),
    revision: headers.get("distkv-revision"),
    consistency: headers.get("distkv-consistency")
  }).pipe(Effect.mapError((issue) => unreadable("read", issue.message)))

const consistencyOf = (headers: Headers): Consistency => {
  const text = headers.get("distkv-consistency")
  return text === "stale" || text === "lease" ? text : "linearizable"
}

const overHttp = (endpoints: Endpoints): typeof DistKvClient.Service =>
  DistKvClient.of({
    ...entryCalls(endpoints),
    ...rangeCalls(endpoints),
    ...sessionCalls(endpoints),
    ...clusterCalls(endpoints)
  })

const entryCalls = (endpoints: Endpoints) => ({
  get: Effect.fnUntraced(function*(text: string, options: ReadOptions = {}) {
    const key = yield* checkKey(text)
    const { consistency, minRevision } = options
    const reply = yield* endpoints.ask("read", options.timeout, (ms) => ({
      method: "GET",
      target: entryTarget(key, { consistency, minRevision, timeout: `${ms}ms` })
    }))
    const fields = yield* decodeEntryHeaders(reply.headers)
    const { lease, ...rest } = fields
    return { key, value: reply.body, leaseId: lease, ...rest }
  }),
  set: Effect.fnUntraced(function*(text: string, value: Uint8Array | string, options: SetOptions = {}) {
    const key = yield* checkKey(text)
    if (typeof value === "string" && !value.isWellFormed()) {
      return yield* new InvalidRequest({ message: "the value is not a well-formed string" })
    }
    const guard = yield* guardHeaders(options.ifRevision)
    const reply = yield* endpoints.ask(kindOf(options.idempotencyKey), options.timeout, (ms) => ({
      method: "PUT",
      target: entryTarget(key, { previous: options.previous, timeout: `${ms}ms` }),
      headers: { "content-type": "application/octet-stream", ...guard, ...idempotencyHeaders(options.idempotencyKey) },
      body: value
    }))
    const { previous, ...rest } = yield* decodeBody("write", SetJson, reply)
    return previous === undefined ? rest : { ...rest, previous: previous === null ? null : toEntry(previous) }
  }),
  delete: Effect.fnUntraced(function*(text: string, options: DeleteOptions = {}) {
    const key = yield* checkKey(text)
    if (options.ifRevision === 0) {
      return yield* new InvalidRequest({ message: "a delete's ifRevision is at least 1" })
    }
    const guard = yield* guardHeaders(options.ifRevision)
    const reply = yield* endpoints.ask(kindOf(options.idempotencyKey), options.timeout, (ms) => ({
      method: "DELETE",
      target: entryTarget(key, { timeout: `${ms}ms` }),
      headers: { ...guard, ...idempotencyHeaders(options.idempotencyKey) }
    }))
    return yield* decodeBody("write", DeleteJson, reply)
  })
})

const guardHeaders = (ifRevision: number | undefined): Effect.Effect<Record<string, string>, InvalidRequest> => {
  if (ifRevision === undefined) return Effect.succeed({})
  if (!Number.isSafeInteger(ifRevision) || ifRevision < 0) {
    return Effect.fail(new InvalidRequest({ message: "ifRevision is an integer, at least 0" }))
  }
  return Effect.succeed(ifRevision === 0 ? { "if-none-match": "*" } : { "if-match": `"${ifRevision}"` })
}

const rangeCalls = (endpoints: Endpoints) => ({
  list: Effect.fnUntraced(function*(options: ListOptions = {}) {
    const { timeout, ...query } = options
    yield* checkTexts(query)
    const reply = yield* endpoints.ask("read", timeout, (ms) => ({
      method: "GET",
      target: withQuery("/v1/kv", { ...query, timeout: `${ms}ms` })
    }))
    const page = yield* decodeBody("read", ListJson, reply)
    return {
      revision: page.revision,
      more: page.more,
      consistency: consistencyOf(reply.headers),
      entries: page.entries.map(toEntry)
    }
  }),
  deleteRange: Effect.fnUntraced(function*(options: DeleteRangeOptions) {
    const { idempotencyKey, timeout, ...query } = options
    yield* checkTexts(query)
    const reply = yield* endpoints.ask(kindOf(idempotencyKey), timeout, (ms) => ({
      method: "DELETE",
      target: withQuery("/v1/kv", { ...query, timeout: `${ms}ms` }),
      headers: idempotencyHeaders(idempotencyKey)
    }))
    return yield* decodeBody("write", DeleteRangeJson, reply)
  })
})

/** What carries a key may be repeated. */
const kindOf = (idempotencyKey: IdempotencyKey | undefined): Kind => idempotencyKey === undefined ? "write" : "keyed"

const sessionCalls = (endpoints: Endpoints) => ({
  openSession: Effect.fnUntraced(function*(options: CallOptions = {}) {
    // One that nobody uses costs nothing but its place.
    const reply = yield* endpoints.ask("keyed", options.timeout, (ms) => ({
      method: "POST",
      target: withQuery("/v1/sessions", { timeout: `${ms}ms` })
    }))
    return yield* decodeBody("write", SessionJson, reply)
  }),
  outcome: Effect.fnUntraced(function*(session: string, sequence: number | string, options: CallOptions = {}) {
    const reply = yield* endpoints.ask("keyed", options.timeout, (ms) => ({
      method: "GET",
      target: withQuery("/v1/cluster/outcome", { session, sequence, timeout: `${ms}ms` })
    }))
    return toOutcome(yield* decodeBody("write", OutcomeJson, reply))
  })
})

const json = { "content-type": "application/json" }

const memberTarget = (id: string, verb: string, query: Query): string =>
  withQuery(`/v1/cluster/members/${encodeURIComponent(id)}${verb}`, query)

const stand = Effect.fnUntraced(function*(
  endpoints: Endpoints,
  id: string,
  verb: "promote" | "demote",
  { force, timeout }: ChangeOptions
) {
  const reply = yield* endpoints.ask("write", timeout, (ms) => ({
    method: "POST",
    target: memberTarget(id, `/${verb}`, { force, timeout: `${ms}ms` })
  }))
  return yield* decodeBody("write", MemberChangedJson, reply)
})

const clusterCalls = (endpoints: Endpoints) => ({
  cluster: Effect.fnUntraced(function*(options: CallOptions = {}) {
    const reply = yield* endpoints.ask("read", options.timeout, (ms) => ({
      method: "GET",
      target: withQuery("/v1/cluster", { timeout: `${ms}ms` })
    }))
    return yield* decodeBody("read", ClusterJson, reply)
  }),
  addMember: Effect.fnUntraced(function*(member: AddMember, options: CallOptions = {}) {
    const { id, address, publicKey, learner } = member
    const body = Schema.encodeSync(Schema.fromJsonString(AddMemberJson))(
      learner === undefined ? { id, address, publicKey } : { id, address, publicKey, learner }
    )
    const reply = yield* endpoints.ask("write", options.timeout, (ms) => ({
      method: "POST",
      target: withQuery("/v1/cluster/members", { timeout: `${ms}ms` }),
      headers: json,
      body
    }))
    return yield* decodeBody("write", MemberChangedJson, reply)
  }),
  removeMember: Effect.fnUntraced(function*(id: string, options: ChangeOptions = {}) {
    const reply = yield* endpoints.ask("write", options.timeout, (ms) => ({
      method: "DELETE",
      target: memberTarget(id, "", { force: options.force, timeout: `${ms}ms` })
    }))
    yield* decodeBody("write", RemovedJson, reply)
  }),
  promoteMember: (id: string, options: ChangeOptions = {}) => stand(endpoints, id, "promote", options),
  demoteMember: (id: string, options: ChangeOptions = {}) => stand(endpoints, id, "demote", options),
  updateAddress: Effect.fnUntraced(function*(id: string, address: string, options: CallOptions = {}) {
    const body = Schema.encodeSync(Schema.fromJsonString(AddressJson))({ address })
    const reply = yield* endpoints.ask("write", options.timeout, (ms) => ({
      method: "PATCH",
      target: memberTarget(id, "", { timeout: `${ms}ms` }),
      headers: json,
      body
    }))
    return yield* decodeBody("write", MemberChangedJson, reply)
  }),
  transfer: Effect.fnUntraced(function*(to?: string, options: CallOptions = {}) {
    const body = Schema.encodeSync(Schema.fromJsonString(TransferJson))(to === undefined ? {} : { to })
    const reply = yield* endpoints.ask("write", options.timeout, (ms) => ({
      method: "POST",
      target: withQuery("/v1/cluster/transfer", { timeout: `${ms}ms` }),
      headers: json,
      body
    }))
    return yield* decodeBody("write", TransferredJson, reply)
  })
})
