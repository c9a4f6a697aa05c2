import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import type { SnapshotHeader, SnapshotId } from "../../src/domain/Snapshot.ts"
import * as MemoryStateStore from "../../src/MemoryStateStore.ts"
import * as Snapshots from "../../src/node/Snapshots.ts"
import type { NodeMessage } from "../../src/state/NodeMessage.ts"
import { SnapshotUnwritten, StateStore, type StoredSnapshot } from "../../src/StateStore.ts"
import { index, term } from "../rules/Logs.ts"
import { node } from "../rules/Voters.ts"

const idAt = (at: number): SnapshotId => ({ last: { term: term(1), index: index(at) }, bytes: 10, checksum: 0 })

describe("the snapshot that is sent", () => {
  it.effect("is not given up for a read of the one before it that fails", () =>
    Effect.gen(function*() {
      const fails = yield* Deferred.make<void>()
      const failing = Effect.andThen(
        Deferred.await(fails),
        Effect.fail(new SnapshotUnwritten({ message: "its file is closed" }))
      )
      const built: Array<StoredSnapshot> = [failing, Effect.succeed(new Uint8Array(10))].map((read, i) => ({
        id: idAt(i + 1),
        header: {} as SnapshotHeader,
        read: () => read
      }))
      const store = MemoryStateStore.make(new MemoryStateStore.MemoryState())
      const news: Array<NodeMessage["_tag"]> = []
      const heard = Effect.fnUntraced(function*(count: number) {
        while (news.length < count) yield* Effect.yieldNow
      })
      const { desk, loops } = yield* Effect.provideService(
        Snapshots.make({
          offer: (message) => void news.push(message._tag),
          clusterId: () => null,
          bytesPerSecond: Number.POSITIVE_INFINITY
        }),
        StateStore,
        StateStore.of({ ...store, snapshot: () => Effect.sync(() => built.shift()!) })
      )
      for (const loop of loops) yield* Effect.forkScoped(loop)
      desk.build()
      yield* heard(1)
      desk.read(node(2), idAt(1), 0, 10)
      yield* Effect.yieldNow
      desk.build()
      yield* heard(2)
      yield* Deferred.succeed(fails, undefined)
      for (let i = 0; i < 10; i++) yield* Effect.yieldNow
      assert.deepStrictEqual(desk.current(), idAt(2))
      desk.read(node(2), idAt(2), 0, 10)
      yield* heard(3)
      assert.deepStrictEqual(news, ["SnapshotBuilt", "SnapshotBuilt", "SnapshotRead"])
    }))
})
