import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { version } from "../../src/version.ts"
import { runProgram, temporaryDirectory } from "../process/TestNode.ts"

/** An address where nobody listens any more. */
const nobody = Effect.callback<string>((resume) => {
  const server = net.createServer()
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    server.close(() => resume(Effect.succeed(`http://127.0.0.1:${port}`)))
  })
})

/** Two processes at a time: a run takes a third of a second, and most of that is a processor's. */
const each = <A, E>(all: ReadonlyArray<A>, check: (one: A) => Effect.Effect<void, E>) =>
  Effect.forEach(all, check, { concurrency: 2, discard: true })

describe("the command line", () => {
  it("the program's version is its package's", () => {
    const file = fileURLToPath(new URL("../../package.json", import.meta.url))
    assert.strictEqual(version, JSON.parse(fs.readFileSync(file, "utf8")).version)
  })

  it.live("--version and --help answer on standard output, at every level", () =>
    Effect.gen(function*() {
      const versioned = yield* runProgram(["--version"])
      assert.deepStrictEqual([versioned.status, versioned.stdout], [0, `${version}\n`])
      yield* each([[], ["start"], ["keys"], ["keys", "revoke"], ["member", "add"]], (level) =>
        Effect.gen(function*() {
          const help = yield* runProgram([...level, "--help"])
          assert.strictEqual(help.status, 0, level.join(" "))
          assert.include(help.stdout, "USAGE")
          assert.notInclude(help.stdout, "\u001b[", "no colours where there is no terminal")
        }))
    }))

  it.live("completions are printed for every shell", () =>
    Effect.gen(function*() {
      for (const shell of ["bash", "zsh", "fish", "powershell"]) {
        const { status, stdout } = yield* runProgram(["--completions", shell])
        assert.strictEqual(status, 0, shell)
        assert.include(stdout, "transfer", shell)
      }
    }))

  it.live("a wrong call is status 2, says what is wrong on standard error, and prints nothing else", () =>
    Effect.gen(function*() {
      const wrong: ReadonlyArray<readonly [args: ReadonlyArray<string>, says: string]> = [
        [[], "USAGE"],
        [["keys"], "USAGE"],
        [["frobnicate"], "frobnicate"],
        [["get"], "key"],
        [["get", "a", "b"], "b"],
        [["get", "a", "--nope"], "--nope"],
        [["get", "a", "--timeout", "soon"], "--timeout"],
        [["get", "a", "--endpoint", "ftp://x"], "--endpoint"],
        [["get", ""], "key"],
        [["get", "a", "--timeout", "2m"], "timeout"],
        [["set", "a", "b", "--create", "--if-revision", "3"], "--create"],
        [["delete", "a", "--if-revision", "0"], "--if-revision"],
        [["start", "--http", "nowhere"], "--http"],
        [["start", "--http", "0.0.0.0:11000"], "loopback"],
        [["start", "--bootstrap", "--join", "127.0.0.1:1"], "--bootstrap"],
        [["start", "--join", "nowhere"], "--join"],
        [["start", "--election-timeout", "100ms", "--heartbeat", "90ms"], "--election-timeout"],
        [["start", "--election-timeout", "10ms", "--heartbeat", "1ms"], "electionTimeout"],
        [["start", "--node-id", "a b"], "nodeId"],
        [["start", "--raft", "0.0.0.0:12000"], "--advertise"],
        [["member", "add", "n4", "--public-key", "x"], "--address"],
        [["bench", "--read-ratio", "1.5"], "--read-ratio"],
        [["bench", "--keys", "20000"], "--keys"],
        [["bench", "--clients", "0"], "--clients"],
        [["bench", "--value-size", "2000000"], "--value-size"]
      ]
      const dir = yield* temporaryDirectory
      yield* each(wrong, ([args, says]) =>
        Effect.gen(function*() {
          const { status, stderr, stdout } = yield* runProgram(args, { cwd: dir })
          assert.deepStrictEqual([args, status, stdout], [args, 2, ""])
          assert.include(stderr, says)
        }))
      assert.deepStrictEqual(fs.readdirSync(dir), [], "a wrong call leaves nothing behind")
    }))

  it.live("what is not there yet is unknown, and not accepted and ignored", () =>
    Effect.gen(function*() {
      const commands = [
        "watch",
        "txn",
        "lock",
        "elect",
        "lease",
        "token"
      ]
      const absent = [
        ...commands.map((command) => [command, "x"]),
        ["set", "k", "v", "--ttl", "1s"],
        ["get", "k", "--token", "t"],
        ["start", "--trust", "everybody"],
        ["member", "move", "n1"]
      ]
      yield* each(absent, (args) =>
        Effect.map(runProgram(args), ({ status }) => assert.strictEqual(status, 2, args.join(" "))))
    }))

  it.live("every flag can be given by its environment variable, and the flag itself wins", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      const env = { DISTKV_DATA_DIR: path.join(dir, "from-environment"), DISTKV_JSON: "true" }
      const made = yield* runProgram(["init"], { env })
      assert.strictEqual(made.status, 0)
      assert.strictEqual(JSON.parse(made.stdout).file, path.join(dir, "from-environment", "id_ed25519"))
      const other = yield* runProgram(["init", "--data-dir", path.join(dir, "from-flag")], { env })
      assert.strictEqual(JSON.parse(other.stdout).file, path.join(dir, "from-flag", "id_ed25519"))
      const bad = yield* runProgram(["get", "k"], { env: { DISTKV_TIMEOUT: "soon" } })
      assert.strictEqual(bad.status, 2)
      const [one, two] = [yield* nobody, yield* nobody]
      const asked = yield* runProgram(["get", "k"], { env: { DISTKV_ENDPOINT: `${one},${two}` } })
      assert.strictEqual(asked.status, 1)
      assert.include(asked.stderr, two)
    }))

  it.live("a cluster that cannot be reached is a failure for sure", () =>
    Effect.gen(function*() {
      const endpoint = yield* nobody
      yield* each([["get", "k"], ["set", "k", "v"], ["list"], ["status"], ["transfer"]], (command) =>
        Effect.gen(function*() {
          const { status, stderr } = yield* runProgram([...command, "--endpoint", endpoint])
          assert.strictEqual(status, 1, command.join(" "))
          assert.include(stderr, endpoint)
        }))
    }))
})
