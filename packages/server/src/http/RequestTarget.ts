/**
 * The raw request target, parsed by hand: routers merge slashes, cut at `;` and shorten parameters, and `URL` resolves
 * `.` and `..` segments, all of which would make two keys meet.
 */
import { InvalidRequest, maxKeyBytes } from "@distkv/core"
import { Result } from "effect"

/** A target split at its first `?`; both parts still percent-encoded. */
export interface RequestTarget {
  readonly path: string
  readonly query: string
  /** The authority of an absolute target (`GET http://host/…`), else null. */
  readonly authority: string | null
}

/** Query parameters by name, form-decoded; no name twice. */
export type Query = ReadonlyMap<string, string>

const invalid = (message: string) => Result.fail(new InvalidRequest({ message }))

/** Splits a target in origin form (`/path?query`) or absolute form; anything else is invalid. */
export const splitTarget = (target: string): Result.Result<RequestTarget, InvalidRequest> => {
  let rest = target
  let authority: string | null = null
  if (rest.charCodeAt(0) !== 47) {
    const absolute = /^https?:\/\/([^/?#]+)/i.exec(target)
    if (absolute === null) return invalid("the request target is neither a path nor an absolute URL")
    authority = absolute[1] ?? ""
    rest = target.slice(absolute[0].length)
    if (rest.charCodeAt(0) !== 47) rest = `/${rest}`
  }
  const mark = rest.indexOf("?")
  return Result.succeed(
    mark < 0
      ? { path: rest, query: "", authority }
      : { path: rest.slice(0, mark), query: rest.slice(mark + 1), authority }
  )
}

/** A percent-escape that is complete, at `at`. */
const isEscape = (text: string, at: number): boolean => isHex(text.charCodeAt(at + 1)) && isHex(text.charCodeAt(at + 2))

const isHex = (unit: number): boolean =>
  (unit >= 48 && unit <= 57) || (unit >= 65 && unit <= 70) || (unit >= 97 && unit <= 102)

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Decodes percent-escapes exactly once; undefined where one is incomplete, or the whole is not UTF-8 in escapes. */
export const percentDecode = (text: string): string | undefined => {
  if (!text.includes("%")) return isAscii(text) ? text : undefined
  const bytes = Buffer.allocUnsafe(text.length)
  let length = 0
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit > 127) return undefined
    if (unit === 37) {
      if (!isEscape(text, i)) return undefined
      bytes[length++] = Number.parseInt(text.slice(i + 1, i + 3), 16)
      i += 2
    } else {
      bytes[length++] = unit
    }
  }
  return Result.getOrUndefined(Result.try(() => strict.decode(bytes.subarray(0, length))))
}

const isAscii = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 127) return false
  }
  return true
}

/** A key as a path or query carries it: 1 to 1,024 bytes of UTF-8 when decoded. */
export const parseKey = (encoded: string): Result.Result<string, InvalidRequest> => {
  const key = percentDecode(encoded)
  if (key === undefined) return invalid("the key has an incomplete escape or is not UTF-8")
  return checkKey(key)
}

/** Whether a decoded text may be a key; bounds are checked in bytes of UTF-8. */
export const checkKey = (key: string): Result.Result<string, InvalidRequest> => {
  if (key.length === 0) return invalid("the key is empty")
  if (key.length * 3 > maxKeyBytes && Buffer.byteLength(key) > maxKeyBytes) {
    return invalid(`the key is longer than ${maxKeyBytes} bytes`)
  }
  return Result.succeed(key)
}

type ParsedQuery = Result.Result<Query, InvalidRequest>

const empty: ParsedQuery = Result.succeed(new Map())
/** What was parsed last: most callers ask with the same query again and again. */
let last = { text: "", query: empty }

/** Form-decodes a query; a name given twice, an incomplete escape or invalid UTF-8 make it invalid. */
export const parseQuery = (text: string): ParsedQuery => {
  if (text === "") return empty
  if (text !== last.text) last = { text, query: formDecodeAll(text) }
  return last.query
}

const formDecodeAll = (text: string): ParsedQuery => {
  const query = new Map<string, string>()
  for (const part of text.split("&")) {
    if (part === "") continue
    const equals = part.indexOf("=")
    const name = formDecode(equals < 0 ? part : part.slice(0, equals))
    const value = equals < 0 ? "" : formDecode(part.slice(equals + 1))
    if (name === undefined || value === undefined) {
      return invalid("the query has an incomplete escape or is not UTF-8")
    }
    if (query.has(name)) return invalid(`the parameter ${JSON.stringify(name)} is given more than once`)
    query.set(name, value)
  }
  return Result.succeed(query)
}

const formDecode = (text: string): string | undefined =>
  percentDecode(text.includes("+") ? text.replaceAll("+", " ") : text)
