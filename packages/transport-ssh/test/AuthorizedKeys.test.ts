import { assert, it } from "@effect/vitest"
import { generateKeyPairSync } from "node:crypto"
import ssh2 from "ssh2"
import { describe } from "vitest"
import { blobOf, findKey, parseAuthorizedKeys } from "../src/AuthorizedKeys.ts"
import { makeEd25519 } from "../src/OpenSshKey.ts"
import { makeRsaPem } from "./support/keys.ts"

const lineOf = (privateKey: string): string => {
  const parsed = ssh2.utils.parseKey(privateKey)
  if (parsed instanceof Error) throw parsed
  return `${parsed.type} ${parsed.getPublicSSH().toString("base64")}`
}

const first = lineOf(makeEd25519("first"))
const second = lineOf(makeEd25519("second"))
const reasons = (text: string) => parseAuthorizedKeys(text).rejected.map((line) => line.reason)

describe("authorized.keys", () => {
  it("reads several keys, comments, blank lines, a byte order mark and every kind of line end", () => {
    const { keys, rejected } = parseAuthorizedKeys(`\uFEFF# all\r\n\r\n  ${first} a node\r${second}\n`)
    assert.deepStrictEqual(keys.map((key) => [key.publicKey, key.comment, key.line]), [
      [first, "a node", 3],
      [second, "", 4]
    ])
    assert.deepStrictEqual(rejected, [])
  })

  it("reads ed25519, ecdsa-nistp256 and rsa keys", () => {
    const ecdsa = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "sec1", format: "pem" })
    const lines = [first, lineOf(ecdsa.toString()), lineOf(makeRsaPem(2048))]
    assert.deepStrictEqual(parseAuthorizedKeys(lines.join("\n")).keys.map((key) => key.type), [
      "ssh-ed25519",
      "ecdsa-sha2-nistp256",
      "ssh-rsa"
    ])
  })

  it("refuses every line with options, with its reason, and keeps the other lines", () => {
    const text = [
      `from="10.0.0.1" ${first}`,
      `no-pty,command="echo \\"hi there\\"" ${first}`,
      `restrict ${first}`,
      `cert-authority ${first}`,
      second
    ].join("\n")
    const { keys, rejected } = parseAuthorizedKeys(text)
    assert.deepStrictEqual(keys.map((key) => key.publicKey), [second])
    assert.deepStrictEqual(rejected.map((line) => line.line), [1, 2, 3, 4])
    for (const line of rejected) assert.include(line.reason, "options are not supported")
  })

  it("refuses other types, certificates, short RSA keys and damaged keys", () => {
    const blob = blobOf(first)
    const wrongLength = Buffer.concat([blob, Buffer.from([0])]).toString("base64")
    const text = [
      "ssh-dss AAAAB3NzaC1kc3MAAACBAP",
      `ssh-ed25519-cert-v01@openssh.com ${first.split(" ")[1]}`,
      `sk-ssh-ed25519@openssh.com ${first.split(" ")[1]}`,
      lineOf(makeRsaPem(1024)),
      "ssh-ed25519",
      "ssh-ed25519 not!base64",
      `ssh-ed25519 ${wrongLength}`,
      `ssh-rsa ${first.split(" ")[1]}`,
      "-----BEGIN OPENSSH PRIVATE KEY-----",
      `"unfinished ${first}`,
      "\0\0\0"
    ].join("\n")
    const { keys, rejected } = parseAuthorizedKeys(text)
    assert.deepStrictEqual(keys, [])
    assert.strictEqual(rejected.length, 11)
    assert.include(reasons(text)[3] ?? "", "1024 bits")
  })

  it("a key that stands twice counts once", () => {
    assert.strictEqual(parseAuthorizedKeys(`${first}\n${first} again`).keys.length, 1)
  })

  it("nothing in an empty file is trusted", () => {
    assert.strictEqual(findKey(parseAuthorizedKeys("").keys, blobOf(first)), undefined)
    assert.strictEqual(findKey(parseAuthorizedKeys(second).keys, blobOf(first)), undefined)
    assert.strictEqual(findKey(parseAuthorizedKeys(`${second}\n${first}`).keys, blobOf(first))?.line, 2)
  })

  it("never throws, whatever the bytes", () => {
    let state = 1
    const random = () => (state = (state * 48_271) % 2_147_483_647)
    for (let run = 0; run < 3000; run++) {
      const bytes = Buffer.from(`${first} c\n${second}`)
      for (let i = 0; i < 1 + random() % 8; i++) bytes[random() % bytes.length] = random() % 256
      const { keys, rejected } = parseAuthorizedKeys(bytes.toString(run % 2 === 0 ? "utf8" : "latin1"))
      assert.isAtMost(keys.length + rejected.length, 12)
    }
  })
})

describe("own ed25519 writer", () => {
  it("writes keys that can be read, also where a key begins with zero bytes", () => {
    for (let i = 0; i < 1500; i++) {
      const parsed = ssh2.utils.parseKey(makeEd25519("x"))
      assert.isFalse(parsed instanceof Error)
      if (!(parsed instanceof Error)) assert.isTrue(parsed.verify("m", parsed.sign("m")))
    }
  })
})
