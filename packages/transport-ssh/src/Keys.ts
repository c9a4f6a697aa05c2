/**
 * The keys in a data directory: a node's own pair, and the public keys that it trusts.
 *
 * A key in `authorized.keys` or in `authenticated.key` (the name in the original's documentation) is trusted. All of
 * this works without a running node; a running one notices changes by itself.
 */
import { InvalidRequest, NotFound, type PublicKey, type StorageFailed } from "@distkv/core"
import { Effect } from "effect"
import * as os from "node:os"
import * as path from "node:path"
import { type AuthorizedKey, keyTypes, parseAuthorizedKeys, type RejectedLine } from "./AuthorizedKeys.ts"
import { createFile, modeOf, readText, replaceFile } from "./KeyFiles.ts"
import { ensureOwnKey, findOwnKey, type NewKeyType, type OwnKey } from "./OwnKey.ts"

/** The files that are read, in this order; `authorize` writes into the first. */
export const trustFiles = ["authorized.keys", "authenticated.key"] as const

/** A node's own key as others may see it. */
export interface NodeKey {
  readonly type: string
  readonly publicKey: PublicKey
  /** The line that goes into the `authorized.keys` of every node that this one shall talk to. */
  readonly line: string
  /** `SHA256:…`, as `ssh-keygen -l` writes it. */
  readonly fingerprint: string
  /** The private key's file. */
  readonly file: string
}

/** A trusted key and the file that it stands in. */
export interface TrustedKey {
  readonly type: string
  readonly publicKey: PublicKey
  readonly fingerprint: string
  readonly comment: string
  readonly file: string
  readonly line: number
  /** Whether it is this node's own. */
  readonly own: boolean
}

/** A line that is not trusted, and why. */
export interface RefusedLine extends RejectedLine {
  readonly file: string
}

export interface InitOptions {
  /** What to make where there is no key yet; default `ed25519`. */
  readonly keyType?: NewKeyType | undefined
  /** The comment of a new key; default `distkv@` and the host's name. */
  readonly comment?: string | undefined
}

const invalid = (message: string) => new InvalidRequest({ message })

const publicView = ({ privateKey: _, ...key }: OwnKey): NodeKey => key

/** Makes sure of a key pair and of an `authorized.keys`, which starts with the node's own key. For the transport. */
export const prepare = Effect.fnUntraced(function*(
  dataDir: string,
  options: InitOptions
): Effect.fn.Return<{ readonly key: OwnKey; readonly created: boolean }, InvalidRequest | StorageFailed> {
  const comment = options.comment ?? `distkv@${os.hostname()}`
  if (/[\r\n\0]/.test(comment)) return yield* invalid("a key's comment is one line")
  const made = yield* ensureOwnKey(dataDir, { type: options.keyType ?? "ed25519", comment })
  yield* createFile(path.join(dataDir, trustFiles[0]), `${made.key.line}\n`, 0o644)
  return made
})

/**
 * Makes the directory, its key pair and its `authorized.keys`, each only where it is missing; an existing `id_rsa` or
 * `id_ed25519` is used as it is. `created` is true when the key pair is new.
 */
export const init = Effect.fnUntraced(function*(
  dataDir: string,
  options: InitOptions = {}
): Effect.fn.Return<{ readonly key: NodeKey; readonly created: boolean }, InvalidRequest | StorageFailed> {
  const { key, created } = yield* prepare(dataDir, options)
  return { key: publicView(key), created }
})

/** The node's own key. `NotFound` where there is none yet. */
export const show = Effect.fnUntraced(function*(
  dataDir: string
): Effect.fn.Return<NodeKey, NotFound | InvalidRequest | StorageFailed> {
  const key = yield* findOwnKey(dataDir)
  if (key === null) return yield* new NotFound({ message: `there is no key in ${dataDir}; distkv init makes one` })
  return publicView(key)
})

const trusted = (key: AuthorizedKey, file: string, own: OwnKey | null): TrustedKey => ({
  type: key.type,
  publicKey: key.publicKey,
  fingerprint: key.fingerprint,
  comment: key.comment,
  file,
  line: key.line,
  own: own?.publicKey === key.publicKey
})

/** All trusted keys, a key that stands in both files twice, and the lines that are not understood. */
export const list = Effect.fnUntraced(function*(dataDir: string): Effect.fn.Return<
  { readonly keys: ReadonlyArray<TrustedKey>; readonly refused: ReadonlyArray<RefusedLine> },
  InvalidRequest | StorageFailed
> {
  const own = yield* findOwnKey(dataDir)
  const keys: Array<TrustedKey> = []
  const refused: Array<RefusedLine> = []
  for (const name of trustFiles) {
    const file = path.join(dataDir, name)
    const parsed = parseAuthorizedKeys((yield* readText(file)) ?? "")
    keys.push(...parsed.keys.map((key) => trusted(key, file, own)))
    refused.push(...parsed.rejected.map((line) => ({ ...line, file })))
  }
  return { keys, refused }
})

const isLine = (text: string): boolean => keyTypes.some((type) => text.trimStart().startsWith(`${type} `))

const readSource = Effect.fnUntraced(function*(
  fileOrLine: string
): Effect.fn.Return<ReadonlyArray<AuthorizedKey>, InvalidRequest | StorageFailed> {
  const source = isLine(fileOrLine) ? "the key" : fileOrLine
  const text = isLine(fileOrLine) ? fileOrLine : yield* readText(fileOrLine)
  if (text === null) return yield* invalid(`${source} is neither a public key nor a file`)
  if (text.includes("PRIVATE KEY-----")) {
    return yield* invalid(`${source} is a private key; give the public one (${source}.pub)`)
  }
  const { keys, rejected: [refusal] } = parseAuthorizedKeys(text)
  if (refusal !== undefined) return yield* invalid(`${source}, line ${refusal.line}: ${refusal.reason}`)
  if (keys.length === 0) return yield* invalid(`${source} holds no public key`)
  return keys
})

/**
 * Trusts the public keys of a file, or of one line `type base64 comment`: all of them or, when one is not acceptable
 * (`InvalidRequest`), none. Keys that are trusted already are not written again.
 */
export const authorize = Effect.fnUntraced(function*(dataDir: string, fileOrLine: string): Effect.fn.Return<
  { readonly added: ReadonlyArray<TrustedKey>; readonly known: ReadonlyArray<TrustedKey> },
  InvalidRequest | StorageFailed
> {
  const keys = yield* readSource(fileOrLine)
  const before = yield* list(dataDir)
  const known = before.keys.filter((old) => keys.some((key) => key.publicKey === old.publicKey))
  const fresh = keys.filter((key) => !known.some((old) => old.publicKey === key.publicKey))
  if (fresh.length === 0) return { added: [], known }
  const file = path.join(dataDir, trustFiles[0])
  const text = (yield* readText(file)) ?? ""
  const lines = fresh.map((key) => `${key.publicKey} ${key.comment}`.trim())
  const head = text === "" || text.endsWith("\n") ? text : `${text}\n`
  yield* replaceFile(file, `${head}${lines.join("\n")}\n`, (yield* modeOf(file)) ?? 0o644)
  const after = yield* list(dataDir)
  return { added: after.keys.filter((key) => fresh.some((one) => one.publicKey === key.publicKey)), known }
})

const withoutPadding = (fingerprint: string): string => fingerprint.trim().replace(/^SHA256:/, "").replace(/=+$/, "")

/**
 * Trusts the key with this fingerprint (`SHA256:…`) no longer, in either file; a running node cuts its connections.
 * Gives back what was removed. `NotFound` when no trusted key has it.
 */
export const revoke = Effect.fnUntraced(function*(
  dataDir: string,
  fingerprint: string
): Effect.fn.Return<ReadonlyArray<TrustedKey>, NotFound | InvalidRequest | StorageFailed> {
  const before = yield* list(dataDir)
  const removed = before.keys.filter((key) => withoutPadding(key.fingerprint) === withoutPadding(fingerprint))
  if (removed.length === 0) {
    return yield* new NotFound({ message: `no key in ${dataDir} has the fingerprint ${fingerprint}` })
  }
  for (const name of trustFiles) {
    const file = path.join(dataDir, name)
    if (!removed.some((key) => key.file === file)) continue
    const text = (yield* readText(file)) ?? ""
    const kept = text.split(/(?<=\n)/).filter((line) =>
      !parseAuthorizedKeys(line).keys.some((key) => removed.some((gone) => gone.publicKey === key.publicKey))
    )
    yield* replaceFile(file, kept.join(""), (yield* modeOf(file)) ?? 0o644)
  }
  return removed
})
