import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import type { Entry, Key } from "../../src/domain/Entry.ts"
import { compareKeys } from "../../src/domain/Entry.ts"
import type { Revision } from "../../src/domain/Position.ts"
import { make, MemoryState } from "../../src/MemoryStateStore.ts"
import { Overlay } from "../../src/state/Overlay.ts"
import type { HistoryEvent, Scan } from "../../src/StateStore.ts"
import { checkpoint, previous, row } from "../../src/testing/laws/StateSamples.ts"

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

/** Revisions go on from one change to the next. */
class Changes {
  revision = 1

  event(key: string, value: Uint8Array | null): HistoryEvent {
    const revision = ++this.revision as Revision
    const entry = value === null ? null : row(key, value, { modRevision: revision, version: revision })
    return { revision, position: 0, key: key as Key, entry, previous: null, historyBytes: 10 * revision }
  }
}

const overlayOver = (state: MemoryState) => new Overlay(make(state))

/** An overlay over a store whose reads are counted. */
const counted = () => {
  const state = new MemoryState()
  const store = make(state)
  const reads = { count: 0 }
  const overlay = new Overlay({
    ...store,
    getUnsafe: (key) => (reads.count++, store.getUnsafe(key)),
    metadataUnsafe: (key) => (reads.count++, store.metadataUnsafe(key))
  })
  return { changes: new Changes(), state, overlay, reads }
}

/** Writes the frozen layer to the store, as a checkpoint does. */
const save = (overlay: Overlay, state: MemoryState, revision: number) => {
  state.checkpoint(checkpoint(revision, [], overlay.freeze()))
  overlay.thaw()
}

describe("an overlay", () => {
  it.prop("over layers over a store shows what one map would, with values or without", [
    Layer,
    Layer,
    Layer,
    Layer,
    Asked,
    Schema.Boolean,
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 8 }))
  ], ([stored, saved, frozen, active, asked, isThawed, reads]) => {
    const model = new Map<string, Entry>()
    const changes = new Changes()
    const state = new MemoryState()
    const overlay = overlayOver(state)
    const change = (layer: typeof Layer.Type, from: string) => {
      for (const { deleted, name } of layer) {
        const event = changes.event(name, deleted ? null : new TextEncoder().encode(`${from} ${name}`))
        if (event.entry === null) model.delete(name)
        else model.set(name, event.entry)
        overlay.add(event)
      }
      read(reads)
    }
    // Now and then one is remembered.
    const read = (times: number) => {
      for (let i = 0; i < times; i++) {
        for (const name of Name.literals) assert.deepStrictEqual(overlay.get(name as Key), model.get(name))
      }
    }
    change(stored, "stored")
    save(overlay, state, changes.revision)
    read(reads)
    change(saved, "saved")
    save(overlay, state, changes.revision)
    read(reads)
    change(frozen, "frozen")
    const checkpointed = overlay.freeze()
    const before = new Map(model)
    change(active, "active")
    const rows = new Map(checkpointed.rows)
    for (const [key, entry] of rows) assert.deepStrictEqual(entry, before.get(key) ?? null)
    assert.deepStrictEqual(new Set(rows.keys()), new Set(frozen.map(({ name }) => name as Key)))
    if (isThawed) {
      state.checkpoint(checkpoint(changes.revision, [], checkpointed))
      overlay.thaw()
    }
    for (const name of Name.literals) {
      const entry = model.get(name)
      assert.deepStrictEqual(overlay.get(name as Key), entry)
      const metadata = overlay.metadata(name as Key)
      assert.strictEqual(metadata?.modRevision, entry?.modRevision)
      assert.strictEqual(metadata?.version, entry?.version)
      assert.strictEqual(metadata?.key, entry?.key)
      assert.deepStrictEqual(overlay.get(name as Key), entry)
    }
    const scan: Scan = asked
    const expected = [...model.values()]
      .filter(({ key }) =>
        (scan.from === null || compareKeys(key, scan.from) >= 0) &&
        (scan.to === null || compareKeys(key, scan.to) < 0) &&
        (scan.prefix === null || key.startsWith(scan.prefix))
      )
      .sort((a, b) => compareKeys(a.key, b.key) * (scan.reverse ? -1 : 1))
      .map((entry) => scan.keysOnly ? { ...entry, value: new Uint8Array(0) } : entry)
    assert.deepStrictEqual([...overlay.scan(scan)], expected)
  }, { arbitrary: { runs: 500, size: 20 } })

  it("finds events in the store, in what is being saved and in what came after", () => {
    const changes = new Changes()
    const state = new MemoryState()
    const overlay = overlayOver(state)
    const events: Array<HistoryEvent> = []
    const change = (name: string, value: string | null) => {
      const event = {
        ...changes.event(name, value === null ? null : new TextEncoder().encode(value)),
        previous: previous(events.length + 1, { leaseId: value === null ? 7 as Revision : null })
      }
      // A revision without an event: the next one answers for it.
      changes.revision++
      events.push(event)
      overlay.add(event)
    }
    for (let i = 0; i < 300; i++) change(`saved ${i}`, "1")
    save(overlay, state, changes.revision)
    for (let i = 0; i < 300; i++) change(`frozen ${i}`, i % 2 === 0 ? null : "2")
    overlay.freeze()
    for (let i = 0; i < 300; i++) change(`active ${i}`, "3")
    for (let revision = 1; revision <= changes.revision; revision++) {
      const expected = events.find((event) => event.revision >= revision)
      assert.deepStrictEqual(overlay.eventAt(revision as Revision), expected)
    }
  })

  it("remembers keys up to a bound, and forgets none that the store does not have", () => {
    const { changes, overlay, reads, state } = counted()
    overlay.add(changes.event("saved", new Uint8Array(1)))
    save(overlay, state, changes.revision)
    overlay.add(changes.event("dirty", new Uint8Array(2)))
    const look = (key: string) => overlay.metadata(key as Key)?.modRevision
    assert.strictEqual(look("saved"), 2)
    assert.strictEqual(reads.count, 0)
    for (let i = 0; i < 40_000; i++) assert.isUndefined(look(`absent ${i}`))
    assert.strictEqual(reads.count, 40_000)
    assert.strictEqual(look("saved"), 2)
    assert.strictEqual(reads.count, 40_001)
    assert.strictEqual(look("dirty"), 3)
    assert.strictEqual(reads.count, 40_001)
  })

  it("remembers what is read again and again, until it changes", () => {
    const { changes, overlay, reads, state } = counted()
    const read = (key: string, times: number) => {
      reads.count = 0
      for (let i = 0; i < times; i++) overlay.get(key as Key)
      return reads.count
    }
    overlay.add(changes.event("x", new Uint8Array(1)))
    assert.strictEqual(read("x", 10), 0)
    save(overlay, state, changes.revision)
    assert.strictEqual(read("x", 100), 4)
    assert.strictEqual(read("absent", 100), 4)
    overlay.add(changes.event("x", new Uint8Array(2)))
    save(overlay, state, changes.revision)
    assert.strictEqual(read("x", 100), 4)
    assert.strictEqual(overlay.get("x" as Key)?.value.length, 2)
    overlay.add(changes.event("x", null))
    save(overlay, state, changes.revision)
    assert.isUndefined(overlay.get("x" as Key))
    overlay.clear()
    assert.strictEqual(read("x", 100), 4)
  })

  it("remembers entries up to so many bytes, and none that is large beside that", () => {
    const { changes, overlay, reads, state } = counted()
    const readAll = (keys: ReadonlyArray<string>, times: number) => {
      reads.count = 0
      for (let i = 0; i < times; i++) for (const key of keys) overlay.get(key as Key)
      return reads.count
    }
    const few = Array.from({ length: 60 }, (_, i) => `few ${i}`)
    const many = Array.from({ length: 200 }, (_, i) => `many ${i}`)
    for (const key of [...few, ...many]) overlay.add(changes.event(key, new Uint8Array(200 * 1024)))
    overlay.add(changes.event("large", new Uint8Array(300 * 1024)))
    save(overlay, state, changes.revision)
    assert.strictEqual(readAll(["large"], 100), 100)
    readAll(few, 60)
    assert.strictEqual(readAll(few, 20), 0)
    assert.isAbove(readAll(many, 100), many.length * 50)
    readAll(few, 400)
    assert.strictEqual(readAll(few, 20), 0)
  })

  it("counts only what it remembers", () => {
    const { changes, overlay, reads, state } = counted()
    const large = new Uint8Array(200 * 1024)
    const readsOf = (key: string) => {
      reads.count = 0
      for (let i = 0; i < 8; i++) overlay.get(key as Key)
      return reads.count
    }
    const put = (key: string) => {
      overlay.add(changes.event(key, large))
      save(overlay, state, changes.revision)
    }
    put("stays")
    readsOf("stays")
    for (let i = 0; i < 100; i++) {
      put("changes")
      assert.isAbove(readsOf("changes"), 0)
    }
    assert.strictEqual(readsOf("stays"), 0, "what has changed weighs nothing")
    for (let i = 0; i < 60; i++) {
      put(`before ${i}`)
      readsOf(`before ${i}`)
    }
    overlay.clear()
    readsOf("stays")
    for (let i = 0; i < 60; i++) readsOf(`before ${i}`)
    assert.strictEqual(readsOf("stays"), 0, "nor does what is no more")
  })

  it("remembers more rarely where the keys in use are too many, and a value without what lies around it", () => {
    const { changes, overlay, reads, state } = counted()
    const keys = Array.from({ length: 200_000 }, (_, i) => `key ${i}` as Key)
    const around = new Uint8Array(200_000)
    for (const key of keys) overlay.add(changes.event(key, around.subarray(100, 300)))
    save(overlay, state, changes.revision)
    const readsUntilRemembered = (key: Key) => {
      for (let times = 1;; times++) {
        const before = reads.count
        overlay.get(key)
        if (reads.count === before) return times
      }
    }
    assert.isAtMost(readsUntilRemembered(keys[0]!), 5)
    for (const key of keys) overlay.get(key)
    assert.isAbove(readsUntilRemembered("absent" as Key), 5)
    const [first] = keys
    readsUntilRemembered(first!)
    assert.deepStrictEqual(overlay.get(first!), state.get(first!))
    assert.strictEqual(overlay.get(first!)?.value.buffer.byteLength, 200)
  })

  it("forgets the key looked at last like any other", () => {
    const changes = new Changes()
    const state = new MemoryState()
    const overlay = overlayOver(state)
    overlay.add(changes.event("x", new Uint8Array(1)))
    save(overlay, state, changes.revision)
    for (let i = 0; i < 32_767; i++) overlay.metadata(`absent ${i}` as Key)
    assert.strictEqual(overlay.metadata("x" as Key)?.modRevision, 2)
    // Not looked at before it is changed, as by the delete of a range: it takes the place of what is remembered.
    overlay.add(changes.event("y", new Uint8Array(2)))
    overlay.add(changes.event("x", new Uint8Array(3)))
    assert.strictEqual(overlay.get("x" as Key)?.modRevision, 4)
    assert.deepStrictEqual(Array.from(overlay.freeze().rows, ([key]) => key), ["y", "x"])
  })

  it("weighs a value once for every change of its key, since each has an event that holds it", () => {
    const changes = new Changes()
    const overlay = overlayOver(new MemoryState())
    const weights = [1000, 1000, null, 5000].map((size) => {
      const before = overlay.bytes
      overlay.add(changes.event("key", size === null ? null : new Uint8Array(size)))
      return overlay.bytes - before
    })
    const change = weights[2]!
    assert.isBelow(change, 1000)
    assert.deepStrictEqual(weights, [1000 + change, 1000 + change, change, 5000 + change])
  })
})
