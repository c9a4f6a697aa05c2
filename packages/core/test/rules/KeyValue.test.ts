import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import type { Command } from "../../src/domain/Command.ts"
import type { Key } from "../../src/domain/Entry.ts"
import type { Revision } from "../../src/domain/Position.ts"
import type { Applied, StoreCounters } from "../../src/rules/KeyValue.ts"
import { apply, emptyCounters, rangeOf } from "../../src/rules/KeyValue.ts"
import { key, plain } from "../domain/Samples.ts"
import type { Answer } from "./NaiveStore.ts"
import { NaiveStore } from "./NaiveStore.ts"
import { RowsView } from "./RowsView.ts"

const byte = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 }))
const Name = Schema.Literals(["a", "ab", "abc", "b", "\ue000", "\u{10000}", "\ufffd"])

/** Commands over few keys; revisions are said by how far they are from what would be right, so that many hit. */
const Step = Schema.TaggedUnion({
  Put: {
    key: Name,
    size: byte,
    guard: Schema.Literals(["none", "absent", "right", "wrong"]),
    previous: Schema.Boolean
  },
  Delete: { key: Name, guard: Schema.Literals(["none", "right", "wrong"]) },
  DeletePrefix: { prefix: Name },
  DeleteBetween: { from: Schema.NullOr(Name), to: Schema.NullOr(Name) },
  DeleteAll: {},
  SetMany: { keys: Schema.Array(Name), size: byte },
  Cut: { back: Schema.Int.check(Schema.isBetween({ minimum: -3, maximum: 12 })) },
  Forget: {},
  NoOp: {}
})
type Step = typeof Step.Type

const fill = (size: number, revision: number) => new Uint8Array(size).fill(revision)

const commandOf = (step: Exclude<Step, { _tag: "Forget" }>, store: NaiveStore): Command => {
  const guarded = (name: string, guard: "none" | "absent" | "right" | "wrong"): Revision | null => {
    const right = store.find(name)?.modRevision ?? 0
    const revision = guard === "none" ? null : guard === "absent" ? 0 : guard === "right" ? right : right + 1
    return revision as Revision | null
  }
  switch (step._tag) {
    case "Put":
      return {
        _tag: "Put",
        key: step.key as Key,
        value: fill(step.size, store.revision),
        ifRevision: guarded(step.key, step.guard),
        previous: step.previous,
        leaseId: null
      }
    case "Delete":
      return { _tag: "Delete", key: step.key as Key, ifRevision: guarded(step.key, step.guard) || null }
    case "DeletePrefix":
      return { _tag: "DeleteRange", range: { _tag: "Prefix", prefix: step.prefix as Key } }
    case "DeleteBetween":
      return { _tag: "DeleteRange", range: { _tag: "Between", from: step.from, to: step.to } }
    case "DeleteAll":
      return { _tag: "DeleteRange", range: { _tag: "All" } }
    case "SetMany":
      return {
        _tag: "Txn",
        puts: [...new Set(step.keys)].map((name) => ({ key: name as Key, value: fill(step.size, store.revision) }))
      }
    case "Cut":
      return { _tag: "CutHistory", revision: Math.max(0, store.revision - step.back) as Revision }
    case "NoOp":
      return { _tag: "NoOp" }
  }
}

const outcomeOf = (command: Command, answer: Answer, revision: number): unknown => {
  if (answer.says === "refused") return { _tag: "CompareFailed", revision, current: answer.found }
  if (answer.says === "too many") return { _tag: "TooManyEntries", revision, limit: 10_000 }
  switch (command._tag) {
    case "Put":
      return {
        _tag: "Put",
        revision,
        created: answer.says === "created",
        previous: command.previous ? answer.found : null
      }
    case "Delete":
    case "DeleteRange":
      return { _tag: "Deleted", revision, deleted: answer.changed }
    default:
      return { _tag: "Done", revision }
  }
}

/** Runs one command in both and compares everything that can be seen. */
const both = (view: RowsView, counters: StoreCounters, store: NaiveStore, command: Command): Applied => {
  const before = { ...counters, writes: store.writes.length }
  const applied = apply(view, counters, command)
  view.keep(applied)
  const answer = store.run(command)
  assert.deepStrictEqual<unknown>(applied.outcome, outcomeOf(command, answer, store.revision))
  assert.strictEqual(counters.revision, before.revision + (answer.changed > 0 ? 1 : 0))
  const fresh = store.writes.slice(before.writes)
  assert.deepStrictEqual(
    applied.events.map(({ key, position, previous, revision }) => ({ key, position, previous, revision })),
    fresh.map(({ before, key }, position) => ({
      key,
      position,
      previous: before,
      revision: store.revision as Revision
    }))
  )
  assert.deepStrictEqual(view.scan({ ...rangeOf({ _tag: "All" }), keysOnly: false }), store.entries)
  assert.deepStrictEqual({ ...counters }, {
    revision: store.revision as Revision,
    compactRevision: store.compactRevision as Revision,
    historyBytes: store.bytesUpTo(store.revision),
    historyCutBytes: store.bytesUpTo(store.compactRevision),
    keys: store.entries.length
  })
  assert.strictEqual(applied.events.at(-1)?.historyBytes ?? counters.historyBytes, counters.historyBytes)
  return applied
}

const put = (name: string, value: string, more: Partial<Extract<Command, { _tag: "Put" }>> = {}): Command => ({
  _tag: "Put",
  key: name as Key,
  value: new TextEncoder().encode(value),
  ifRevision: null,
  previous: false,
  leaseId: null,
  ...more
})

const del = (name: string, ifRevision: number | null = null): Command => ({
  _tag: "Delete",
  key: name as Key,
  ifRevision: ifRevision as Revision | null
})

const world = () => {
  const view = new RowsView()
  const counters = emptyCounters()
  const store = new NaiveStore()
  const run = (command: Command) => both(view, counters, store, command)
  return { view, counters, store, run }
}

describe("applying commands", () => {
  it.prop("agrees with the naive store on every sequence", [Schema.Array(Step)], ([steps]) => {
    const { counters, run, store, view } = world()
    for (const step of steps) {
      if (step._tag === "Forget") view.forget(counters.compactRevision)
      else run(commandOf(step, store))
    }
  }, { arbitrary: { runs: 600, size: 60 } })

  it.prop("agrees on keys of every character", [Arbitrary.array(key, { minLength: 1, maxLength: 20 })], ([names]) => {
    const { run, store } = world()
    for (const name of names) run(put(name, name))
    for (const name of names) run({ _tag: "DeleteRange", range: { _tag: "Between", from: name, to: `${name}b` } })
    run({ _tag: "DeleteRange", range: { _tag: "Prefix", prefix: names[0] ?? "a" as Key } })
    assert.isAtMost(store.entries.length, names.length)
  }, { arbitrary: { runs: 100, size: 30 } })

  it.prop("comes to the same on two nodes that cut and forget their history at different times", [Schema.Array(Step)], (
    [steps]
  ) => {
    const eager = world()
    const lazy = world()
    for (const step of steps) {
      if (step._tag === "Forget") continue
      const command = commandOf(step, eager.store)
      const here = eager.run(command)
      eager.view.forget(eager.counters.compactRevision)
      assert.deepStrictEqual(plain(lazy.run(command)), plain(here))
    }
    assert.deepStrictEqual(lazy.counters, eager.counters)
  }, { arbitrary: { runs: 200, size: 40 } })
})

describe("a put", () => {
  it("keeps the create revision, counts the version, and counts the same value as a change", () => {
    const { counters, run, view } = world()
    run(put("other", "x"))
    run(put("k", "v"))
    run(put("k", "v"))
    run(put("k", "w"))
    const kept = view.get("k" as Key)
    assert.deepStrictEqual([kept?.createRevision, kept?.modRevision, kept?.version, kept?.leaseId], [2, 4, 3, null])
    assert.strictEqual(counters.revision, 4)
    run(del("k"))
    run(put("k", "v"))
    const anew = view.get("k" as Key)
    assert.deepStrictEqual([anew?.createRevision, anew?.modRevision, anew?.version], [6, 6, 1])
  })

  it("with guard 0 creates only, and with a revision replaces only that one", () => {
    const { run } = world()
    assert.strictEqual(run(put("k", "1", { ifRevision: 0 as Revision })).outcome._tag, "Put")
    assert.strictEqual(run(put("k", "2", { ifRevision: 0 as Revision })).outcome._tag, "CompareFailed")
    assert.strictEqual(run(put("k", "2", { ifRevision: 1 as Revision })).outcome._tag, "Put")
    assert.strictEqual(run(put("k", "3", { ifRevision: 1 as Revision })).outcome._tag, "CompareFailed")
    assert.strictEqual(run(put("new", "1", { ifRevision: 2 as Revision })).outcome._tag, "CompareFailed")
  })

  it("that is refused carries the entry as it is, uses no revision and leaves no event", () => {
    const { counters, run, view } = world()
    run(put("k", "v"))
    const refusal = run(put("k", "w", { ifRevision: 9 as Revision }))
    assert.deepStrictEqual<unknown>(refusal.outcome, {
      _tag: "CompareFailed",
      revision: 1,
      current: view.get("k" as Key)
    })
    assert.deepStrictEqual(refusal.events, [])
    assert.strictEqual(counters.revision, 1)
  })
})

describe("a range delete", () => {
  it("takes 10,000 entries at one revision, and refuses 10,001 without touching any", () => {
    const { counters, view } = { view: new RowsView(), counters: emptyCounters() }
    const names = Array.from({ length: 10_001 }, (_, i) => `k${i}`)
    for (const name of names) view.keep(apply(view, counters, put(name, "")))
    const all: Command = { _tag: "DeleteRange", range: { _tag: "All" } }
    const before = { ...counters }
    const refusal = apply(view, counters, all)
    assert.deepStrictEqual(refusal, {
      outcome: { _tag: "TooManyEntries", revision: 10_001 as Revision, limit: 10_000 },
      events: []
    })
    assert.deepStrictEqual(counters, before)
    view.keep(apply(view, counters, del("k0")))
    const done = apply(view, counters, all)
    view.keep(done)
    assert.deepStrictEqual(done.outcome, { _tag: "Deleted", revision: 10_003 as Revision, deleted: 10_000 })
    assert.deepStrictEqual(done.events.map((event) => event.position), names.slice(1).map((_, i) => i))
    assert.strictEqual(view.rows.size, 0)
    assert.strictEqual(counters.keys, 0)
  })

  it("stops looking after the first entry too many", () => {
    let seen = 0
    const view = new RowsView()
    const endless = {
      get: view.get,
      metadata: view.metadata,
      eventAt: view.eventAt,
      *scan() {
        while (true) {
          seen++
          yield {
            key: `k${seen}` as Key,
            value: new Uint8Array(0),
            createRevision: 1 as Revision,
            modRevision: 1 as Revision,
            version: 1,
            leaseId: null
          }
        }
      }
    }
    const { outcome } = apply(endless, emptyCounters(), { _tag: "DeleteRange", range: { _tag: "All" } })
    assert.strictEqual(outcome._tag, "TooManyEntries")
    assert.strictEqual(seen, 10_001)
  })

  it("of an empty, inverted or unoccupied range deletes nothing and uses no revision", () => {
    const { counters, run } = world()
    run(put("b", "v"))
    run({ _tag: "DeleteRange", range: { _tag: "Between", from: "c", to: "a" } })
    run({ _tag: "DeleteRange", range: { _tag: "Between", from: "b", to: "b" } })
    run({ _tag: "DeleteRange", range: { _tag: "Prefix", prefix: "x" as Key } })
    assert.deepStrictEqual([counters.revision, counters.keys], [1, 1])
  })
})

describe("a cut of the history", () => {
  it("never falls, never passes the revision, and uses none", () => {
    const { counters, run } = world()
    for (const name of ["a", "b", "c"]) run(put(name, name))
    run({ _tag: "CutHistory", revision: 2 as Revision })
    run({ _tag: "CutHistory", revision: 1 as Revision })
    assert.deepStrictEqual([counters.revision, counters.compactRevision, counters.historyCutBytes], [3, 2, 4])
    run({ _tag: "CutHistory", revision: 99 as Revision })
    assert.deepStrictEqual([counters.revision, counters.compactRevision, counters.historyCutBytes], [3, 3, 6])
  })
})
