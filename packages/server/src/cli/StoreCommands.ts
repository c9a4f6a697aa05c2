/** `get`, `set`, `delete` and `list`: the store, through any node's HTTP interface. */
import type { Entry } from "@distkv/core"
import { Effect } from "effect"
import { Argument, Command } from "effect/cli"
import { connect } from "./Connection.ts"
import { misused } from "./ExitStatus.ts"
import { choice, count, endpoints, Json, orUndefined, timeout, toggle } from "./Flags.ts"
import { inertText, printJson, printLine, writeBytes } from "./Output.ts"
import { readStandardInput } from "./StandardInput.ts"

const common = { endpoints, timeout }

const consistency = choice(
  "consistency",
  ["linearizable", "lease", "stale"],
  "How fresh the answer is: linearizable (every acknowledged write), lease (the same, by the leader's lease where there " +
    "is one), or stale (what that node has)"
).pipe(orUndefined)

const key = Argument.String("key").pipe(Argument.withDescription("The key"))

const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64")

const newline = 10

/** Entries asked for at once. */
const pageEntries = 1000

/** A line for people; what is not text is shown with U+FFFD, and nothing can break the line. */
const entryLine = (entry: Entry, keysOnly: boolean): string =>
  keysOnly ? inertText(entry.key) : `${inertText(entry.key)}\t${inertText(decoder.decode(entry.value))}`

const decoder = new TextDecoder()

/** An entry as the HTTP interface writes it. */
const entryJson = (entry: Entry) => ({
  key: entry.key,
  value: base64(entry.value),
  createRevision: String(entry.createRevision),
  modRevision: String(entry.modRevision),
  version: entry.version,
  lease: entry.leaseId === null ? null : String(entry.leaseId)
})

export const getCommand = Command.make("get", { ...common, consistency, key }, (flags) =>
  Effect.gen(function*() {
    const store = yield* connect(flags.endpoints)
    const entry = yield* store.get(flags.key, { consistency: flags.consistency, timeout: flags.timeout })
    if (yield* Json) return yield* printJson({ ...entryJson(entry), revision: String(entry.revision) })
    yield* writeBytes(entry.value)
    if (process.stdout.isTTY && entry.value.at(-1) !== newline) yield* printLine("")
  })).pipe(Command.withDescription("Print a key's value, byte for byte"))

export const setCommand = Command.make("set", {
  ...common,
  ifRevision: count("if-revision", 0, "Only if the key was last changed at this revision; 0 creates only"),
  create: toggle("create", "Only if the key is absent"),
  key,
  value: Argument.String("value").pipe(Argument.withDescription("The value, or - to read it from standard input"))
}, (flags) =>
  Effect.gen(function*() {
    if (flags.create && flags.ifRevision !== undefined) {
      return yield* misused("--create and --if-revision exclude each other")
    }
    const store = yield* connect(flags.endpoints)
    const value = flags.value === "-" ? yield* readStandardInput : flags.value
    const result = yield* store.set(flags.key, value, {
      ifRevision: flags.create ? 0 : flags.ifRevision,
      timeout: flags.timeout
    })
    yield* (yield* Json)
      ? printJson({ revision: String(result.revision), created: result.created })
      : printLine(`${result.created ? "created" : "set"} at revision ${result.revision}`)
  })).pipe(Command.withDescription("Set a key's value"))

export const deleteCommand = Command.make("delete", {
  ...common,
  ifRevision: count("if-revision", 1, "Only if the key was last changed at this revision"),
  prefix: toggle("prefix", "Delete every key that begins with KEY, at one revision"),
  key
}, (flags) =>
  Effect.gen(function*() {
    if (flags.prefix && flags.ifRevision !== undefined) {
      return yield* misused("--prefix and --if-revision exclude each other")
    }
    const store = yield* connect(flags.endpoints)
    const { deleted, revision } = flags.prefix
      ? yield* store.deleteRange({ prefix: flags.key, timeout: flags.timeout })
      : yield* store.delete(flags.key, { ifRevision: flags.ifRevision, timeout: flags.timeout })
    if (yield* Json) return yield* printJson({ revision: String(revision), deleted })
    const keys = Number(deleted)
    yield* printLine(
      keys === 0 ? "nothing to delete" : `deleted ${keys} ${keys === 1 ? "key" : "keys"} at revision ${revision}`
    )
  })).pipe(Command.withDescription("Delete a key; an absent one is no error"))

export const listCommand = Command.make("list", {
  ...common,
  consistency,
  limit: count("limit", 1, "Print at most this many entries, all unless told otherwise"),
  keysOnly: toggle("keys-only", "Print keys without values"),
  reverse: toggle("reverse", "Begin with the last key"),
  prefix: Argument.String("prefix").pipe(
    Argument.withDescription("Only keys that begin with this"),
    Argument.withDefault("")
  )
}, (flags) =>
  Effect.gen(function*() {
    const store = yield* connect(flags.endpoints)
    const json = yield* Json
    let left = flags.limit ?? Number.POSITIVE_INFINITY
    let after: string | undefined
    while (left > 0) {
      const page = yield* store.list({
        prefix: flags.prefix === "" ? undefined : flags.prefix,
        after,
        limit: Math.min(left, pageEntries),
        keysOnly: flags.keysOnly,
        reverse: flags.reverse,
        consistency: flags.consistency,
        timeout: flags.timeout
      })
      for (const entry of page.entries) {
        yield* json
          ? printJson(entryJson(entry))
          : printLine(entryLine(entry, flags.keysOnly))
      }
      left -= page.entries.length
      after = page.entries.at(-1)?.key
      if (!page.more || after === undefined) return
    }
  })).pipe(
    Command.withDescription("Print keys and values in order, a line for each; every page is one consistent cut")
  )
