/**
 * Public keys as people hand them over: a line of OpenSSH's, its base64 perhaps cut short or without its padding.
 *
 * What is committed as a member's key is compared letter by letter with what the transport sees, and a member cannot be
 * taken back: so a text that cannot be anybody's key is not let in, and the rest is written in one way.
 */
import { Schema } from "effect"
import { PublicKey } from "./Identity.ts"

const isPublicKey = Schema.is(PublicKey)

/** The types whose wire form is known (RFC 4253 §6.6): fields with their lengths before them, the type the first. */
const isKnownType = (type: string): boolean => /^(ssh-(ed25519|rsa)|ecdsa-sha2-\S+)$/.test(type)

/** Whether the bytes are at least two whole fields, of which the first is `type`. */
const isWireForm = (type: string, blob: Buffer): boolean => {
  let at = 0
  let fields = 0
  while (at + 4 <= blob.length) {
    const end = at + 4 + blob.readUInt32BE(at)
    if (end > blob.length || (fields === 0 && blob.toString("latin1", at + 4, end) !== type)) return false
    at = end
    fields++
  }
  return at === blob.length && fields >= 2
}

/** `type base64` of a line `type base64 comment`; null where it is no public key. */
export const parsePublicKey = (line: string): PublicKey | null => {
  const [type = "", base64 = ""] = line.trim().split(/\s+/)
  const given = `${type} ${base64}`
  if (!isPublicKey(given)) return null
  if (!isKnownType(type)) return given
  const blob = Buffer.from(base64, "base64")
  const canonical = blob.toString("base64")
  if (canonical.replace(/=+$/, "") !== base64.replace(/=+$/, "") || !isWireForm(type, blob)) return null
  return `${type} ${canonical}` as PublicKey
}
