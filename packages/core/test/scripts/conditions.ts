/** What a script may expect or wait for. */
import { tagOf } from "../simulation/calls.ts"
import { patternOf } from "./packets.ts"
import { ScriptFailed } from "./Script.ts"
import type { ScriptWorld } from "./ScriptWorld.ts"

/** Null when it holds; else what is to be seen instead. */
export type Condition = () => string | null

/** Numbers of a node, as `term:n1`. */
const numbers: Record<string, (world: ScriptWorld, id: string) => number> = {
  term: (world, id) => world.last(id).term,
  commit: (world, id) => world.last(id).commit,
  applied: (world, id) => world.last(id).applied,
  revision: (world, id) => world.last(id).revision,
  first: (world, id) => world.last(id).first,
  last: (world, id) => world.last(id).last,
  writes: (world, id) => world.last(id).pendingWrites,
  reads: (world, id) => world.last(id).pendingReads,
  installed: (world, id) => world.node(id).disk.state.installed?.index ?? 0,
  "disk-last": (world, id) => world.node(id).disk.last,
  "disk-term": (world, id) => world.node(id).disk.term
}

/** `5`, `term:n1`, `elections`, or `snapshots` (that took the place of a state). */
export const numberOf = (world: ScriptWorld, text: string): number => {
  if (/^\d+$/.test(text)) return Number(text)
  if (text === "elections" || text === "snapshots") return world.cluster.view[text]
  const [name = "", id = ""] = text.split(":")
  const read = numbers[name]
  if (read === undefined) throw new ScriptFailed(`${text} is no number`)
  return read(world, id)
}

const comparisons: Record<string, (a: number, b: number) => boolean> = {
  "=": (a, b) => a === b,
  "!=": (a, b) => a !== b,
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b
}

const compared = (left: () => number, operator: string, right: () => number): Condition => {
  const holds = comparisons[operator]
  if (holds === undefined) throw new ScriptFailed(`${operator} compares nothing`)
  return () => (holds(left(), right()) ? null : `${left()} ${operator} ${right()}`)
}

const equals = (seen: () => string, wanted: string): Condition => () => (seen() === wanted ? null : seen())

/** The tag of a call's answer, or its text where it succeeded; `pending` before. */
export const answerOf = (world: ScriptWorld, name: string): string => {
  const exit = world.exitOf(name)
  if (exit === undefined) return "pending"
  return exit._tag === "Success" ? `success ${exit.value}` : tagOf(exit)
}

const named: Record<string, (world: ScriptWorld, words: ReadonlyArray<string>) => Condition> = {
  leader: (world, [id = ""]) => equals(() => world.cluster.leader() ?? "none", id),
  serving: (world, [id = ""]) => equals(() => (world.cluster.leaderServes() ? world.cluster.leader()! : "none"), id),
  role: (world, [id = "", role = ""]) => equals(() => world.last(id).role, role),
  follows: (world, [id = "", leader = ""]) => equals(() => world.last(id).leader ?? "none", leader),
  condition: (world, [id = "", condition = ""]) => equals(() => world.node(id).condition, condition),
  vote: (world, [id = "", candidate = ""]) => equals(() => world.node(id).disk.votedFor ?? "none", candidate),
  log: (world, [id = "", ...terms]) =>
    equals(() => world.record(id).log.map((mark) => mark.term).join(" "), terms.join(" ")),
  voters: (world, [id = "", ...ids]) => equals(() => world.last(id).voters.join(" "), ids.join(" ")),
  members: (world, [id = "", ...ids]) => equals(() => world.last(id).members.join(" "), ids.join(" ")),
  answer: (world, [name = "", ...wanted]) => () => {
    const seen = answerOf(world, name)
    return wanted.some((one) => seen === one || seen.split(" ")[0] === one) ? null : seen
  },
  sent: (world, words) => {
    const [operator = "", wanted = ""] = words.slice(-2)
    const matches = patternOf(words.slice(0, -2))
    return compared(() => world.packets.filter(matches).length, operator, () => numberOf(world, wanted))
  }
}

/** Reads a condition. */
export const conditionOf = (world: ScriptWorld, words: ReadonlyArray<string>): Condition => {
  const [first = "", ...others] = words
  const make = named[first]
  if (make !== undefined) return make(world, others)
  const [operator = "", right = ""] = others
  return compared(() => numberOf(world, first), operator, () => numberOf(world, right))
}
