import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import type { Entry, Key } from "../../src/domain/Entry.ts"
import { compareKeys } from "../../src/domain/Entry.ts"
import type { Revision } from "../../src/domain/Position.ts"
import { MemoryState } from "../../src/MemoryStateStore.ts"
import { overlaid, Overlay } from "../../src/state/Overlay.ts"
import type { HistoryEvent, Scan } from "../../src/StateStore.ts"
import { checkpoint, row } from "../../src/testing/laws/StateSamples.ts"

const Name = Schema.Literals(["a", "ab", "b", "ba", "\ue000", "\u{10000}"])

/** What one layer does to some of the keys. */
const Layer = Schema.Array(Schema.Struct({ name: Name, deleted: Schema.Boolean }))

const Asked = Schema.Struct({
  from: Schema.NullOr(Name),
  to: Schema.NullOr(Name),
  prefix: Schema.NullOr(Schema.Literals(["a", "b"])),
  reverse: Schema.Boolean,
  keysOnly: Schema.Boolean
})

const event = (key: string, entry: Entry | null): HistoryEvent => ({
  revision: 1 as Revision,
  position: 0,
  key: key as Key,
  entry,
  previous: null,
  historyBytes: 0
})

describe("an overlay", () => {
  it.prop("over another over a store shows what one map would, with values or without", [Layer, Layer, Layer, Asked], (
    [stored, frozen, active, asked]
  ) => {
    const model = new Map<string, Entry>()
    const entriesOf = (layer: typeof Layer.Type, from: string) =>
      layer.map(({ deleted, name }): readonly [Key, Entry | null] => {
        const entry = deleted ? null : row(name, `${from} ${name}`)
        if (entry === null) model.delete(name)
        else model.set(name, entry)
        return [name as Key, entry]
      })
    const overlayOf = (layer: typeof Layer.Type, from: string) => {
      const overlay = new Overlay()
      for (const [key, entry] of entriesOf(layer, from)) overlay.add(event(key, entry))
      return overlay
    }
    const state = new MemoryState()
    state.checkpoint(checkpoint(1, new Map(entriesOf(stored, "stored"))))
    const below = overlayOf(frozen, "frozen")
    const above = overlayOf(active, "active")
    const scan: Scan = asked
    const expected = [...model.values()]
      .filter(({ key }) =>
        (scan.from === null || compareKeys(key, scan.from) >= 0) &&
        (scan.to === null || compareKeys(key, scan.to) < 0) &&
        (scan.prefix === null || key.startsWith(scan.prefix))
      )
      .sort((a, b) => compareKeys(a.key, b.key) * (scan.reverse ? -1 : 1))
      .map((entry) => scan.keysOnly ? { ...entry, value: new Uint8Array(0) } : entry)
    assert.deepStrictEqual([...overlaid(above, scan, overlaid(below, scan, state.scan(scan)))], expected)
  }, { arbitrary: { runs: 500, size: 20 } })

  it("weighs a value once for every change of its key, since each has an event that holds it", () => {
    const overlay = new Overlay()
    const weights = [1000, 1000, null, 5000].map((size) => {
      const before = overlay.bytes
      overlay.add(event("key", size === null ? null : row("key", new Uint8Array(size))))
      return overlay.bytes - before
    })
    const change = weights[2]!
    assert.isBelow(change, 1000)
    assert.deepStrictEqual(weights, [1000 + change, 1000 + change, change, 5000 + change])
  })
})
