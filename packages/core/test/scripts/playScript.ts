/** Plays a script, and tells what happened. */
import { Cause, Effect, Exit } from "effect"
import { DistKv } from "../../src/DistKv.ts"
import { callOf, isCall } from "./clientCalls.ts"
import { commands } from "./commands.ts"
import { answerOf } from "./conditions.ts"
import { type Script, ScriptFailed, type ScriptLine } from "./Script.ts"
import { ScriptWorld } from "./ScriptWorld.ts"

/** `$name`, `$name+1`, `$name-1`, also within a word as in `t$t+1`. */
const substituted = (world: ScriptWorld, word: string): string =>
  word.replace(/\$([a-z]+)(?:([+-])(\d+))?/g, (_, name: string, sign: string | undefined, by: string | undefined) => {
    const value = world.variables.get(name)
    if (value === undefined) throw new ScriptFailed(`nothing is called ${name}`)
    return String(value + (by === undefined ? 0 : Number(by) * (sign === "-" ? -1 : 1)))
  })

/** `@leader`, and `@1`, `@2` … for the other nodes in order. */
const resolved = (world: ScriptWorld, word: string): string =>
  word.replace(/@(leader|\d)/g, (_, which: string) => {
    const leader = world.cluster.leader()
    if (leader === null) throw new ScriptFailed("there is no leader")
    return which === "leader" ? leader : world.cluster.ids.filter((id) => id !== leader)[Number(which) - 1] ?? "?"
  })

const begin = (world: ScriptWorld, name: string, words: ReadonlyArray<string>): void => {
  const { effect, node, write } = callOf(words)
  const fiber = world.cluster.fork(node, effect)
  fiber.addObserver((exit) => {
    if (write !== null && Exit.isSuccess(exit)) world.acknowledged.push({ ...write, revision: Number(exit.value) })
  })
  world.calls.set(name, { fiber, write })
}

/** Waits for an answer; what is wanted of it follows `is` (its text) or `fails` (an error's tag). */
const settle = (world: ScriptWorld, name: string, wanted: ReadonlyArray<string>): void => {
  world.cluster.until(`an answer to ${name}`, () => world.exitOf(name) !== undefined, 70_000)
  const seen = answerOf(world, name)
  const [how = "succeeds", ...what] = wanted
  const isRight = how === "succeeds"
    ? seen.startsWith("success")
    : how === "is"
    ? seen === `success ${what.join(" ")}`
    : how === "fails" && (what.length === 0 ? !seen.startsWith("success") : what.includes(seen))
  if (!isRight) throw new ScriptFailed(`expected that ${name} ${[how, ...what].join(" ")}, saw ${seen}`)
}

const outcomeWords = ["is", "fails", "succeeds"]

/** `[name =] call …`: with a name it goes on in the background, else its answer is waited for. */
const call = (world: ScriptWorld, words: ReadonlyArray<string>, line: ScriptLine): void => {
  if (words[1] === "=") {
    begin(world, words[0]!, words.slice(2))
    return
  }
  const at = words.findIndex((word) => outcomeWords.includes(word))
  const name = `the call of line ${line.number}`
  begin(world, name, at < 0 ? words : words.slice(0, at))
  settle(world, name, at < 0 ? [] : words.slice(at))
}

/** Commands that change nothing. */
const silent = ["expect", "let", "mark", "trace", "untrace", "stay-broken"]

const perform = (world: ScriptWorld, line: ScriptLine): void => {
  const words = line.words.map((word) => resolved(world, substituted(world, word)))
  const [first = "", second = "", ...others] = words
  if (!silent.includes(first)) world.trace.command(line.text)
  if (isCall(first) || second === "=" && isCall(others[0] ?? "")) call(world, words, line)
  else if (first === "settle") settle(world, second, others)
  else {
    const command = commands[first]
    if (command === undefined) throw new ScriptFailed(`${first} is no command`)
    command(world, words.slice(1))
  }
}

/** Everything that a node's own state shows, as text. */
const contentOf = (world: ScriptWorld, id: string): string => {
  const read = Effect.flatMap(DistKv, (kv) => kv.list({ limit: 10_000, consistency: "stale" }))
  const { entries, revision } = world.cluster.call(id, read)
  const rows = entries.map(({ createRevision, key, modRevision, value, version }) =>
    `${key}=${Buffer.from(value).toString()} (${createRevision} ${modRevision} ${version})`
  )
  return [`revision ${revision}`, ...rows].join("\n")
}

/**
 * At the end all faults are over: one leader, equal nodes with equal states, every acknowledged write still there
 * unless a later one replaced it.
 */
const audit = (world: ScriptWorld): void => {
  const { cluster } = world
  world.pass()
  cluster.converge()
  const leader = cluster.leader()!
  const content = contentOf(world, leader)
  for (const id of cluster.ids) {
    if (!cluster.isMember(id) || cluster.node(id).condition !== "up") continue
    if (contentOf(world, id) !== content) throw new ScriptFailed(`${id} has another state than ${leader}`)
  }
  for (const { key, revision, value } of world.acknowledged) {
    const read = Effect.flatMap(DistKv, (kv) => kv.list({ from: key, to: `${key}\u0000` }))
    const [entry] = cluster.call(leader, read).entries
    const isThere = entry !== undefined && (entry.modRevision > revision ||
      (entry.modRevision === revision && Buffer.from(entry.value).toString() === value))
    if (!isThere) throw new ScriptFailed(`the acknowledged write of ${key} at revision ${revision} is lost`)
  }
}

/** Plays it to its end: its trace, or null where it asks for none. Throws where something is not as it says. */
export const playScript = (script: Script): string | null => {
  const world = new ScriptWorld()
  const one = (line: ScriptLine): void => {
    try {
      perform(world, line)
    } catch (error) {
      throw told(script, world, `${script.name}.script:${line.number}: ${line.text}`, error)
    }
  }
  for (const lines of steps(unrolled(script.lines))) {
    if (lines.length === 1) one(lines[0]!)
    else world.cluster.together(() => lines.forEach(one))
  }
  const { text } = world.trace
  try {
    if (world.converges) audit(world)
  } catch (error) {
    throw told(script, world, `${script.name}.script: at the end`, error)
  }
  return text
}

/** The lines with `repeat N … end` written out. */
const unrolled = (lines: ReadonlyArray<ScriptLine>): ReadonlyArray<ScriptLine> => {
  const begins = lines.findIndex(({ words }) => words[0] === "repeat")
  if (begins < 0) return lines
  const ends = lines.findIndex(({ words }, i) => i > begins && words[0] === "end")
  if (ends < 0) throw new ScriptFailed(`line ${lines[begins]!.number}: repeat has no end`)
  const body = lines.slice(begins + 1, ends)
  const times = Number(lines[begins]!.words[1])
  const all = Array.from({ length: times }, () => body).flat()
  return [...lines.slice(0, begins), ...all, ...unrolled(lines.slice(ends + 1))]
}

/** The lines one by one; those between `together` and `end` happen in one turn. */
const steps = (lines: ReadonlyArray<ScriptLine>): ReadonlyArray<ReadonlyArray<ScriptLine>> => {
  const found: Array<ReadonlyArray<ScriptLine>> = []
  for (let at = 0; at < lines.length; at++) {
    if (lines[at]!.words[0] !== "together") {
      found.push([lines[at]!])
      continue
    }
    const ends = lines.findIndex(({ words }, i) => i > at && words[0] === "end")
    if (ends < 0) throw new ScriptFailed(`line ${lines[at]!.number}: together has no end`)
    found.push(lines.slice(at + 1, ends))
    at = ends
  }
  return found
}

const told = (script: Script, world: ScriptWorld, place: string, error: unknown): ScriptFailed => {
  const why = error instanceof Error ? error.message : Cause.pretty(Cause.die(error))
  const timeline = error instanceof ScriptFailed ? `\n${world.cluster.timeline(40)}` : ""
  return new ScriptFailed(`${place}\n  ${script.title}\n  ${why}${timeline}`)
}
