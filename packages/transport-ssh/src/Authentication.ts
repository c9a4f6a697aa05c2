/**
 * Who may come in: public keys that are trusted, proved by a signature, under one user name. Nothing else.
 *
 * A `none` request and the question whether a key would do (publickey without a signature) prove nothing and cost
 * nothing, so they are answered but bounded; a few rejected proofs end the connection.
 */
import type { AuthContext, Connection, PublicKeyAuthContext } from "ssh2"
import type { AuthorizedKey } from "./AuthorizedKeys.ts"
import { sshUser } from "./SshWire.ts"

/** Requests on one connection that are answered without counting as tries. */
const maxFreeRequests = 12

export interface AuthenticationEvents {
  /** The trusted key with this wire form, by the files as they are now. */
  readonly find: (blob: Uint8Array) => AuthorizedKey | undefined
  /** An attempt was rejected. */
  readonly rejected: () => void
  /** The connection is to end. */
  readonly cut: () => void
  /** The key was proved. SSH's `ready` follows. */
  readonly proved: (key: AuthorizedKey) => void
}

/** The trusted key that a request is about; RSA with SHA-1 (which ssh2 shows as no hash) is never accepted. */
const trustedKey = (context: PublicKeyAuthContext, find: AuthenticationEvents["find"]): AuthorizedKey | undefined => {
  const key = find(context.key.data)
  return key?.type === "ssh-rsa" && context.hashAlgo === undefined ? undefined : key
}

const isProof = (context: PublicKeyAuthContext, key: AuthorizedKey): boolean => {
  if (context.signature === undefined || context.blob === undefined) return false
  // ssh2 may answer with an error here, which is as truthy as a yes.
  const verdict: unknown = key.parsed.verify(context.blob, context.signature, context.hashAlgo)
  return verdict === true
}

export const authenticate = (connection: Connection, maxTries: number, events: AuthenticationEvents): void => {
  let tries = 0
  let free = 0
  const reject = (context: AuthContext, counts: boolean): void => {
    if (counts) {
      tries++
      events.rejected()
    } else free++
    context.reject(["publickey"])
    if (tries >= maxTries || free > maxFreeRequests) events.cut()
  }
  connection.on("authentication", (context) => {
    if (tries >= maxTries || free > maxFreeRequests) return context.reject()
    if (context.method === "none") return reject(context, false)
    if (context.method !== "publickey" || context.username !== sshUser) return reject(context, true)
    const key = trustedKey(context, events.find)
    if (context.signature === undefined) {
      if (key === undefined) return reject(context, false)
      context.accept()
      if (++free > maxFreeRequests) events.cut()
      return
    }
    if (key === undefined || !isProof(context, key)) return reject(context, true)
    events.proved(key)
    context.accept()
  })
}
