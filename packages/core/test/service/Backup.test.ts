import { assert, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { SnapshotReader } from "../../src/domain/SnapshotReader.ts"
import { DistKv, DistKvLayer, type SnapshotRow } from "../../src/index.ts"

it.live("a snapshot has every write that was acknowledged before it, and names its cluster", () =>
  Effect.gen(function*() {
    const kv = yield* DistKv
    for (let i = 0; i < 30; i++) yield* kv.set(`k${i}`, "x".repeat(i * 1000))
    yield* kv.delete("k3")
    const rows: Array<SnapshotRow> = []
    const reader = new SnapshotReader({ header: () => {}, row: (row) => rows.push(row) })
    yield* Stream.runForEach(kv.snapshot(), (bytes) => Effect.sync(() => reader.push(bytes)))
    const { header } = reader.end()
    const { clusterId } = yield* kv.status
    assert.strictEqual(header.clusterId, clusterId)
    assert.strictEqual(header.revision, 31)
    assert.strictEqual(header.membership.members.length, 1)
    assert.strictEqual(rows.filter((row) => row._tag === "Entry").length, 29)
    assert.strictEqual(rows.filter((row) => row._tag === "Event").length, 31)
    const refused = yield* Effect.flip(Stream.runDrain(kv.snapshot({ timeout: -1 })))
    assert.strictEqual(refused._tag, "InvalidRequest")
  }).pipe(Effect.provide(DistKvLayer.memory)))
