import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import type { Key } from "../../src/domain/Entry.ts"
import type { Revision } from "../../src/domain/Position.ts"
import { eventBytes, historyBytesAt, historyToCut } from "../../src/rules/History.ts"
import type { StoreCounters } from "../../src/rules/KeyValue.ts"
import { apply, emptyCounters } from "../../src/rules/KeyValue.ts"
import { RowsView } from "./RowsView.ts"

const natural = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

/** Writes of these sizes, one or two keys per revision. */
const History = Schema.Array(Schema.Struct({ size: natural(40), pair: Schema.Boolean }))

const written = (history: typeof History.Type): { readonly view: RowsView; readonly counters: StoreCounters } => {
  const view = new RowsView()
  const counters = emptyCounters()
  for (const { pair, size } of history) {
    const names = pair ? ["a", "é"] : ["a"]
    const puts = names.map((name) => ({ key: name as Key, value: new Uint8Array(size) }))
    view.keep(apply(view, counters, { _tag: "Txn", puts }))
  }
  return { view, counters }
}

const cut = (view: RowsView, counters: StoreCounters, revision: number): void => {
  view.keep(apply(view, counters, { _tag: "CutHistory", revision: revision as Revision }))
}

/** Bytes of all events of later revisions, added up one by one. */
const bytesAfter = (view: RowsView, revision: number): number =>
  view.events.filter((event) => event.revision > revision).reduce((sum, event) => sum + eventBytes(event), 0)

describe("what a leader proposes to cut", () => {
  it.prop("is the least that keeps both bounds, once one is passed by more than a hundredth", [
    History,
    natural(30),
    natural(30),
    natural(600)
  ], ([history, already, historyRevisions, historyBytes]) => {
    const { counters, view } = written(history)
    cut(view, counters, Math.min(already, counters.revision))
    const kept = counters.revision - counters.compactRevision
    const bytes = bytesAfter(view, counters.compactRevision)
    const proposal = historyToCut(counters, { historyRevisions, historyBytes }, view.eventAt)
    const within = (revision: number) =>
      (kept * 100 <= historyRevisions * 101 || counters.revision - revision <= historyRevisions) &&
      (bytes * 100 <= historyBytes * 101 || bytesAfter(view, revision) <= historyBytes)
    const revisions = Array.from({ length: kept + 1 }, (_, i) => counters.compactRevision + i)
    const least = revisions.find(within)
    assert.strictEqual(proposal ?? counters.compactRevision, least)
  }, { arbitrary: { runs: 1500, size: 60 } })

  it.prop("is nothing once it was cut", [History, natural(20), natural(300)], (
    [history, historyRevisions, historyBytes]
  ) => {
    const { counters, view } = written(history)
    const limits = { historyRevisions, historyBytes }
    const proposal = historyToCut(counters, limits, view.eventAt)
    if (proposal !== null) cut(view, counters, proposal)
    assert.isNull(historyToCut(counters, limits, view.eventAt))
    assert.isAtMost(counters.revision - counters.compactRevision, historyRevisions + historyRevisions / 100)
    assert.isAtMost(counters.historyBytes - counters.historyCutBytes, historyBytes + historyBytes / 100)
  }, { arbitrary: { runs: 500, size: 60 } })

  it("comes in bites of a hundredth, however many writes there are", () => {
    const view = new RowsView()
    const counters = emptyCounters()
    const limits = { historyRevisions: 200, historyBytes: 1_000_000 }
    const cuts: Array<number> = []
    for (let i = 0; i < 260; i++) {
      const puts = [{ key: "k" as Key, value: new Uint8Array(1) }]
      view.keep(apply(view, counters, { _tag: "Txn", puts }))
      const proposal = historyToCut(counters, limits, view.eventAt)
      if (proposal === null) continue
      cuts.push(proposal)
      cut(view, counters, proposal)
      view.forget(counters.compactRevision)
    }
    assert.deepStrictEqual(cuts, Array.from({ length: 20 }, (_, i) => 3 * (i + 1)))
  })

  it("looks at few events, however long the history is", () => {
    let asked = 0
    const eventAt = (revision: Revision) => {
      asked++
      return revision > 100_000 ? undefined : {
        revision,
        position: 0,
        key: "k" as Key,
        entry: null,
        previous: null,
        historyBytes: revision
      }
    }
    const counters = { ...emptyCounters(), revision: 100_000 as Revision, historyBytes: 100_000 }
    const proposal = historyToCut(counters, { historyRevisions: 200_000, historyBytes: 40_000 }, eventAt)
    assert.strictEqual(proposal, 60_000)
    assert.isAtMost(asked, 18)
  })

  it.prop("knows the bytes of every revision that is kept", [History, natural(40)], ([history, already]) => {
    const { counters, view } = written(history)
    const compacted = Math.min(already, counters.revision)
    view.forget(compacted as Revision)
    for (let at = compacted; at <= counters.revision; at++) {
      const bytes = historyBytesAt(view.eventAt, counters.historyBytes, at as Revision)
      assert.strictEqual(counters.historyBytes - bytes, bytesAfter(view, at))
    }
  }, { arbitrary: { runs: 300, size: 40 } })
})
