/** Calls of the store and of its administration, as a script writes them. Each answers with a text. */
import { Effect } from "effect"
import { type ChangeOptions, type Consistency, DistKv } from "../../src/DistKv.ts"
import type { Member } from "../../src/domain/Membership.ts"
import { addressOf } from "../../src/testing/Founding.ts"
import { publicKeyOf } from "../../src/testing/SimEndpoint.ts"
import { get, set } from "../simulation/calls.ts"
import { ScriptFailed } from "./Script.ts"

export interface ClientCall {
  readonly node: string
  readonly effect: Effect.Effect<string, unknown, DistKv>
  readonly write: { readonly key: string; readonly value: string } | null
}

/** `12:7` is the seventh command of session 12. */
const placeOf = (text: string) => {
  const [session = "", sequence = ""] = text.split(":")
  return { session, sequence: Number(sequence) }
}

/** Options at the end of a call: `if 3`, `as 12:7`, `timeout 500`, or a bare word. */
const optionsOf = (words: ReadonlyArray<string>) => {
  const valueAfter = (word: string) => {
    const at = words.indexOf(word)
    return at < 0 ? undefined : words[at + 1]
  }
  const timeout = Number(valueAfter("timeout") ?? 5000)
  const guard = valueAfter("if")
  const place = valueAfter("as")
  return {
    timeout,
    ifRevision: guard === undefined ? undefined : Number(guard),
    idempotencyKey: place === undefined ? undefined : placeOf(place),
    valueAfter
  }
}

/** `x*40000` is a value of so many letters. */
const valueOf = (word: string): string => {
  const [, part = "", times] = /^(.+)\*(\d+)$/.exec(word) ?? []
  return times === undefined ? word : part.repeat(Number(times))
}

const withKv = <A, E>(use: (kv: DistKv["Service"]) => Effect.Effect<A, E>) => Effect.flatMap(DistKv, use)

const consistencies: ReadonlyArray<string> = ["linearizable", "lease", "stale"]

type Maker = (node: string, words: ReadonlyArray<string>) => ClientCall

/** A change of a member's standing; answers with the new one. */
const standing = (
  node: string,
  rest: ReadonlyArray<string>,
  change: (kv: DistKv["Service"], options: ChangeOptions) => Effect.Effect<Member, unknown>
): ClientCall => {
  const options = { force: rest.includes("force"), timeout: optionsOf(rest).timeout }
  return { node, effect: Effect.map(withKv((kv) => change(kv, options)), (member) => member.standing), write: null }
}

const makers: Record<string, Maker> = {
  put: (node, [key = "", word = "", ...rest]) => {
    const value = valueOf(word)
    const { idempotencyKey, ifRevision, timeout } = optionsOf(rest)
    const effect = Effect.map(
      set(key, value, { idempotencyKey, ifRevision, timeout }),
      ({ revision }) => String(revision)
    )
    return { node, effect, write: { key, value } }
  },
  delete: (node, [key = "", ...rest]) => {
    const { idempotencyKey, timeout } = optionsOf(rest)
    const effect = Effect.map(
      withKv((kv) => kv.delete(key, { idempotencyKey, timeout })),
      ({ deleted }) => String(deleted)
    )
    return { node, effect, write: null }
  },
  get: (node, [key = "", ...rest]) => {
    const consistency = rest.find((word): word is Consistency => consistencies.includes(word))
    const { timeout, valueAfter } = optionsOf(rest)
    const minRevision = valueAfter("revision")
    const options = { timeout, consistency, minRevision: minRevision === undefined ? undefined : Number(minRevision) }
    return { node, effect: get(key, options), write: null }
  },
  outcome: (node, [place = "", ...rest]) => {
    const { timeout } = optionsOf(rest)
    const { sequence, session } = placeOf(place)
    const effect = Effect.map(
      withKv((kv) => kv.outcome(session, sequence, { timeout })),
      ({ _tag, revision }) => `${_tag} ${revision}`
    )
    return { node, effect, write: null }
  },
  transfer: (node, rest) => {
    const { timeout, valueAfter } = optionsOf(rest)
    const effect = Effect.map(
      withKv((kv) => kv.transferLeadership(valueAfter("to"), { timeout })),
      ({ leader }) => String(leader)
    )
    return { node, effect, write: null }
  },
  join: (node, rest) => {
    const { timeout, valueAfter } = optionsOf(rest)
    const learner = rest.includes("learner")
    const seed = addressOf(valueAfter("via") ?? "n1")
    const effect = Effect.map(withKv((kv) => kv.join(seed, { learner, timeout })), ({ standing }) => standing)
    return { node, effect, write: null }
  },
  remove: (node, [id = "", ...rest]) => {
    const { timeout } = optionsOf(rest)
    const force = rest.includes("force")
    return {
      node,
      effect: Effect.as(withKv((kv) => kv.members.remove(id, { force, timeout })), "removed"),
      write: null
    }
  },
  promote: (node, [id = "", ...rest]) => standing(node, rest, (kv, options) => kv.members.promote(id, options)),
  demote: (node, [id = "", ...rest]) => standing(node, rest, (kv, options) => kv.members.demote(id, options)),
  add: (node, [id = "", ...rest]) => {
    const { timeout } = optionsOf(rest)
    const learner = rest.includes("learner")
    const member = { id, address: addressOf(id), publicKey: publicKeyOf(id), learner }
    const effect = Effect.map(withKv((kv) => kv.members.add(member, { timeout })), ({ standing }) => standing)
    return { node, effect, write: null }
  }
}

/** Whether this command is a call. */
export const isCall = (word: string): boolean => word in makers

/** `put n1 k v …`: the command, the node that is asked, and what is asked of it. */
export const callOf = ([command = "", node = "", ...words]: ReadonlyArray<string>): ClientCall => {
  const make = makers[command]
  if (make === undefined) throw new ScriptFailed(`${command} is no call`)
  return make(node, words)
}
