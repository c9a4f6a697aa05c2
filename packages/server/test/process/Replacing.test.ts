/** A node with a damaged log ends, says what to do, and what it says works when it is done to the letter. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { allVote, clientOf, startCluster, type TestCluster } from "./TestCluster.ts"
import { eventually, runProgram, startNode, temporaryDirectory, within } from "./TestNode.ts"

const ids = ["n1", "n2", "n3"]
const values = 50
const marker = "a value to be found again, number "

/** Flips a bit of the record with this value: in the middle of the log, as a disk does that rots. */
const rot = (dir: string, value: string): void => {
  const folder = path.join(dir, "log")
  for (const name of fs.readdirSync(folder)) {
    const file = path.join(folder, name)
    const bytes = fs.readFileSync(file)
    const at = bytes.indexOf(value)
    if (at < 0) continue
    bytes[at] = bytes[at]! ^ 1
    return fs.writeFileSync(file, bytes)
  }
  throw new Error(`no log in ${dir} has ${value}`)
}

/** The command lines of a message, with what stands for another member's addresses put in. */
const commandsOf = (said: string, other: { readonly http: string; readonly raft: string }): ReadonlyArray<string> =>
  said.split("\n").filter((line) => line.startsWith("  ")).map((line) =>
    line.trim().replace("URL", other.http).replace("HOST:PORT", other.raft)
  )

/** Does what a command line says; a start goes on in the background. */
const obey = Effect.fnUntraced(function*(cluster: TestCluster, line: string, dirs: ReadonlyArray<string>) {
  const [program, ...words] = line.split(" ")
  if (program === "mv") return fs.renameSync(words[0]!, words[1]!)
  assert.strictEqual(program, "distkv", line)
  if (words[0] === "start") {
    const at = words.indexOf("--data-dir")
    const [dir = ""] = words.splice(at, 2).slice(1)
    const node = yield* startNode(dir, words.slice(1))
    cluster.nodes.set("n3", node)
    return yield* node.serves
  }
  for (const dir of words.includes("DIR") ? dirs : [""]) {
    const ended = yield* runProgram(words.map((word) => word === "DIR" ? dir : word))
    assert.strictEqual(ended.status, 0, `${line}: ${ended.stderr}`)
  }
})

describe("a node whose log is damaged in the middle", () => {
  // scenario: D06
  it.live("does not start with a shorter log, says how to replace it, and that works", () =>
    Effect.gen(function*() {
      const cluster = yield* startCluster(yield* temporaryDirectory, ids)
      const client = yield* clientOf([cluster.nodes.get("n1")!, cluster.nodes.get("n2")!])
      for (let i = 0; i < values; i++) yield* client.set(`key${i}`, `${marker}${i}.`, { timeout: "20 seconds" })
      const damaged = cluster.nodes.get("n3")!
      yield* damaged.signal("SIGTERM")
      yield* within("n3 closes", Duration.seconds(20), damaged.ended, damaged.stderr)
      const dir = cluster.dirOf("n3")
      rot(dir, `${marker}20.`)

      const started = yield* runProgram(["start", "--data-dir", dir, "--raft", "127.0.0.1:0", "--http", "127.0.0.1:0"])
      assert.strictEqual(started.status, 1, started.stderr)
      assert.match(started.stderr, /log is damaged/)
      const verified = yield* runProgram(["verify", "--data-dir", dir])
      assert.strictEqual(verified.status, 1, verified.stderr)
      const other = cluster.nodes.get("n1")!.ready
      const commands = commandsOf(started.stderr, other)
      assert.deepStrictEqual(commandsOf(verified.stderr, other), commands, "both say the same")
      assert.lengthOf(commands, 6, started.stderr)

      const others = [cluster.dirOf("n1"), cluster.dirOf("n2")]
      for (const line of commands) yield* obey(cluster, line, others)
      yield* within("all vote", Duration.seconds(60), allVote(cluster, ids.length), cluster.logs)
      const own = yield* clientOf([cluster.nodes.get("n3")!])
      for (const i of [0, 20, values - 1]) {
        const found = yield* eventually(
          `key${i} on the new node`,
          Duration.seconds(30),
          Effect.map(
            Effect.option(own.get(`key${i}`, { consistency: "stale" })),
            (one) => one._tag === "Some" ? Buffer.from(one.value.value).toString() : undefined
          ),
          cluster.logs
        )
        assert.strictEqual(found, `${marker}${i}.`)
      }
      const { members } = yield* own.cluster()
      assert.isFalse(members.some(({ id }) => id === "n3"), "the name is gone for good")
    }), 180_000)
})
