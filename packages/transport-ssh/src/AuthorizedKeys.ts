/**
 * OpenSSH's authorized_keys format: one public key a line, `type base64 comment`, with `#` comments and blank lines.
 *
 * A line with options is refused and not read without them: an option restricts, and ignoring it would widen access.
 */
import type { PublicKey } from "@distkv/core"
import { createHash, timingSafeEqual } from "node:crypto"
import ssh2, { type ParsedKey } from "ssh2"

/** The types of keys that a node may have. RSA signs with SHA-2 and has at least 2,048 bits. */
export const keyTypes = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"] as const
export type KeyType = (typeof keyTypes)[number]

/** The fewest bits of an RSA key. */
export const minimumRsaBits = 2048

/** A public key that was read and checked. */
export interface AuthorizedKey {
  readonly type: KeyType
  readonly publicKey: PublicKey
  /** `SHA256:` and 43 characters, as `ssh-keygen -l` writes it. */
  readonly fingerprint: string
  /** What follows the key on its line; never trusted for anything. */
  readonly comment: string
  /** Where it stood, from 1. */
  readonly line: number
  /** SHA-256 of the key's wire form, for comparing in constant time. */
  readonly digest: Buffer
  /** The key as ssh2 verifies with it. */
  readonly parsed: ParsedKey
}

/** A line that is no key to trust, and why. */
export interface RejectedLine {
  readonly line: number
  readonly reason: string
}

export interface ParsedKeys {
  readonly keys: ReadonlyArray<AuthorizedKey>
  readonly rejected: ReadonlyArray<RejectedLine>
}

const digestOf = (blob: Uint8Array): Buffer => createHash("sha256").update(blob).digest()

/** The fingerprint of a key's wire form, as `ssh-keygen -l` writes it. */
export const fingerprintOf = (blob: Uint8Array): string =>
  `SHA256:${digestOf(blob).toString("base64").replace(/=+$/, "")}`

/** The wire form of a key given as `type base64`. */
export const blobOf = (publicKey: string): Buffer => Buffer.from(publicKey.split(" ")[1] ?? "", "base64")

/** Writes a key's wire form as `type base64`. */
export const publicKeyOf = (type: string, blob: Uint8Array): PublicKey =>
  `${type} ${Buffer.from(blob).toString("base64")}` as PublicKey

const isKeyType = (type: string): type is KeyType => keyTypes.some((known) => known === type)

const looksLikeKeyType = (word: string): boolean => /^(ssh-|ecdsa-|sk-|webauthn-)/.test(word)

/** The position after an options field: the first blank outside quotes, or -1 when a quote does not end. */
const endOfOptions = (line: string): number => {
  let quoted = false
  for (let i = 0; i < line.length; i++) {
    if (line[i] === "\\" && line[i + 1] === '"') i++
    else if (line[i] === '"') quoted = !quoted
    else if (!quoted && /\s/.test(line[i] ?? "")) return i
  }
  return quoted ? -1 : line.length
}

/** The number of bits of an RSA key's modulus, read from its wire form: type, exponent, modulus. */
const rsaBits = (blob: Buffer): number => {
  let at = 0
  for (let field = 0; field < 2; field++) at += 4 + blob.readUInt32BE(at)
  const modulus = blob.subarray(at + 4, at + 4 + blob.readUInt32BE(at))
  const first = modulus.findIndex((byte) => byte !== 0)
  return first < 0 ? 0 : (modulus.length - first - 1) * 8 + (32 - Math.clz32(modulus[first] ?? 0))
}

/** Reads `type base64 comment`; a string says why it is not accepted. */
const parseKeyLine = (text: string, line: number): AuthorizedKey | string => {
  const match = /^(\S+)\s+(\S+)(?:\s+(.*))?$/.exec(text)
  if (match === null) return "not a public key"
  const [, type = "", base64 = "", comment = ""] = match
  if (/-cert-v0\d@openssh\.com$/.test(type)) return "certificates are not supported"
  if (!isKeyType(type)) return `keys of type ${JSON.stringify(type)} are not supported`
  const blob = Buffer.from(base64, "base64")
  if (blob.toString("base64").replace(/=+$/, "") !== base64.replace(/=+$/, "")) return "the key is not valid base64"
  const parsed = ssh2.utils.parseKey(`${type} ${base64}`)
  if (parsed instanceof Error || Array.isArray(parsed)) return "the key cannot be read"
  if (parsed.isPrivateKey() || parsed.type !== type || !parsed.getPublicSSH().equals(blob)) {
    return "the key is not written in its one canonical form"
  }
  if (type === "ssh-rsa" && rsaBits(blob) < minimumRsaBits) {
    return `the RSA key has ${rsaBits(blob)} bits, and ${minimumRsaBits} are the least`
  }
  return {
    type,
    publicKey: publicKeyOf(type, blob),
    fingerprint: fingerprintOf(blob),
    comment: comment.trim(),
    line,
    digest: digestOf(blob),
    parsed
  }
}

const parseLine = (text: string, line: number): AuthorizedKey | string => {
  const [first = ""] = text.split(/\s/, 1)
  if (looksLikeKeyType(first)) return parseKeyLine(text, line)
  const end = endOfOptions(text)
  if (end < 0) return "a quote does not end"
  const [next = ""] = text.slice(end).trim().split(/\s/, 1)
  if (!looksLikeKeyType(next)) return "not a public key"
  return `options are not supported (${text.slice(0, end)}); write the line without them, or leave the key out`
}

/** Reads a whole file. Never fails: what is no acceptable key is listed with its reason. */
export const parseAuthorizedKeys = (text: string): ParsedKeys => {
  const keys: Array<AuthorizedKey> = []
  const rejected: Array<RejectedLine> = []
  text.replace(/^\uFEFF/, "").split(/\r\n|\n|\r/).forEach((raw, index) => {
    const line = raw.trim()
    if (line === "" || line.startsWith("#")) return
    const parsed = parseLine(line, index + 1)
    if (typeof parsed === "string") rejected.push({ line: index + 1, reason: parsed })
    else if (findKey(keys, blobOf(parsed.publicKey)) === undefined) keys.push(parsed)
  })
  return { keys, rejected }
}

/** The key with this wire form, compared in constant time and without stopping early. */
export const findKey = (keys: ReadonlyArray<AuthorizedKey>, blob: Uint8Array): AuthorizedKey | undefined => {
  const digest = digestOf(blob)
  let found: AuthorizedKey | undefined
  for (const key of keys) if (timingSafeEqual(key.digest, digest)) found = key
  return found
}
