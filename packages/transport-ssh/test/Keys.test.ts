import { Keys } from "@distkv/transport-ssh"
import { assert, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { describe } from "vitest"
import { makeRsaPem, temporaryDirectory } from "./support/keys.ts"

const failure = <A, E>(exit: Exit.Exit<A, E>): string => (Exit.isFailure(exit) ? String(exit.cause) : "")

const hasKeygen = spawnSync("ssh-keygen", ["-?"]).error === undefined

describe("making keys", () => {
  it.effect("makes a key pair and an authorized.keys with the node's own key, once", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      const first = yield* Keys.init(dir, { comment: "n1" })
      const second = yield* Keys.init(dir, { keyType: "rsa" })
      assert.isTrue(first.created)
      assert.isFalse(second.created)
      assert.deepStrictEqual(second.key, first.key)
      assert.strictEqual(fs.statSync(path.join(dir, "id_ed25519")).mode & 0o777, 0o600)
      assert.strictEqual(fs.readFileSync(path.join(dir, "id_ed25519.pub"), "utf8"), `${first.key.line}\n`)
      assert.strictEqual(fs.readFileSync(path.join(dir, "authorized.keys"), "utf8"), `${first.key.line}\n`)
      assert.isTrue(first.key.line.endsWith(" n1"))
      assert.deepStrictEqual(yield* Keys.show(dir), first.key)
    }))

  it.effect("leaves nothing else in the directory", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      yield* Keys.init(dir)
      assert.deepStrictEqual(fs.readdirSync(dir).sort(), ["authorized.keys", "id_ed25519", "id_ed25519.pub"])
    }))

  it.effect("several processes at once end up with one key", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      const made = yield* Effect.forEach([1, 2, 3, 4], () => Keys.init(dir, { keyType: "rsa" }), {
        concurrency: "unbounded"
      })
      assert.strictEqual(made.filter((one) => one.created).length, 1)
      assert.strictEqual(new Set(made.map((one) => one.key.fingerprint)).size, 1)
    }))

  it.effect("uses an id_rsa as the Go library wrote it", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      fs.writeFileSync(path.join(dir, "id_rsa"), makeRsaPem(2048), { mode: 0o600 })
      const { created, key } = yield* Keys.init(dir)
      assert.isFalse(created)
      assert.strictEqual(key.type, "ssh-rsa")
      assert.isTrue(fs.existsSync(path.join(dir, "id_rsa.pub")))
      assert.isFalse(fs.existsSync(path.join(dir, "id_ed25519")))
    }))

  it.effect("refuses a private key that others can read, and says what to do", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      yield* Keys.init(dir)
      fs.chmodSync(path.join(dir, "id_ed25519"), 0o644)
      assert.include(failure(yield* Effect.exit(Keys.init(dir))), "chmod 600")
    }))

  it.effect("refuses a damaged, an encrypted and a short key, and keeps the file", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      for (const text of ["", "rubbish", makeRsaPem(1024), makeRsaPem(2048, "secret")]) {
        fs.writeFileSync(path.join(dir, "id_rsa"), text, { mode: 0o600 })
        assert.include(failure(yield* Effect.exit(Keys.init(dir))), "cannot be used")
        assert.strictEqual(fs.readFileSync(path.join(dir, "id_rsa"), "utf8"), text)
      }
    }))

  if (hasKeygen) {
    it.effect(
      "OpenSSH's ssh-keygen reads the keys and agrees about fingerprints",
      () =>
        Effect.gen(function*() {
          for (const keyType of ["ed25519", "rsa"] as const) {
            const dir = yield* temporaryDirectory
            const { key } = yield* Keys.init(dir, { keyType, comment: "a b" })
            const shown = spawnSync("ssh-keygen", ["-l", "-f", `${key.file}.pub`], { encoding: "utf8" })
            const derived = spawnSync("ssh-keygen", ["-y", "-f", key.file], { encoding: "utf8" })
            assert.strictEqual(shown.status, 0, shown.stderr)
            assert.include(shown.stdout, key.fingerprint)
            assert.strictEqual(derived.status, 0, derived.stderr)
            assert.isTrue(derived.stdout.startsWith(key.publicKey), derived.stdout)
          }
        })
    )
  }
})

describe("trusting keys", () => {
  it.effect("authorises a file or a line once, lists it, and revokes it by its fingerprint", () =>
    Effect.gen(function*() {
      const [dir, other, third] = [yield* temporaryDirectory, yield* temporaryDirectory, yield* temporaryDirectory]
      const own = yield* Keys.init(dir)
      const { key } = yield* Keys.init(other, { comment: "other" })
      const { key: last } = yield* Keys.init(third, { keyType: "rsa", comment: "third" })
      assert.deepStrictEqual((yield* Keys.authorize(dir, `${key.file}.pub`)).added.map((one) => one.comment), ["other"])
      assert.deepStrictEqual((yield* Keys.authorize(dir, last.line)).added.map((one) => one.comment), ["third"])
      const again = yield* Keys.authorize(dir, key.line)
      assert.deepStrictEqual([again.added.length, again.known.length], [0, 1])
      const { keys, refused } = yield* Keys.list(dir)
      assert.deepStrictEqual(keys.map((one) => one.publicKey), [own.key.publicKey, key.publicKey, last.publicKey])
      assert.deepStrictEqual(keys.map((one) => one.own), [true, false, false])
      assert.deepStrictEqual(refused, [])
      assert.strictEqual((yield* Keys.revoke(dir, key.fingerprint)).length, 1)
      assert.deepStrictEqual((yield* Keys.list(dir)).keys.map((one) => one.publicKey), [
        own.key.publicKey,
        last.publicKey
      ])
      assert.include(failure(yield* Effect.exit(Keys.revoke(dir, key.fingerprint))), "NotFound")
    }))

  it.effect("reads authenticated.key too, and revokes from both files, keeping every other line", () =>
    Effect.gen(function*() {
      const [dir, other] = [yield* temporaryDirectory, yield* temporaryDirectory]
      yield* Keys.init(dir)
      const { key } = yield* Keys.init(other)
      yield* Keys.authorize(dir, key.line)
      fs.writeFileSync(path.join(dir, "authenticated.key"), `# old\r\n${key.line}\r\nssh-dss AAAA old\r\n`)
      const listed = yield* Keys.list(dir)
      assert.strictEqual(listed.keys.filter((one) => one.publicKey === key.publicKey).length, 2)
      assert.deepStrictEqual(listed.refused.map((one) => one.line), [3])
      assert.strictEqual((yield* Keys.revoke(dir, `${key.fingerprint}=`)).length, 2)
      assert.strictEqual(fs.readFileSync(path.join(dir, "authenticated.key"), "utf8"), "# old\r\nssh-dss AAAA old\r\n")
    }))

  it.effect("refuses what is not a public key, and then writes nothing", () =>
    Effect.gen(function*() {
      const [dir, other] = [yield* temporaryDirectory, yield* temporaryDirectory]
      yield* Keys.init(dir)
      const { key } = yield* Keys.init(other)
      const before = fs.readFileSync(path.join(dir, "authorized.keys"), "utf8")
      const half = path.join(other, "half.pub")
      fs.writeFileSync(half, `${key.line}\nssh-ed25519 AAAA`)
      for (const bad of [key.file, half, "/nowhere/at/all", "ssh-ed25519 %%%", `from="1.2.3.4" ${key.line}`]) {
        assert.include(failure(yield* Effect.exit(Keys.authorize(dir, bad))), "InvalidRequest", bad)
      }
      assert.strictEqual(fs.readFileSync(path.join(dir, "authorized.keys"), "utf8"), before)
    }))
})
