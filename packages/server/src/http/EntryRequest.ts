/** A request for one entry, understood: which call of the service it means, or why it means none. */
import { type DeleteOptions, InvalidRequest, type ReadOptions, type SetOptions } from "@distkv/core"
import { Result } from "effect"
import type { IncomingHttpHeaders } from "node:http"
import { idempotencyHeader, parseIdempotencyKey } from "./Idempotency.ts"
import { booleanOf, checkNames, consistencyOf, integerOf, timeoutOf } from "./Parameters.ts"
import { parseTag, type Tag } from "./Preconditions.ts"
import type { Query } from "./RequestTarget.ts"

/** A read; `ifNoneMatch` turns a match into `304`, `json` asks for the entry instead of its bytes. */
export interface GetRequest {
  readonly _tag: "Get"
  readonly key: string
  readonly options: ReadOptions
  readonly ifNoneMatch: Tag | undefined
  readonly json: boolean
}

/** A write of the body; `ifMatch` is only set where `ifRevision` cannot say it. */
export interface PutRequest {
  readonly _tag: "Put"
  readonly key: string
  readonly options: SetOptions
  readonly ifMatch: Tag | undefined
}

/** As `PutRequest`, for a delete. */
export interface DeleteRequest {
  readonly _tag: "Delete"
  readonly key: string
  readonly options: DeleteOptions
  readonly ifMatch: Tag | undefined
}

export type EntryRequest = GetRequest | PutRequest | DeleteRequest

type Parsed<A> = Result.Result<A, InvalidRequest>

const invalid = (message: string) => Result.fail(new InvalidRequest({ message }))

const names = {
  Get: new Set(["key", "consistency", "minRevision", "timeout"]),
  Put: new Set(["key", "previous", "timeout"]),
  Delete: new Set(["key", "timeout"])
}

const inPath = {
  Get: new Set(["consistency", "minRevision", "timeout"]),
  Put: new Set(["previous", "timeout"]),
  Delete: new Set(["timeout"])
}

/** The request that these parts mean; `keyInPath` tells in which of the two forms the key came. */
export const parseEntryRequest = (
  method: "GET" | "HEAD" | "PUT" | "DELETE",
  key: string,
  query: Query,
  headers: IncomingHttpHeaders,
  keyInPath: boolean
): Parsed<EntryRequest> => {
  const allowed = keyInPath ? inPath : names
  switch (method) {
    case "GET":
    case "HEAD":
      return Result.flatMap(checkNames(query, allowed.Get), () => parseGet(key, query, headers))
    case "PUT":
      return Result.flatMap(checkNames(query, allowed.Put), () => parsePut(key, query, headers))
    case "DELETE":
      return Result.flatMap(checkNames(query, allowed.Delete), () => parseDelete(key, query, headers))
  }
}

const parseGet = (key: string, query: Query, headers: IncomingHttpHeaders): Parsed<GetRequest> => {
  if (headers["if-match"] !== undefined) return invalid("If-Match is for PUT and DELETE")
  const ifNoneMatch = parseTag(headers["if-none-match"], "If-None-Match")
  if (Result.isFailure(ifNoneMatch)) return Result.fail(ifNoneMatch.failure)
  const consistency = consistencyOf(query)
  if (Result.isFailure(consistency)) return Result.fail(consistency.failure)
  const minRevision = integerOf(query, "minRevision")
  if (Result.isFailure(minRevision)) return Result.fail(minRevision.failure)
  const timeout = timeoutOf(query)
  if (Result.isFailure(timeout)) return Result.fail(timeout.failure)
  return Result.succeed({
    _tag: "Get",
    key,
    options: { consistency: consistency.success, minRevision: minRevision.success, timeout: timeout.success },
    ifNoneMatch: ifNoneMatch.success,
    json: wantsJson(headers.accept)
  })
}

const parsePut = (key: string, query: Query, headers: IncomingHttpHeaders): Parsed<PutRequest> => {
  const ifMatch = parseTag(headers["if-match"], "If-Match")
  if (Result.isFailure(ifMatch)) return Result.fail(ifMatch.failure)
  const ifNoneMatch = parseTag(headers["if-none-match"], "If-None-Match")
  if (Result.isFailure(ifNoneMatch)) return Result.fail(ifNoneMatch.failure)
  if (ifMatch.success !== undefined && ifNoneMatch.success !== undefined) {
    return invalid("If-Match and If-None-Match contradict each other")
  }
  if (ifNoneMatch.success !== undefined && ifNoneMatch.success._tag !== "Any") {
    return invalid("If-None-Match on PUT is *: create only")
  }
  if (headers["content-range"] !== undefined) return invalid("a value is written whole, not in ranges")
  const previous = booleanOf(query, "previous")
  if (Result.isFailure(previous)) return Result.fail(previous.failure)
  const timeout = timeoutOf(query)
  if (Result.isFailure(timeout)) return Result.fail(timeout.failure)
  const idempotencyKey = parseIdempotencyKey(headers[idempotencyHeader])
  if (Result.isFailure(idempotencyKey)) return Result.fail(idempotencyKey.failure)
  const tag = ifMatch.success
  if (tag?._tag === "Any" && idempotencyKey.success !== undefined) {
    // It is read and compared-and-set, again while others change it: not one command, but several.
    return invalid("Idempotency-Key and If-Match: * on PUT do not go together; name the revision")
  }
  const ifRevision = ifNoneMatch.success !== undefined ? 0 : tag?._tag === "Revision" ? tag.revision : undefined
  return Result.succeed({
    _tag: "Put",
    key,
    options: {
      ifRevision,
      previous: previous.success,
      timeout: timeout.success,
      idempotencyKey: idempotencyKey.success
    },
    ifMatch: tag?._tag === "Revision" ? undefined : tag
  })
}

const parseDelete = (key: string, query: Query, headers: IncomingHttpHeaders): Parsed<DeleteRequest> => {
  if (headers["if-none-match"] !== undefined) return invalid("If-None-Match is for GET and PUT")
  const ifMatch = parseTag(headers["if-match"], "If-Match")
  if (Result.isFailure(ifMatch)) return Result.fail(ifMatch.failure)
  const timeout = timeoutOf(query)
  if (Result.isFailure(timeout)) return Result.fail(timeout.failure)
  const idempotencyKey = parseIdempotencyKey(headers[idempotencyHeader])
  if (Result.isFailure(idempotencyKey)) return Result.fail(idempotencyKey.failure)
  const tag = ifMatch.success
  return Result.succeed({
    _tag: "Delete",
    key,
    options: {
      ifRevision: tag?._tag === "Revision" ? tag.revision : undefined,
      timeout: timeout.success,
      idempotencyKey: idempotencyKey.success
    },
    ifMatch: tag?._tag === "Revision" ? undefined : tag
  })
}

/** Whether `Accept` names JSON, and does not prefer bytes to it; wildcards mean the bytes. */
export const wantsJson = (accept: string | undefined): boolean => {
  if (accept === undefined || !/application\/json/i.test(accept)) return false
  let json = 0
  let bytes = 0
  for (const range of accept.split(",")) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase())
    const quality = parameters.find((parameter) => parameter.startsWith("q="))
    const weight = quality === undefined ? 1 : Number(quality.slice(2))
    if (type === "application/json") json = weight
    if (type === "application/octet-stream") bytes = weight
  }
  return json > 0 && json >= bytes
}
