/** One directory, one node: what a node refuses at its start, what it keeps, and how it ends. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { clientOf } from "./TestCluster.ts"
import { eventually, runProgram, spawnProgram, startNode, temporaryDirectory, within } from "./TestNode.ts"

const closing = Duration.seconds(20)
const bootstrap = ["--node-id", "n1", "--bootstrap"]

describe("a node and its directory", () => {
  it.live("keeps its data, its name and its drawn SSH port over a restart", () =>
    Effect.gen(function*() {
      const dir = path.join(yield* temporaryDirectory, "n1")
      const first = yield* startNode(dir, bootstrap)
      yield* first.serves
      assert.strictEqual(first.ready.pid, first.pid)
      const { revision } = yield* (yield* clientOf([first])).set("k", "v")
      yield* first.signal("SIGTERM")
      const ended = yield* within("the node closes", closing, first.ended, first.stderr)
      assert.strictEqual(ended.status, 0, ended.stderr)
      const second = yield* startNode(dir, [])
      yield* second.serves
      assert.strictEqual(second.ready.raft, first.ready.raft)
      assert.strictEqual(second.ready.nodeId, "n1")
      const entry = yield* (yield* clientOf([second])).get("k")
      assert.strictEqual(entry.modRevision, revision)
    }), 60_000)

  it.live(
    "on every interface it says the address that it is told to, with the port that was drawn",
    () =>
      Effect.gen(function*() {
        const dir = path.join(yield* temporaryDirectory, "n1")
        const flags = ["--raft", "0.0.0.0:0", "--advertise", "localhost:0"]
        const first = yield* startNode(dir, [...bootstrap, ...flags])
        yield* first.serves
        assert.match(first.ready.raft, /^localhost:[1-9]\d*$/)
        const [member] = (yield* (yield* clientOf([first])).cluster()).members
        assert.strictEqual(member?.address, first.ready.raft)
        yield* first.signal("SIGTERM")
        yield* within("the node closes", closing, first.ended, first.stderr)
        const second = yield* startNode(dir, flags)
        assert.strictEqual(second.ready.raft, first.ready.raft)
      }),
    60_000
  )

  it.live(
    "a second node in the same directory ends with status 1 and says why; the first goes on (K10)",
    () =>
      Effect.gen(function*() {
        const dir = path.join(yield* temporaryDirectory, "n1")
        const first = yield* startNode(dir, bootstrap)
        yield* first.serves
        const second = yield* runProgram(["start", "--data-dir", dir, "--raft", "127.0.0.1:0", "--http", "127.0.0.1:0"])
        assert.strictEqual(second.status, 1)
        assert.include(second.stderr, "another node has")
        yield* (yield* clientOf([first])).set("k", "v")
      }),
    60_000
  )

  // scenario: D09
  // fails-with: believes-a-log-behind-its-mark
  it.live("put back whole to an older state is refused where its mark is kept elsewhere", () =>
    Effect.gen(function*() {
      const place = yield* temporaryDirectory
      const [dir, mark, copy] = ["n1", "n1.mark", "copy"].map((name) => path.join(place, name)) as [
        string,
        string,
        string
      ]
      const run = Effect.fnUntraced(function*(flags: ReadonlyArray<string>, key: string) {
        const node = yield* startNode(dir, [...flags, "--mark-file", mark])
        yield* node.serves
        yield* (yield* clientOf([node])).set(key, "v")
        yield* node.signal("SIGTERM")
        assert.strictEqual((yield* within("the node closes", closing, node.ended, node.stderr)).status, 0)
      })
      yield* run(bootstrap, "a")
      assert.isTrue(fs.existsSync(mark))
      assert.isFalse(fs.existsSync(path.join(dir, "mark")))
      fs.cpSync(dir, copy, { recursive: true })
      yield* run([], "b")
      fs.rmSync(dir, { recursive: true })
      fs.renameSync(copy, dir)
      const start = ["start", "--data-dir", dir, "--raft", "127.0.0.1:0", "--http", "127.0.0.1:0", "--mark-file", mark]
      const refused = yield* runProgram(start)
      assert.strictEqual(refused.status, 1)
      assert.match(refused.stderr, /is behind its mark|replaced by an older copy/)
      assert.include(refused.stderr, `mv ${mark} ${dir}.damaged/`)
    }), 60_000)

  // scenario: M20
  // fails-with: founds-twice
  it.live("--bootstrap and another --node-id are refused where there is an identity", () =>
    Effect.gen(function*() {
      const dir = path.join(yield* temporaryDirectory, "n1")
      const first = yield* startNode(dir, bootstrap)
      yield* first.serves
      yield* first.signal("SIGINT")
      assert.strictEqual((yield* within("the node closes", closing, first.ended, first.stderr)).status, 0)
      const start = ["start", "--data-dir", dir, "--raft", "127.0.0.1:0", "--http", "127.0.0.1:0"]
      const again = yield* runProgram([...start, "--bootstrap"])
      assert.strictEqual(again.status, 1)
      assert.include(again.stderr, "--bootstrap")
      const renamed = yield* runProgram([...start, "--node-id", "n2"])
      assert.strictEqual(renamed.status, 1)
      assert.include(renamed.stderr, "n1")
      const third = yield* startNode(dir, ["--node-id", "n1"])
      yield* third.serves
    }), 60_000)

  // scenario: D03
  it.live("without space above the reserve it refuses to grow, and still deletes", () =>
    Effect.gen(function*() {
      const dir = path.join(yield* temporaryDirectory, "n1")
      const before = yield* startNode(dir, bootstrap)
      yield* before.serves
      const value = "x".repeat(100)
      yield* (yield* clientOf([before])).set("there", value)
      yield* before.signal("SIGTERM")
      yield* within("the node closes", closing, before.ended, before.stderr)
      const full = yield* startNode(dir, ["--disk-reserve", String(2 ** 52)])
      const endpoint = ["--endpoint", full.ready.http]
      const refused = yield* runProgram(["set", "more", value, ...endpoint])
      assert.strictEqual(refused.status, 1, refused.stderr)
      assert.strictEqual((yield* runProgram(["get", "there", ...endpoint])).stdout, value)
      const deleted = yield* runProgram(["delete", "there", ...endpoint])
      assert.strictEqual(deleted.status, 0, deleted.stderr)
      assert.strictEqual((yield* runProgram(["get", "more", ...endpoint])).status, 3)
    }), 60_000)

  // scenario: D10
  it.live("a damaged directory is refused with what to do, and not touched", () =>
    Effect.gen(function*() {
      const dir = path.join(yield* temporaryDirectory, "n1")
      const first = yield* startNode(dir, bootstrap)
      yield* first.serves
      yield* first.signal("SIGKILL")
      yield* first.ended
      fs.writeFileSync(path.join(dir, "identity.json"), "{ not an identity")
      const broken = yield* runProgram(["start", "--data-dir", dir, "--raft", "127.0.0.1:0", "--http", "127.0.0.1:0"])
      assert.strictEqual(broken.status, 1)
      assert.include(broken.stderr, "identity")
      assert.notInclude(broken.stderr, "this is a bug")
      assert.strictEqual(fs.readFileSync(path.join(dir, "identity.json"), "utf8"), "{ not an identity")
    }), 60_000)

  it.live("a port that is taken is said to be, with status 1", () =>
    Effect.gen(function*() {
      const root = yield* temporaryDirectory
      const first = yield* startNode(path.join(root, "n1"), bootstrap)
      yield* first.serves
      const start = ["start", "--data-dir", path.join(root, "n2"), "--bootstrap"]
      const raft = yield* runProgram([...start, "--raft", first.ready.raft, "--http", "127.0.0.1:0"])
      assert.strictEqual(raft.status, 1, raft.stderr)
      assert.include(raft.stderr, `port ${first.ready.raft.split(":")[1]} `)
      const address = new URL(first.ready.http).host
      const http = yield* runProgram([...start.slice(0, 3), "--raft", "127.0.0.1:0", "--http", address])
      assert.strictEqual(http.status, 1, http.stderr)
      assert.include(http.stderr, address)
    }), 60_000)

  it.live("SIGHUP ends nothing, and reads the keys again", () =>
    Effect.gen(function*() {
      const dir = path.join(yield* temporaryDirectory, "n1")
      const node = yield* startNode(dir, bootstrap)
      yield* node.serves
      yield* node.signal("SIGHUP")
      const client = yield* clientOf([node])
      yield* client.set("k", "v")
      yield* node.signal("SIGTERM")
      assert.strictEqual((yield* within("the node closes", closing, node.ended, node.stderr)).status, 0)
    }), 60_000)

  it.live("a SIGHUP that comes before it is ready does not end it", () =>
    Effect.gen(function*() {
      const dir = path.join(yield* temporaryDirectory, "n1")
      const flags = ["start", "--data-dir", dir, "--raft", "127.0.0.1:0", "--http", "127.0.0.1:0", ...bootstrap]
      const node = yield* spawnProgram(flags)
      yield* eventually(
        "the key is made, thus the command runs",
        closing,
        Effect.sync(() => fs.existsSync(path.join(dir, "id_ed25519")) ? true : undefined),
        node.stderr
      )
      yield* node.signal("SIGHUP")
      const ready = eventually(
        "the node is ready",
        closing,
        Effect.sync(() => node.stdout().includes("ready") ? true : undefined),
        node.stderr
      )
      const ended = Effect.flatMap(node.ended, ({ signal }) => Effect.die(`ended by ${signal}`))
      yield* Effect.raceFirst(ready, ended)
    }), 60_000)

  it.live(
    "signals that one keystroke sends to a whole group of processes, and wrappers pass on, count as one",
    () =>
      Effect.gen(function*() {
        const node = yield* startNode(path.join(yield* temporaryDirectory, "n1"), bootstrap)
        yield* node.serves
        for (const signal of ["SIGTERM", "SIGINT", "SIGTERM"] as const) yield* node.signal(signal)
        assert.strictEqual((yield* within("the node closes", closing, node.ended, node.stderr)).status, 0)
      }),
    60_000
  )

  it.live("a second signal ends a node at once, though it still waits for a request", () =>
    Effect.gen(function*() {
      const node = yield* startNode(path.join(yield* temporaryDirectory, "n1"), bootstrap)
      yield* node.serves
      yield* unfinishedRequest(new URL(node.ready.http))
      // What comes within half a second of the first counts as the same keystroke, so that one is sent again and again.
      const insist = Effect.forever(Effect.andThen(node.signal("SIGTERM"), Effect.sleep(Duration.millis(100))))
      const ended = yield* Effect.raceFirst(within("the node ends", closing, node.ended, node.stderr), insist)
      assert.strictEqual(ended.status, 128 + 15, "not 0, as after a graceful close")
    }), 60_000)

  it.live("a parent's end is a node's end too, where it was started with a channel", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      const demo = yield* spawnProgram(["demo", "--nodes", "1", "--dir", dir, "--http", "127.0.0.1:0", "--json"])
      const line = yield* within(
        "the demo serves",
        Duration.seconds(40),
        Effect.gen(function*() {
          while (!demo.stdout().includes("\n")) yield* Effect.sleep(Duration.millis(30))
          return demo.stdout()
        }),
        demo.stderr
      )
      const pid: number = JSON.parse(line).nodes[0].pid
      yield* demo.signal("SIGKILL")
      yield* demo.ended
      yield* within(
        "the node ends",
        closing,
        Effect.gen(function*() {
          while (isAlive(pid)) yield* Effect.sleep(Duration.millis(30))
        })
      )
    }), 60_000)
})

/** A request whose body never ends, which the node has begun to serve; open until the scope closes. */
const unfinishedRequest = ({ hostname, port }: URL) =>
  Effect.acquireRelease(
    Effect.callback<net.Socket>((resume) => {
      const head = `PUT /v1/kv/k HTTP/1.1\r\nHost: ${hostname}:${port}\r\nContent-Length: 10\r\n`
      const socket = net.connect(Number(port), hostname, () => socket.write(`${head}Expect: 100-continue\r\n\r\n`))
      socket.once("data", () => socket.write("x", () => resume(Effect.succeed(socket))))
      socket.on("error", () => undefined)
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
