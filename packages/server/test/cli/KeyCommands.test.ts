import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { runProgram, temporaryDirectory } from "../process/TestNode.ts"

describe("init and keys", () => {
  it.live("init makes keys that only their owner can read, once, and prints the line to copy", () =>
    Effect.gen(function*() {
      const dir = path.join(yield* temporaryDirectory, "n1")
      const first = yield* runProgram(["init", "--data-dir", dir])
      assert.strictEqual(first.status, 0)
      assert.match(first.stdout, /^ssh-ed25519 [A-Za-z0-9+/]+ \S+\n$/)
      assert.include(first.stderr, "authorized.keys")
      assert.strictEqual(fs.statSync(path.join(dir, "id_ed25519")).mode & 0o777, 0o600)
      assert.strictEqual(fs.readFileSync(path.join(dir, "authorized.keys"), "utf8"), first.stdout)
      const second = yield* runProgram(["init", "--data-dir", dir])
      assert.deepStrictEqual([second.status, second.stdout], [0, first.stdout])
      const shown = yield* runProgram(["keys", "show", "--data-dir", dir])
      assert.strictEqual(shown.stdout, first.stdout)
    }))

  it.live("init makes an RSA key where one is asked for", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      const made = yield* runProgram(["init", "--data-dir", dir, "--key-type", "rsa"])
      assert.match(made.stdout, /^ssh-rsa /)
      assert.isTrue(fs.existsSync(path.join(dir, "id_rsa")))
    }), 60_000)

  it.live("a key is authorized, listed and revoked", () =>
    Effect.gen(function*() {
      const root = yield* temporaryDirectory
      const [mine, theirs] = [path.join(root, "mine"), path.join(root, "theirs")]
      yield* runProgram(["init", "--data-dir", mine])
      yield* runProgram(["init", "--data-dir", theirs])
      const added = yield* runProgram(["keys", "authorize", path.join(theirs, "id_ed25519.pub"), "--data-dir", mine])
      assert.strictEqual(added.status, 0)
      const listed = JSON.parse((yield* runProgram(["keys", "list", "--data-dir", mine, "--json"])).stdout)
      assert.deepStrictEqual(listed.keys.map((key: { readonly own: boolean }) => key.own), [true, false])
      const fingerprint: string = listed.keys[1].fingerprint
      const revoked = yield* runProgram(["keys", "revoke", fingerprint, "--data-dir", mine])
      assert.strictEqual(revoked.status, 0)
      const left = yield* runProgram(["keys", "list", "--data-dir", mine])
      assert.notInclude(left.stdout, fingerprint)
      const again = yield* runProgram(["keys", "revoke", fingerprint, "--data-dir", mine])
      assert.strictEqual(again.status, 1)
    }))

  it.live("what is no public key is refused, and nothing changes", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      yield* runProgram(["init", "--data-dir", dir])
      const before = fs.readFileSync(path.join(dir, "authorized.keys"), "utf8")
      for (const file of [path.join(dir, "id_ed25519"), path.join(dir, "absent"), "ssh-ed25519 AAAA broken"]) {
        const refused = yield* runProgram(["keys", "authorize", file, "--data-dir", dir])
        assert.notStrictEqual(refused.status, 0, file)
        assert.notStrictEqual(refused.stderr, "")
      }
      assert.strictEqual(fs.readFileSync(path.join(dir, "authorized.keys"), "utf8"), before)
    }))

  it.live("without keys there is nothing to show", () =>
    Effect.gen(function*() {
      const { status, stderr } = yield* runProgram(["keys", "show", "--data-dir", yield* temporaryDirectory])
      assert.strictEqual(status, 1)
      assert.include(stderr, "distkv init")
    }))
})
