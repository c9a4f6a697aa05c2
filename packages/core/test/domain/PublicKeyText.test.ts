import { assert, describe, it } from "@effect/vitest"
import { parsePublicKey } from "../../src/domain/PublicKeyText.ts"

const field = (content: Uint8Array | string) => {
  const bytes = Buffer.from(content)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

const blobOf = (type: string, ...fields: ReadonlyArray<Uint8Array>) =>
  Buffer.concat([field(type), ...fields.map(field)])

const ed25519 = `ssh-ed25519 ${blobOf("ssh-ed25519", new Uint8Array(32).fill(7)).toString("base64")}`
// Of a length that makes base64 end in padding.
const rsa = `ssh-rsa ${blobOf("ssh-rsa", new Uint8Array([1, 0, 1]), new Uint8Array(261).fill(9)).toString("base64")}`

describe("a public key that is handed over", () => {
  it("loses its comment and the blanks around it", () => {
    assert.strictEqual(parsePublicKey(`  ${ed25519}  distkv@somewhere else\n`), ed25519)
  })

  it("is written in one way, with its padding", () => {
    assert.isTrue(rsa.endsWith("="))
    assert.strictEqual(parsePublicKey(rsa.replace(/=+$/, "")), rsa)
  })

  it("that is cut short, mistyped or of another type than it says is none", () => {
    const [type, base64] = ed25519.split(" ") as [string, string]
    for (
      const text of [
        "",
        type,
        "nonsense",
        `${type} AAAA`,
        `${type} ${base64.slice(0, -4)}`,
        `${type} ${base64.slice(0, -1)}!`,
        `${type} ${base64}AAAA`,
        `ssh-rsa ${base64}`,
        `${type} ${field("ssh-ed25519").toString("base64")}`
      ]
    ) assert.isNull(parsePublicKey(text), text)
  })

  it("of another transport's kind is taken as it is", () => {
    assert.strictEqual(parsePublicKey("memory n1:7000"), "memory n1:7000")
  })
})
