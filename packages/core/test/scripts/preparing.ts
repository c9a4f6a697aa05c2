/** Logs that nodes begin with, as if they had been written long ago. */
import { encodeCommand } from "../../src/domain/CommandCodec.ts"
import type { LogEntry } from "../../src/domain/LogEntry.ts"
import type { LogIndex, Term } from "../../src/domain/Position.ts"
import { stamp } from "../../src/domain/RecordCodec.ts"
import { membershipOf } from "../../src/testing/Founding.ts"
import { putEntry } from "../simulation/calls.ts"
import { ScriptFailed } from "./Script.ts"
import type { ScriptWorld } from "./ScriptWorld.ts"

/** `2*60` is the same entry sixty times. */
const repeated = (word: string): ReadonlyArray<string> => {
  const [entry = "", times = "1"] = word.split("*")
  return Array.from({ length: Number(times) }, () => entry)
}

/** `3` is an entry of term 3 that puts a key; `3:n1,n2` one that makes these the voters. */
const entryOf = (word: string, index: number): LogEntry => {
  const [term = "", voters] = word.split(":")
  if (!/^\d+$/.test(term)) throw new ScriptFailed(`${word} is no entry: write 3, or 3:n1,n2`)
  if (voters === undefined) return putEntry(Number(term), index, `k${index}`)
  const membership = membershipOf(voters.split(","))
  return stamp(encodeCommand({ _tag: "Configure", membership }), Number(term) as Term, index as LogIndex)
}

/**
 * `prepare n1 term 3 [voted n5] [founders n1,n2,n3] [log 2 2*60 3]`: the node's hard state, and the entries after the
 * one that founded the cluster, which is 1.1 on every node. Default: all nodes are its founders.
 */
export const prepare = (world: ScriptWorld, words: ReadonlyArray<string>): void => {
  const [id = "", ...options] = words
  const after = (word: string) => {
    const at = options.indexOf(word)
    return at < 0 ? undefined : options[at + 1]
  }
  const at = options.indexOf("log")
  const log = at < 0 ? [] : options.slice(at + 1).flatMap(repeated)
  const votedFor = after("voted")
  const { cluster } = world
  const founders = after("founders")?.split(",") ?? cluster.ids
  cluster.prepare(id, { term: Number(after("term") ?? 1), ...(votedFor === undefined ? {} : { votedFor }) }, [
    cluster.foundingEntry(founders),
    ...log.map((word, i) => entryOf(word, i + 2))
  ])
}
