/** The audit of what clients saw is worth what it would notice: each of these histories is one that must not be. */
import type { EntryInput, EntryOutput } from "@distkv/core/testing"
import { assert, describe, it } from "vitest"
import { audit, type FinalState } from "./Audit.ts"
import type { Call } from "./Protocol.ts"

const settledWithinMs = 1000

const call = (at: number, input: EntryInput, outcome: Call["outcome"], took = 10): Call => ({
  client: "0-0",
  node: 0,
  input,
  called: at,
  returned: at + took,
  outcome
})

const set = (key: string, value: string, ifRevision: number | null = null): EntryInput => ({
  op: "set",
  key,
  value,
  ifRevision
})

const answered = (output: EntryOutput): Call["outcome"] => ({ _tag: "Answered", output })

const done = (revision: number, created = true): Call["outcome"] =>
  answered({ _tag: "Set", revision, created, previous: undefined })

const read = (revision: number, value: string | null, modRevision = revision): Call["outcome"] =>
  answered({ _tag: "Read", revision, entry: value === null ? null : { value, modRevision } })

const unknown: Call["outcome"] = { _tag: "Unknown", code: "OutcomeUnknown" }
const refused: Call["outcome"] = { _tag: "Refused", code: "NoLeader" }

/** The last state, long after every call. */
const final = (
  revision: number,
  ...entries: ReadonlyArray<readonly [key: string, value: string, at: number, version?: number]>
): FinalState => ({
  revision,
  at: 1_000_000,
  entries: entries.map(([key, value, modRevision, version = 1]) => ({ key, value, modRevision, version }))
})

const problemsOf = (state: FinalState, ...calls: ReadonlyArray<Call>) => audit(calls, state, settledWithinMs).join("\n")

describe("the audit", () => {
  it("finds nothing wrong with what can be, lost answers included", () => {
    const state = final(3, ["own/a", "1", 1], ["e0/k", "3", 3, 2])
    assert.strictEqual(
      problemsOf(
        state,
        call(0, set("own/a", "1"), done(1)),
        call(100, set("e0/k", "2"), unknown),
        call(200, { op: "get", key: "e0/k" }, read(2, "2")),
        call(300, set("e0/k", "3", 2), done(3, false)),
        call(400, set("own/b", "4"), refused)
      ),
      ""
    )
  })

  it("notices an acknowledged write that is gone", () => {
    assert.include(problemsOf(final(1), call(0, set("own/a", "1"), done(1))), "lost")
  })

  it("notices a write that was done twice, by its version or by its revisions", () => {
    const twice = problemsOf(final(2, ["own/a", "1", 1, 2]), call(0, set("own/a", "1"), done(1)))
    assert.include(twice, "was written 2 times")
    assert.include(twice, "1 revisions are nobody's")
    assert.include(
      problemsOf(final(2, ["own/a", "1", 2]), call(0, set("own/a", "1"), done(1))),
      "one write at two revisions"
    )
  })

  it("notices a revision that two writes were given, and one that nobody was", () => {
    const calls = [call(0, set("own/a", "1"), done(1)), call(50, set("own/b", "2"), done(1))]
    assert.include(problemsOf(final(1, ["own/a", "1", 1], ["own/b", "2", 1]), ...calls), "one revision for two writes")
  })

  it("notices a write that was refused and yet is there, and a value that nobody wrote", () => {
    assert.include(
      problemsOf(final(1, ["own/a", "1", 1]), call(0, set("own/a", "1"), refused)),
      "refused, and yet there"
    )
    assert.include(problemsOf(final(1, ["own/a", "x", 1]), call(0, set("own/b", "1"), unknown)), "nobody wrote")
  })

  it("notices a read that is older than an answer before it, on whatever key", () => {
    assert.include(
      problemsOf(
        final(1, ["own/a", "1", 1]),
        call(0, set("own/a", "1"), done(1)),
        call(100, { op: "get", key: "e0/k" }, read(0, null))
      ),
      "goes back behind revision 1"
    )
  })

  it("notices a guard that held where it could not, and a call that was settled late", () => {
    const calls = [
      call(0, set("e0/k", "1"), done(1)),
      call(100, set("e0/k", "2", 1), done(2, false)),
      call(200, set("e0/k", "3", 1), done(3, false))
    ]
    assert.include(problemsOf(final(3, ["e0/k", "3", 3, 3]), ...calls), "no order explains")
    assert.include(
      problemsOf(final(1, ["own/a", "1", 1]), call(0, set("own/a", "1"), done(1), 2_000_000)),
      "settled late"
    )
  })
})
