/** What callers ask, checked: everything outside the limits is refused here, before it costs anybody anything. */
import { Duration, Option } from "effect"
import type {
  CallOptions,
  ChangeOptions,
  Consistency,
  DeleteOptions,
  DeleteRangeOptions,
  JoinOptions,
  ListOptions,
  ReadOptions,
  SetOptions,
  WriteOptions
} from "../DistKv.ts"
import { InvalidRequest } from "../DistKvError.ts"
import { type Command, type KeyRange, maxTxnOperations } from "../domain/Command.ts"
import { isKey, type Key } from "../domain/Entry.ts"
import type { Revision } from "../domain/Position.ts"
import type { Scan } from "../StateStore.ts"

const defaultTimeoutMs = 5000
const maxTimeoutMs = 60_000
const defaultLimit = 1000
const maxLimit = 10_000

const invalid = (message: string) => new InvalidRequest({ message })
const encoder = new TextEncoder()

/** A checked value, or why it is refused. */
export type Checked<A> = A | InvalidRequest

/** The names of a call's options. What is misspelled, or not there yet, is refused, never accepted and ignored. */
const callNames = ["timeout"] as const satisfies ReadonlyArray<keyof CallOptions>
const writeNames = [...callNames, "idempotencyKey"] as const satisfies ReadonlyArray<keyof WriteOptions>
const readNames = [...callNames, "consistency", "minRevision"] as const satisfies ReadonlyArray<keyof ReadOptions>
const optionNames = {
  change: new Set<string>([...callNames, "force"] satisfies ReadonlyArray<keyof ChangeOptions>),
  call: new Set<string>(callNames),
  read: new Set<string>(readNames),
  write: new Set<string>(writeNames),
  set: new Set<string>([...writeNames, "ifRevision", "previous"] satisfies ReadonlyArray<keyof SetOptions>),
  delete: new Set<string>([...writeNames, "ifRevision"] satisfies ReadonlyArray<keyof DeleteOptions>),
  list: new Set<string>(
    [
      ...readNames,
      "prefix",
      "from",
      "to",
      "after",
      "limit",
      "keysOnly",
      "reverse"
    ] satisfies ReadonlyArray<keyof ListOptions>
  ),
  deleteRange: new Set<string>(
    [...writeNames, "prefix", "from", "to", "all"] satisfies ReadonlyArray<keyof DeleteRangeOptions>
  ),
  join: new Set<string>([...callNames, "learner"] satisfies ReadonlyArray<keyof JoinOptions>)
}

/** The deadline's distance in milliseconds, of options of which all names are known. */
export const deadlineOf = (call: keyof typeof optionNames, options: CallOptions | undefined): Checked<number> => {
  const names = optionNames[call]
  // Callers without types may hand over anything.
  if (options !== undefined && !isObject(options)) return invalid("options are an object")
  for (const name in options) if (!names.has(name)) return invalid(`unknown option ${JSON.stringify(name)}`)
  return timeoutOf(options)
}

/** The deadline's distance in milliseconds. */
const timeoutOf = (options: CallOptions | undefined): Checked<number> => {
  if (options?.timeout === undefined) return defaultTimeoutMs
  const duration = Duration.fromInput(options.timeout)
  const ms = Option.isSome(duration) ? Duration.toMillis(duration.value) : Number.NaN
  return ms > 0 && ms <= maxTimeoutMs ? ms : invalid("timeout must be more than 0 and at most 60 seconds")
}

export const isObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value)

export const flagOf = (name: string, value: boolean | undefined): Checked<boolean> =>
  value === undefined || typeof value === "boolean" ? value ?? false : invalid(`${name} is true or false`)

const revisionOf = (name: string, value: number | undefined, least: number): Checked<Revision | null> => {
  if (value === undefined) return null
  return Number.isSafeInteger(value) && value >= least
    ? value as Revision
    : invalid(`${name} must be a whole number of at least ${least}`)
}

export const keyOf = (key: string): Checked<Key> =>
  typeof key === "string" && isKey(key)
    ? key as Key
    : invalid("a key is a well-formed string of 1 to 1024 bytes in UTF-8")

const valueOf = (value: Uint8Array | string, maxBytes: number): Checked<Uint8Array> => {
  // Encoding would put U+FFFD where half a surrogate pair is: another value than the one given.
  if (typeof value === "string" && !value.isWellFormed()) return invalid("a value's text is well-formed")
  const bytes = typeof value === "string" ? encoder.encode(value) : value
  if (!(bytes instanceof Uint8Array)) return invalid("a value is bytes or text")
  return bytes.length <= maxBytes
    ? bytes
    : new InvalidRequest({ message: `a value has at most ${maxBytes} bytes`, tooLarge: true })
}

export const setCommand = (
  key: string,
  value: Uint8Array | string,
  options: SetOptions | undefined,
  maxBytes: number
): Checked<Command> => {
  const checkedKey = keyOf(key)
  if (typeof checkedKey !== "string") return checkedKey
  const bytes = valueOf(value, maxBytes)
  if (bytes instanceof InvalidRequest) return bytes
  const ifRevision = revisionOf("ifRevision", options?.ifRevision, 0)
  if (ifRevision instanceof InvalidRequest) return ifRevision
  const previous = flagOf("previous", options?.previous)
  if (typeof previous !== "boolean") return previous
  return { _tag: "Put", key: checkedKey, value: bytes, ifRevision, previous, leaseId: null }
}

export const setManyCommand = (
  entries: ReadonlyArray<readonly [string, Uint8Array | string]>,
  maxBytes: number
): Checked<Command> => {
  if (!Array.isArray(entries) || !entries.every((entry) => Array.isArray(entry) && entry.length === 2)) {
    return invalid("entries are an array of pairs of key and value")
  }
  if (entries.length === 0 || entries.length > maxTxnOperations) {
    return invalid(`one command sets 1 to ${maxTxnOperations} keys`)
  }
  const puts: Array<{ readonly key: Key; readonly value: Uint8Array }> = []
  const seen = new Set<string>()
  for (const [key, value] of entries) {
    const checkedKey = keyOf(key)
    if (typeof checkedKey !== "string") return checkedKey
    if (seen.has(key)) return invalid(`one command sets no key twice: ${JSON.stringify(key)}`)
    seen.add(key)
    const bytes = valueOf(value, maxBytes)
    if (bytes instanceof InvalidRequest) return bytes
    puts.push({ key: checkedKey, value: bytes })
  }
  return { _tag: "Txn", puts }
}

export const deleteCommand = (key: string, options: DeleteOptions | undefined): Checked<Command> => {
  const checkedKey = keyOf(key)
  if (typeof checkedKey !== "string") return checkedKey
  const ifRevision = revisionOf("ifRevision", options?.ifRevision, 1)
  if (ifRevision instanceof InvalidRequest) return ifRevision
  return { _tag: "Delete", key: checkedKey, ifRevision }
}

const boundOf = (name: string, bound: string | undefined): Checked<string | null> => {
  if (bound === undefined) return null
  // A bound is no key: the empty one lies before every key. It is limited like one, so that it fits in a command.
  return typeof bound === "string" && (bound === "" || isKey(bound))
    ? bound
    : invalid(`${name} is no well-formed string of at most 1024 bytes`)
}

export const deleteRangeCommand = (options: DeleteRangeOptions): Checked<Command> => {
  if (!isObject(options)) return invalid("a range delete takes exactly one of a prefix, from and to, or all")
  const given = [
    options.prefix !== undefined,
    options.from !== undefined || options.to !== undefined,
    options.all !== undefined
  ].filter(Boolean).length
  if (given !== 1) return invalid("a range delete takes exactly one of a prefix, from and to, or all")
  const range = rangeOf(options)
  return range instanceof InvalidRequest ? range : { _tag: "DeleteRange", range }
}

const rangeOf = (options: DeleteRangeOptions): Checked<KeyRange> => {
  if (options.all !== undefined) return options.all === true ? { _tag: "All" } : invalid("all must be true")
  if (options.prefix !== undefined) {
    const prefix = keyOf(options.prefix)
    return typeof prefix === "string" ? { _tag: "Prefix", prefix } : invalid("an empty or malformed prefix")
  }
  const from = boundOf("from", options.from)
  if (from instanceof InvalidRequest) return from
  const to = boundOf("to", options.to)
  if (to instanceof InvalidRequest) return to
  return { _tag: "Between", from, to }
}

/** A read's demands. */
export interface ReadDemand {
  readonly consistency: Consistency
  readonly minRevision: Revision
}

export const demandOf = (options: ReadOptions | undefined): Checked<ReadDemand> => {
  const consistency = options?.consistency ?? "linearizable"
  if (consistency !== "linearizable" && consistency !== "lease" && consistency !== "stale") {
    return invalid("consistency is linearizable, lease or stale")
  }
  const minRevision = revisionOf("minRevision", options?.minRevision, 0)
  if (minRevision instanceof InvalidRequest) return minRevision
  return { consistency, minRevision: minRevision ?? (0 as Revision) }
}

/** A page's bounds. */
export interface Page {
  readonly scan: Scan
  readonly after: string | null
  readonly limit: number
}

export const pageOf = (options: ListOptions | undefined): Checked<Page> => {
  const limit = options?.limit ?? defaultLimit
  if (!Number.isInteger(limit) || limit < 1 || limit > maxLimit) return invalid(`limit is 1 to ${maxLimit}`)
  if (options?.prefix !== undefined && (options.from !== undefined || options.to !== undefined)) {
    return invalid("a list takes a prefix, or from and to, not both")
  }
  const prefix = boundOf("prefix", options?.prefix)
  if (prefix instanceof InvalidRequest) return prefix
  const from = boundOf("from", options?.from)
  if (from instanceof InvalidRequest) return from
  const to = boundOf("to", options?.to)
  if (to instanceof InvalidRequest) return to
  const after = boundOf("after", options?.after)
  if (after instanceof InvalidRequest) return after
  const reverse = flagOf("reverse", options?.reverse)
  if (typeof reverse !== "boolean") return reverse
  const keysOnly = flagOf("keysOnly", options?.keysOnly)
  if (typeof keysOnly !== "boolean") return keysOnly
  return {
    scan: { from, to, prefix: prefix === "" ? null : prefix, reverse, keysOnly },
    after,
    limit
  }
}
