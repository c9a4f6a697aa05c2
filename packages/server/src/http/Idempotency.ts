/**
 * `Idempotency-Key: <session>:<number>`, by which a write takes effect once however often it is sent.
 *
 * Sessions are issued by `POST /v1/sessions`. The header is for writes of entries alone: what it cannot protect refuses
 * it, instead of ignoring it.
 */
import { type IdempotencyKey, InvalidRequest } from "@distkv/core"
import { Result } from "effect"

export const idempotencyHeader = "idempotency-key"

/** The key of a request's header; undefined where the header is absent. */
export const parseIdempotencyKey = (
  header: string | ReadonlyArray<string> | undefined
): Result.Result<IdempotencyKey | undefined, InvalidRequest> => {
  if (header === undefined) return Result.succeed(undefined)
  const match = typeof header === "string" ? /^([1-9][0-9]{0,15}):([1-9][0-9]{0,15})$/.exec(header) : null
  const [, session, sequence] = match ?? []
  return session === undefined || sequence === undefined
    ? Result.fail(
      new InvalidRequest({ message: "Idempotency-Key is <session>:<number>, of a session that the store has issued" })
    )
    : Result.succeed({ session, sequence })
}

/** The header of a client's request. */
export const idempotencyHeaders = (key: IdempotencyKey | undefined): Record<string, string> =>
  key === undefined ? {} : { [idempotencyHeader]: `${key.session}:${key.sequence}` }
