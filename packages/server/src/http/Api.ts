/**
 * The HTTP interface, defined once: the OpenAPI document, the routes that are not hot and typed clients follow from it.
 *
 * `ServedApi` is what Effect's router serves. `DistKvApi` adds the calls whose keys are parsed from the raw request
 * target, which a leaner listener serves (`EntryRoutes`, `KeyRoutes`).
 */
import { Result, Schema, SchemaTransformation } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { parseTimeoutText } from "./Parameters.ts"
import { ProblemJson, problemType } from "./Problem.ts"
import {
  AddMemberJson,
  AddressJson,
  ClusterJson,
  DeleteJson,
  DeleteRangeJson,
  EntryJson,
  ListJson,
  MemberChangedJson,
  OutcomeJson,
  RemovedJson,
  SessionJson,
  SetJson,
  TransferJson,
  TransferredJson
} from "./Wire.ts"

const integer = (expected: string) =>
  Schema.String.check(Schema.isPattern(/^[0-9]{1,15}$/, { expected })).pipe(
    Schema.decodeTo(Schema.Int, SchemaTransformation.transform<number, string>({ decode: Number, encode: String }))
  )

const Flag = Schema.Literals(["true", "false"]).pipe(
  Schema.decodeTo(
    Schema.Boolean,
    SchemaTransformation.transform<boolean, "true" | "false">({
      decode: (text) => text === "true",
      encode: (flag) => (flag ? "true" : "false")
    })
  )
)

const Timeout = Schema.String.check(
  Schema.makeFilter((text: string) => {
    const parsed = parseTimeoutText(text)
    return Result.isSuccess(parsed) || parsed.failure.message
  })
).annotate({ description: "the whole call's deadline, like 250ms, 5s or 1m; default 5s, at most 60s" }).pipe(
  Schema.decodeTo(
    Schema.Int,
    SchemaTransformation.transform<number, string>({
      decode: (text) => Result.getOrElse(parseTimeoutText(text), () => 0),
      encode: (ms) => `${ms}ms`
    })
  )
)

const timeout = { timeout: Schema.optionalKey(Timeout) }

const reading = {
  ...timeout,
  consistency: Schema.optionalKey(Schema.Literals(["linearizable", "lease", "stale"])),
  minRevision: Schema.optionalKey(integer("a revision as a decimal number"))
}

const problemWith = (status: number) =>
  ProblemJson.annotate({ identifier: `Problem${status}` }).pipe(
    HttpApiSchema.asJson({ contentType: problemType }),
    HttpApiSchema.status(status)
  )

const problems = new Map<number, ReturnType<typeof problemWith>>()

/** The failure with this status; one Schema each, so that the document names each once. */
const problem = (status: number) => {
  let known = problems.get(status)
  if (known === undefined) problems.set(status, known = problemWith(status))
  return known
}

const count = (expected: string) => Schema.String.check(Schema.isPattern(/^[1-9][0-9]{0,15}$/, { expected }))

const refused = [problem(400), problem(403)] as const
const readFailures = [...refused, problem(429), problem(503), problem(504)] as const
const writeFailures = [...readFailures, problem(409), problem(410), problem(413), problem(507)] as const
const clusterFailures = [...readFailures, problem(404), problem(409), problem(413), problem(415)] as const

const idempotency = {
  "idempotency-key": Schema.optionalKey(
    Schema.String.annotate({
      description: "`<session>:<number>`: the write takes effect once, however often it is sent"
    })
  )
}

const list = HttpApiEndpoint.get("list", "/v1/kv", {
  query: {
    ...reading,
    prefix: Schema.optionalKey(Schema.String),
    from: Schema.optionalKey(Schema.String),
    to: Schema.optionalKey(Schema.String),
    after: Schema.optionalKey(Schema.String),
    limit: Schema.optionalKey(integer("a number of entries")),
    keysOnly: Schema.optionalKey(Flag),
    reverse: Schema.optionalKey(Flag)
  },
  success: ListJson,
  error: readFailures
}).annotate(
  OpenApi.Description,
  "One consistent cut of the entries whose keys begin with `prefix`, or lie from `from` (inclusive) to `to` " +
    "(exclusive), in the order of their bytes; a page ends at `limit` (default 1,000, at most 10,000) or 4 MiB. " +
    "`after` continues behind a page's last key. With `key` instead, one entry as under `/v1/kv/{key}`; that form " +
    "reaches every key, and exists for PUT and DELETE too."
)

const deleteRange = HttpApiEndpoint.delete("deleteRange", "/v1/kv", {
  query: {
    ...timeout,
    prefix: Schema.optionalKey(Schema.String),
    from: Schema.optionalKey(Schema.String),
    to: Schema.optionalKey(Schema.String),
    all: Schema.optionalKey(Schema.Literal("true"))
  },
  headers: idempotency,
  success: DeleteRangeJson,
  error: writeFailures
}).annotate(
  OpenApi.Description,
  "Deletes all entries of a prefix, of a range, or (`all=true`) of the store at one revision; more than 10,000 " +
    "entries delete nothing."
)

const cluster = HttpApiEndpoint.get("cluster", "/v1/cluster", {
  query: timeout,
  success: ClusterJson,
  error: [...refused, problem(503)]
}).annotate(
  OpenApi.Description,
  "This node's view of the cluster, without a quorum; what only the leader knows is null elsewhere."
)

const addMember = HttpApiEndpoint.post("addMember", "/v1/cluster/members", {
  query: timeout,
  payload: AddMemberJson,
  success: MemberChangedJson,
  error: clusterFailures
}).annotate(
  OpenApi.Description,
  "Admits a node that awaits a join, as a learner, promoted once it has caught up unless `learner` is true."
)

const memberId = { id: Schema.String.annotate({ description: "the member's node id" }) }
const forcing = { ...timeout, force: Schema.optionalKey(Flag) }
const forced = "`force` does it also where that leaves no live quorum."

const removeMember = HttpApiEndpoint.delete("removeMember", "/v1/cluster/members/:id", {
  params: memberId,
  query: forcing,
  success: RemovedJson,
  error: clusterFailures
}).annotate(
  OpenApi.Description,
  `Removes a member for good: its id and key never come back. A leader hands leadership over first. ${forced}`
)

const updateAddress = HttpApiEndpoint.patch("updateAddress", "/v1/cluster/members/:id", {
  params: memberId,
  query: timeout,
  payload: AddressJson,
  success: MemberChangedJson,
  error: clusterFailures
}).annotate(
  OpenApi.Description,
  "Says where a member is that nobody reaches; one that is connected says so itself, and is believed."
)

const promote = HttpApiEndpoint.post("promoteMember", "/v1/cluster/members/:id/promote", {
  params: memberId,
  query: forcing,
  success: MemberChangedJson,
  error: clusterFailures
}).annotate(
  OpenApi.Description,
  `Makes a learner a voter, once it has caught up and every live voter reaches it. ${forced}`
)

const demote = HttpApiEndpoint.post("demoteMember", "/v1/cluster/members/:id/demote", {
  params: memberId,
  query: forcing,
  success: MemberChangedJson,
  error: clusterFailures
}).annotate(OpenApi.Description, `Makes a voter a learner, which counts in no quorum. ${forced}`)

const transfer = HttpApiEndpoint.post("transfer", "/v1/cluster/transfer", {
  query: timeout,
  payload: TransferJson,
  success: TransferredJson,
  error: clusterFailures
}).annotate(OpenApi.Description, "Hands leadership to `to`, or to the voter that is furthest ahead.")

const openSession = HttpApiEndpoint.post("openSession", "/v1/sessions", {
  query: timeout,
  success: SessionJson,
  error: writeFailures
}).annotate(
  OpenApi.Description,
  "Opens a session for writes with `Idempotency-Key: <session>:<number>`: a write that is sent again under its number " +
    "is executed once, and answered as the first time. The last 1,024 numbers are remembered. Of 4,096 sessions the " +
    "least recently used one makes room for a new one."
)

const outcome = HttpApiEndpoint.get("outcome", "/v1/cluster/outcome", {
  query: { ...timeout, session: count("a session"), sequence: count("a number within the session") },
  success: OutcomeJson,
  error: writeFailures
}).annotate(
  OpenApi.Description,
  "What became of a write in a session. `notApplied` means that it never will be executed: asking commits a seal. 410 " +
    "where the session or the number is not remembered."
)

const text = (contentType: string) => Schema.String.pipe(HttpApiSchema.asText({ contentType }))

const livez = HttpApiEndpoint.get("livez", "/livez", { success: text("text/plain"), error: refused })
  .annotate(OpenApi.Description, "Whether this process makes progress; never depends on the quorum.")

const readyz = HttpApiEndpoint.get("readyz", "/readyz", {
  query: { verbose: Schema.optionalKey(Schema.Literals(["", "true", "false"])) },
  success: text("text/plain"),
  error: [...refused, text("text/plain").pipe(HttpApiSchema.status(503))]
}).annotate(
  OpenApi.Description,
  "Whether this node can serve linearizable calls now; `verbose` lists the checks."
)

const metrics = HttpApiEndpoint.get("metrics", "/metrics", { success: text("text/plain"), error: refused })
  .annotate(OpenApi.Description, "Metrics in Prometheus' text format.")

/** What Effect's router serves. */
export const ServedApi = HttpApi.make("distkv")
  .add(HttpApiGroup.make("ranges").add(list).add(deleteRange))
  .add(HttpApiGroup.make("sessions").add(openSession).add(outcome))
  .add(
    HttpApiGroup.make("cluster").add(cluster).add(addMember).add(removeMember).add(updateAddress)
      .add(promote).add(demote).add(transfer)
  )
  .add(HttpApiGroup.make("operations").add(livez).add(readyz).add(metrics))
  .annotate(HttpApi.ParseOptions, { onExcessProperty: "error" })
  .annotate(HttpApi.HeadersParseOptions, {})
  .annotate(OpenApi.Title, "distkv")
  .annotate(OpenApi.Version, "1")
  .annotate(
    OpenApi.Description,
    "A node of a strongly consistent key-value store. Any node serves any call. Unknown parameters are refused."
  )

/** What was named in `If-None-Match` is what is there. */
const unchanged = HttpApiSchema.Empty(304)
const bytes = Schema.Uint8Array.pipe(HttpApiSchema.asUint8Array())
const keyInPath = { key: Schema.String.annotate({ description: "1 to 1,024 bytes of UTF-8, `/` escaped as `%2F`" }) }
const guard = {
  "if-match": Schema.optionalKey(Schema.String.annotate({ description: '"<modRevision>", or * for any' }))
}

const get = HttpApiEndpoint.get("get", "/v1/kv/:key", {
  params: keyInPath,
  query: reading,
  headers: {
    accept: Schema.optionalKey(Schema.String),
    "if-none-match": Schema.optionalKey(Schema.String)
  },
  success: [bytes, EntryJson, unchanged],
  error: [...readFailures, problem(404)]
}).annotate(
  OpenApi.Description,
  "The value's bytes, or the entry where `Accept: application/json` asks for it. The ETag is the modRevision; " +
    "`If-None-Match` with it gives 304."
)

const head = HttpApiEndpoint.head("head", "/v1/kv/:key", {
  params: keyInPath,
  query: reading,
  headers: { "if-none-match": Schema.optionalKey(Schema.String) },
  success: [HttpApiSchema.Empty(200), unchanged],
  error: [...readFailures, problem(404)]
}).annotate(OpenApi.Description, "What GET answers, without a body.")

const set = HttpApiEndpoint.put("set", "/v1/kv/:key", {
  params: keyInPath,
  query: { ...timeout, previous: Schema.optionalKey(Flag) },
  headers: { ...guard, ...idempotency, "if-none-match": Schema.optionalKey(Schema.Literal("*")) },
  payload: bytes,
  success: SetJson,
  error: [...writeFailures, problem(412), problem(415)]
}).annotate(
  OpenApi.Description,
  "Sets the key to the body. `If-Match` is compare-and-set, `If-None-Match: *` creates only; a guard that fails is " +
    "412 with the current entry."
)

const remove = HttpApiEndpoint.delete("delete", "/v1/kv/:key", {
  params: keyInPath,
  query: timeout,
  headers: { ...guard, ...idempotency },
  success: DeleteJson,
  error: [...writeFailures, problem(412)]
}).annotate(OpenApi.Description, "Deletes the key; an absent one is `deleted: false`.")

const originalGet = HttpApiEndpoint.get("getOriginal", "/key/:key", {
  params: { key: Schema.String },
  query: timeout,
  success: Schema.Record(Schema.String, Schema.String),
  error: [...readFailures, problem(404)]
})

const originalSet = HttpApiEndpoint.post("setOriginal", "/key", {
  query: timeout,
  headers: idempotency,
  payload: Schema.Record(Schema.String, Schema.String),
  success: HttpApiSchema.Empty(200),
  error: writeFailures
}).annotate(OpenApi.Description, "Sets all keys of the object in one command; any content type.")

const originalDelete = HttpApiEndpoint.delete("deleteOriginal", "/key/:key", {
  params: { key: Schema.String },
  query: timeout,
  headers: idempotency,
  success: HttpApiSchema.Empty(200),
  error: writeFailures
})

const snapshot = HttpApiEndpoint.get("snapshot", "/v1/snapshot", {
  query: timeout,
  success: bytes,
  error: readFailures
}).annotate(
  OpenApi.Description,
  "A consistent copy of the whole store, for `distkv restore`. Its chunks have checksums, and the last one says " +
    "whether it is whole."
)

/** The whole interface. */
export const DistKvApi = ServedApi
  .add(HttpApiGroup.make("entries").add(get).add(head).add(set).add(remove))
  .add(HttpApiGroup.make("backup").add(snapshot))
  .add(HttpApiGroup.make("original").add(originalGet).add(originalSet).add(originalDelete))
