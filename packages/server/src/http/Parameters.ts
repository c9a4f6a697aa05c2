/** Query parameters that calls share, and the refusal of all others. */
import { type Consistency, InvalidRequest } from "@distkv/core"
import { Result } from "effect"
import type { Query } from "./RequestTarget.ts"

type Parsed<A> = Result.Result<A, InvalidRequest>

const invalid = (message: string) => Result.fail(new InvalidRequest({ message }))

/** The longest deadline that a call may ask for, in milliseconds. */
export const maxTimeoutMs = 60_000

/** Refuses a query that has a parameter other than these. */
export const checkNames = (query: Query, allowed: ReadonlySet<string>): Parsed<void> => {
  for (const name of query.keys()) {
    if (!allowed.has(name)) return invalid(`unknown parameter ${JSON.stringify(name)}`)
  }
  return Result.void
}

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 }

/** A deadline as `250ms`, `2.5s` or `1m`, in milliseconds: more than 0, at most 60 s. */
export const parseTimeoutText = (text: string): Parsed<number> => {
  const match = /^([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m)$/.exec(text)
  if (match === null) return invalid("timeout is a duration like 250ms, 5s or 1m")
  const ms = Math.ceil(Number(match[1]) * (units[match[2] ?? ""] ?? 0))
  return ms >= 1 && ms <= maxTimeoutMs
    ? Result.succeed(ms)
    : invalid(`timeout is more than 0 and at most ${maxTimeoutMs / 1000}s`)
}

/** `timeout`, or undefined where it is not given. */
export const timeoutOf = (query: Query): Parsed<number | undefined> => {
  const text = query.get("timeout")
  return text === undefined ? Result.succeed(undefined) : parseTimeoutText(text)
}

/** `consistency`, or undefined where it is not given. */
export const consistencyOf = (query: Query): Parsed<Consistency | undefined> => {
  const text = query.get("consistency")
  return text === undefined || text === "linearizable" || text === "lease" || text === "stale"
    ? Result.succeed(text)
    : invalid("consistency is linearizable, lease or stale")
}

/** A decimal parameter that an integer holds exactly, or undefined where it is not given. */
export const integerOf = (query: Query, name: string): Parsed<number | undefined> => {
  const text = query.get(name)
  if (text === undefined) return Result.succeed(undefined)
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(value)
    ? Result.succeed(value)
    : invalid(`${name} is a decimal number, at most ${Number.MAX_SAFE_INTEGER}`)
}

/** `true` or `false`; undefined where it is not given. */
export const booleanOf = (query: Query, name: string): Parsed<boolean | undefined> => {
  const text = query.get(name)
  if (text === undefined) return Result.succeed(undefined)
  return text === "true" ? Result.succeed(true) : text === "false" ? Result.succeed(false) : invalid(
    `${name} is true or false`
  )
}
