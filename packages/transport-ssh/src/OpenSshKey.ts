/**
 * Private keys in the forms that OpenSSH reads. ssh2's own generator strips leading zero bytes and so writes a key
 * that cannot be read once in 256 times; this one is written by the format's description (PROTOCOL.key).
 */
import { generateKeyPair, generateKeyPairSync, randomBytes } from "node:crypto"

const string = (content: Uint8Array | string): Buffer => {
  const bytes = Buffer.from(content)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

const number = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

const armour = (body: Buffer): string => {
  const lines = body.toString("base64").match(/.{1,70}/g) ?? []
  return ["-----BEGIN OPENSSH PRIVATE KEY-----", ...lines, "-----END OPENSSH PRIVATE KEY-----", ""].join("\n")
}

/** Lays out an unencrypted ed25519 key file from the key's seed and public half, 32 bytes each. */
export const writeEd25519 = (seed: Uint8Array, publicHalf: Uint8Array, comment: string): string => {
  const type = string("ssh-ed25519")
  const blob = Buffer.concat([type, string(publicHalf)])
  const check = randomBytes(4)
  const secret = Buffer.concat([
    check,
    check,
    type,
    string(publicHalf),
    string(Buffer.concat([seed, publicHalf])),
    string(comment)
  ])
  const padding = Buffer.from(Array.from({ length: (8 - (secret.length % 8)) % 8 }, (_, index) => index + 1))
  return armour(Buffer.concat([
    Buffer.from("openssh-key-v1\0", "latin1"),
    string("none"),
    string("none"),
    string(""),
    number(1),
    string(blob),
    string(Buffer.concat([secret, padding]))
  ]))
}

/** Draws an ed25519 key and returns its file's text. */
export const makeEd25519 = (comment: string): string => {
  const jwk = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" })
  return writeEd25519(Buffer.from(jwk.d ?? "", "base64url"), Buffer.from(jwk.x ?? "", "base64url"), comment)
}

/** Draws an RSA key of 3,072 bits off the event loop's thread and hands over its PKCS#1 PEM. */
export const makeRsa = (done: (error: Error | null, pem: string) => void): void => {
  generateKeyPair("rsa", {
    modulusLength: 3072,
    publicKeyEncoding: { type: "pkcs1", format: "pem" },
    privateKeyEncoding: { type: "pkcs1", format: "pem" }
  }, (error, _publicKey, pem) => done(error, pem))
}
