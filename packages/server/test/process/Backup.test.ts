/** Backups and what is made of them: whole copies, new clusters, and directories that are checked before use. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { runProgram, startNode, temporaryDirectory } from "./TestNode.ts"

const gap = 2 ** 32

/** Flips one bit in the middle of a file. */
const flip = (file: string): void => {
  const bytes = fs.readFileSync(file)
  const at = Math.floor(bytes.length / 2)
  bytes[at] = bytes[at]! ^ 4
  fs.writeFileSync(file, bytes)
}

/** Runs a command that must end well, and reads the JSON that it prints. */
const json = (args: ReadonlyArray<string>) =>
  Effect.map(runProgram([...args, "--json"]), ({ status, stderr, stdout }) => {
    assert.strictEqual(status, 0, stderr)
    return JSON.parse(stdout)
  })

const refusal = (args: ReadonlyArray<string>, status = 1) =>
  Effect.map(runProgram(args), (ended) => {
    assert.strictEqual(ended.status, status, ended.stdout + ended.stderr)
    return ended.stderr
  })

/** A node that served, with what was written to it; it is closed again, unless it is `kept`. */
const filled = (dir: string, keys: number, backup: string) =>
  Effect.scoped(Effect.gen(function*() {
    const node = yield* startNode(dir, ["--node-id", "n1", "--bootstrap"])
    yield* node.serves
    for (let i = 0; i < keys; i++) {
      const response = yield* Effect.promise(() =>
        fetch(`${node.ready.http}/v1/kv/k${i}`, { method: "PUT", body: `v${i} `.repeat(300) })
      )
      assert.strictEqual(response.status, 200)
    }
    const made = yield* json(["backup", backup, "--endpoint", node.ready.http])
    assert.deepStrictEqual([made.keys, made.revision], [keys, String(keys)], "everything acknowledged is in it")
    assert.strictEqual(fs.statSync(backup).size, made.bytes)
    assert.match(yield* refusal(["verify", "--data-dir", dir]), /has .* open/u)
    yield* node.signal("SIGTERM")
    yield* node.ended
  }))

describe("a backup", () => {
  it.live("becomes a new cluster, whose revisions and id are other ones", () =>
    Effect.gen(function*() {
      const home = yield* temporaryDirectory
      const [dir, file, restored] = ["n1", "b", "r1"].map((name) => path.join(home, name)) as [string, string, string]
      yield* filled(dir, 40, file)
      const old = yield* json(["verify", "--data-dir", dir])
      assert.deepStrictEqual([old.sound, old.state.keys, old.log.entries > 40], [true, 40, true])

      const made = yield* json(["restore", file, "--data-dir", restored, "--node-id", "r1"])
      assert.notStrictEqual(made.clusterId, old.clusterId)
      assert.strictEqual(made.revision, String(40 + gap))
      const checked = yield* json(["verify", "--data-dir", restored])
      assert.deepStrictEqual([checked.clusterId, checked.state.compactRevision], [made.clusterId, made.revision])
      const node = yield* startNode(restored, [])
      yield* node.serves
      const entry = yield* json(["get", "k7", "--endpoint", node.ready.http])
      assert.deepStrictEqual([entry.modRevision, entry.revision], ["8", String(40 + gap)])
      const set = yield* json(["set", "k7", "x", "--if-revision", "8", "--endpoint", node.ready.http])
      assert.strictEqual(set.revision, String(41 + gap))
      assert.deepStrictEqual(fs.readdirSync(home).sort(), ["b", "n1", "r1"], "nothing is left beside them")
    }), 90_000)

  it.live("that is damaged, or meant for a directory in use, changes nothing", () =>
    Effect.gen(function*() {
      const home = yield* temporaryDirectory
      const [dir, file, restored] = ["n1", "b", "r1"].map((name) => path.join(home, name)) as [string, string, string]
      yield* filled(dir, 5, file)
      assert.match(yield* refusal(["restore", file, "--data-dir", dir]), /not empty/u)
      const whole = fs.readFileSync(file)
      fs.writeFileSync(file, whole.subarray(0, whole.length - 1))
      assert.match(yield* refusal(["restore", file, "--data-dir", restored]), /damaged: it is cut short/u)
      fs.writeFileSync(file, whole)
      flip(file)
      assert.match(yield* refusal(["restore", file, "--data-dir", restored]), /damaged: the checksum of chunk/u)
      assert.deepStrictEqual(fs.readdirSync(home).sort(), ["b", "n1"])
    }), 60_000)
})

describe("a data directory", () => {
  it.live("with a damaged file is found out, whichever file it is", () =>
    Effect.gen(function*() {
      const home = yield* temporaryDirectory
      const dir = path.join(home, "n1")
      yield* filled(dir, 40, path.join(home, "b"))
      const files = fs.readdirSync(dir, { recursive: true, encoding: "utf8" })
        .filter((name) =>
          /^(state\.mdb|identity\.json|mark|log.+)$/u.test(name) && fs.statSync(path.join(dir, name)).isFile()
        )
      const found = new Set<string>()
      for (const name of files) {
        const copy = path.join(home, "copy")
        fs.cpSync(dir, copy, { recursive: true })
        const bytes = fs.readFileSync(path.join(copy, name))
        // Everything that is used of the file, so that nobody has to know where in it the records lie.
        const until = bytes.findLastIndex((byte) => byte !== 0)
        // One sound half of the mark is enough, so both are damaged.
        for (let at = name === "mark" ? 0 : Math.floor(until / 8); at < until; at += 64) bytes[at] = bytes[at]! ^ 4
        fs.writeFileSync(path.join(copy, name), bytes)
        const { status, stderr, stdout } = yield* runProgram(["verify", "--data-dir", copy, "--json"])
        // A segment that waits to be used holds nothing that could be lost.
        if (status === 0 && name.startsWith("log")) assert.strictEqual(JSON.parse(stdout).log.entries, 42, name)
        else assert.strictEqual(status, 1, `${name}: ${stdout}${stderr}`)
        if (status === 1) assert.isFalse(JSON.parse(stdout).sound)
        if (status === 1) found.add(name.split(path.sep)[0]!)
        fs.rmSync(copy, { recursive: true })
      }
      assert.deepStrictEqual([...found].sort(), ["identity.json", "log", "mark", "state.mdb"])
      assert.strictEqual((yield* runProgram(["verify", "--data-dir", dir])).status, 0)
      assert.match(yield* refusal(["verify", "--data-dir", path.join(home, "absent")]), /there is no directory/u)
    }), 120_000)

  // scenario: M21
  // fails-with: recovers-beside-the-living
  it.live("becomes a new cluster only by force, and not while another member answers", () =>
    Effect.gen(function*() {
      const home = yield* temporaryDirectory
      const dirs = ["n1", "n2"].map((name) => path.join(home, name)) as [string, string]
      const lines: Array<string> = []
      for (const dir of dirs) lines.push((yield* json(["init", "--data-dir", dir])).publicKey)
      for (const dir of dirs) {
        for (const line of lines) yield* runProgram(["keys", "authorize", line, "--data-dir", dir])
      }
      yield* Effect.scoped(Effect.gen(function*() {
        const one = yield* startNode(dirs[0], ["--node-id", "n1", "--bootstrap"])
        yield* one.serves
        const two = yield* startNode(dirs[1], ["--node-id", "n2", "--join", one.ready.raft])
        yield* two.serves
        for (let i = 0; i < 5; i++) yield* json(["set", `k${i}`, "v", "--endpoint", two.ready.http])
        yield* one.signal("SIGKILL")
        yield* one.ended
        assert.match(yield* refusal(["recover", "--data-dir", dirs[0]], 2), /--force-new-cluster/u)
        const refused = yield* refusal(["recover", "--data-dir", dirs[0], "--force-new-cluster"])
        assert.match(refused, /n2 at .* still answers/u)
        yield* two.signal("SIGKILL")
        yield* two.ended
      }))
      const before = yield* json(["verify", "--data-dir", dirs[0]])
      const done = yield* json(["recover", "--data-dir", dirs[0], "--force-new-cluster"])
      assert.deepStrictEqual([done.keys, done.oldClusterId], [5, before.clusterId])
      assert.strictEqual(done.revision, String(5 + gap))
      assert.deepStrictEqual(fs.readdirSync(home).sort(), ["n1", path.basename(done.kept), "n2"])
      const alone = yield* startNode(dirs[0], [])
      yield* alone.serves
      const status = yield* json(["status", "--endpoint", alone.ready.http])
      assert.deepStrictEqual([status.clusterId, status.members.length], [done.clusterId, 1])
      assert.strictEqual((yield* json(["get", "k4", "--endpoint", alone.ready.http])).revision, String(5 + gap))
    }), 120_000)
})
