/** A node's own key pair: `id_ed25519` or `id_rsa` in its data directory, readable by its owner only. */
import { InvalidRequest, type PublicKey, type StorageFailed } from "@distkv/core"
import { Effect } from "effect"
import * as path from "node:path"
import ssh2 from "ssh2"
import { type KeyType, keyTypes, parseAuthorizedKeys, publicKeyOf } from "./AuthorizedKeys.ts"
import { createFile, makeDirectory, modeOf, readText } from "./KeyFiles.ts"
import { makeEd25519, makeRsa } from "./OpenSshKey.ts"

/** What a new key may be; an existing one is used whatever it is. */
export type NewKeyType = "ed25519" | "rsa"

/** The names of private key files, in the order in which they are looked for. */
export const privateKeyFiles = ["id_ed25519", "id_rsa"] as const

/** A node's key. `privateKey` is the file's text and goes nowhere but into the handshake. */
export interface OwnKey {
  readonly type: KeyType
  readonly publicKey: PublicKey
  /** The public key with its comment: the line that goes into the `authorized.keys` of others. */
  readonly line: string
  readonly fingerprint: string
  /** The private key's file. */
  readonly file: string
  readonly privateKey: string
}

const invalid = (message: string) => new InvalidRequest({ message })

/** Windows has no permission bits to check. */
const checkMode = (file: string, mode: number): Effect.Effect<void, InvalidRequest> =>
  process.platform !== "win32" && (mode & 0o077) !== 0
    ? Effect.fail(invalid(
      `the private key ${file} can be read by others (mode ${mode.toString(8).padStart(4, "0")}): run chmod 600 ${file}`
    ))
    : Effect.void

const parsePrivate = (file: string, text: string, comment: string): OwnKey | string => {
  const parsed = ssh2.utils.parseKey(text)
  if (parsed instanceof Error || Array.isArray(parsed)) {
    return /ENCRYPTED/.test(text) || (parsed instanceof Error && /passphrase/i.test(parsed.message))
      ? "it is encrypted with a passphrase; remove it with ssh-keygen -p"
      : "it is neither an OpenSSH key nor a PKCS#1 PEM; ssh-keygen -p rewrites other forms"
  }
  if (!parsed.isPrivateKey()) return "it holds no private key"
  const type = keyTypes.find((known) => known === parsed.type)
  if (type === undefined) return `keys of type ${parsed.type} are not supported`
  const name = parsed.comment === "" ? comment : parsed.comment
  const line = `${publicKeyOf(type, parsed.getPublicSSH())} ${name}`.trim()
  const { keys: [key], rejected: [refusal] } = parseAuthorizedKeys(line)
  if (key === undefined) return refusal?.reason ?? "its public half cannot be read"
  return { type, publicKey: key.publicKey, line, fingerprint: key.fingerprint, file, privateKey: text }
}

const readKey = Effect.fnUntraced(function*(
  dataDir: string,
  name: string
): Effect.fn.Return<OwnKey | null, InvalidRequest | StorageFailed> {
  const file = path.join(dataDir, name)
  const mode = yield* modeOf(file)
  if (mode === null) return null
  yield* checkMode(file, mode)
  const text = yield* readText(file)
  if (text === null) return null
  const written = yield* readText(`${file}.pub`)
  const comment = (written ?? "").trim().split(/\s+/).slice(2).join(" ")
  const key = parsePrivate(file, text, comment)
  if (typeof key === "string") return yield* invalid(`the private key ${file} cannot be used: ${key}`)
  return key
})

/** The key in this directory, null when there is none. Where there are both, `id_ed25519` is the one. */
export const findOwnKey = Effect.fnUntraced(function*(
  dataDir: string
): Effect.fn.Return<OwnKey | null, InvalidRequest | StorageFailed> {
  for (const name of privateKeyFiles) {
    const key = yield* readKey(dataDir, name)
    if (key !== null) return key
  }
  return null
})

const generate = (type: NewKeyType, comment: string): Effect.Effect<string> =>
  type === "ed25519"
    ? Effect.sync(() => makeEd25519(comment))
    : Effect.callback<string>((resume) => {
      makeRsa((error, pem) => resume(error === null ? Effect.succeed(pem) : Effect.die(error)))
    })

/**
 * The key in this directory, made when there is none; `created` says so. Two processes at once end up with one key.
 * Also writes the `.pub` beside it where it is missing.
 */
export const ensureOwnKey = Effect.fnUntraced(function*(dataDir: string, options: {
  readonly type: NewKeyType
  readonly comment: string
}): Effect.fn.Return<{ readonly key: OwnKey; readonly created: boolean }, InvalidRequest | StorageFailed> {
  yield* makeDirectory(dataDir)
  const found = yield* findOwnKey(dataDir)
  let created = false
  if (found === null) {
    const text = yield* generate(options.type, options.comment)
    created = yield* createFile(path.join(dataDir, `id_${options.type}`), text, 0o600)
  }
  const key = found ?? (yield* findOwnKey(dataDir))
  if (key === null) return yield* invalid(`the private key in ${dataDir} went away while it was being made`)
  const line = key.line === key.publicKey && options.comment !== "" ? `${key.line} ${options.comment}` : key.line
  yield* createFile(`${key.file}.pub`, `${line}\n`, 0o644)
  return { key: { ...key, line }, created }
})
