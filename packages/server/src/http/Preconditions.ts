/**
 * Conditional requests (RFC 9110 §13), of which this interface knows one strong tag of decimal digits, or `*`.
 *
 * An entity tag is the entry's `modRevision`. Digits that no entry can have as its tag (`"0"`, `"007"`, more than
 * 2^53 - 1) are well-formed and match nothing.
 */
import { InvalidRequest } from "@distkv/core"
import { Result } from "effect"

/** What a precondition names: this revision, any present entry, or a tag that nothing can match. */
export type Tag = { readonly _tag: "Revision"; readonly revision: number } | { readonly _tag: "Any" | "Nothing" }

const anyTag: Tag = { _tag: "Any" }
const nothing: Tag = { _tag: "Nothing" }

/** The tag of a precondition's header; undefined where the header is absent. */
export const parseTag = (header: string | undefined, name: string): Result.Result<Tag | undefined, InvalidRequest> => {
  if (header === undefined) return Result.succeed(undefined)
  if (header === "*") return Result.succeed(anyTag)
  const match = /^"([0-9]+)"$/.exec(header)
  if (match === null) {
    return Result.fail(new InvalidRequest({ message: `${name} is one strong tag of decimal digits, or *` }))
  }
  const digits = match[1] ?? ""
  const revision = Number(digits)
  return Result.succeed(
    digits.startsWith("0") || !Number.isSafeInteger(revision) ? nothing : { _tag: "Revision", revision }
  )
}

/** Whether an entry with this `modRevision` is what the tag names. */
export const matches = (tag: Tag, modRevision: number): boolean =>
  tag._tag === "Any" || (tag._tag === "Revision" && tag.revision === modRevision)
