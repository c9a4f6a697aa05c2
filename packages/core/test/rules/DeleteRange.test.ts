import { assert, describe, it } from "@effect/vitest"
import type { Key } from "../../src/domain/Entry.ts"
import { apply, emptyCounters } from "../../src/rules/KeyValue.ts"
import type { Scan } from "../../src/StateStore.ts"
import { RowsView } from "./RowsView.ts"

describe("a range delete", () => {
  it("looks at no values, and keeps none: its events name what was there by metadata", () => {
    const { counters, view } = { view: new RowsView(), counters: emptyCounters() }
    for (const name of ["a", "b", "b"]) {
      const puts = [{ key: name as Key, value: new Uint8Array(1000).fill(7) }]
      view.keep(apply(view, counters, { _tag: "Txn", puts }))
    }
    const { historyBytes } = counters
    const scans: Array<Scan> = []
    const scan = (asked: Scan) => {
      scans.push(asked)
      return view.scan(asked)
    }
    const { events } = apply({ get: view.get, metadata: view.metadata, eventAt: view.eventAt, scan }, counters, {
      _tag: "DeleteRange",
      range: { _tag: "All" }
    })
    assert.deepStrictEqual(scans.map(({ keysOnly }) => keysOnly), [true])
    assert.deepStrictEqual<unknown>(events, [
      {
        revision: 4,
        position: 0,
        key: "a",
        entry: null,
        previous: { createRevision: 1, modRevision: 1, version: 1, leaseId: null },
        historyBytes: historyBytes + 1
      },
      {
        revision: 4,
        position: 1,
        key: "b",
        entry: null,
        previous: { createRevision: 2, modRevision: 3, version: 2, leaseId: null },
        historyBytes: historyBytes + 2
      }
    ])
  })
})
