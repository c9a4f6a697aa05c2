import type { LogIndex } from "@distkv/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { runUntil } from "./child.ts"
import { openDirectory, temporaryDirectory } from "./directories.ts"
import { numberedCheckpoint, numberedKeys } from "./numbered.ts"
import type { Model } from "./workload.ts"
import { after, emptyModel, nextStep } from "./workload.ts"

const cycles = 16

/** The highest number that was acknowledged, or `before` where none was. */
const acknowledged = (lines: ReadonlyArray<string>, what: string, before: number): number =>
  lines.reduce((highest, line) => {
    const [found, n] = line.split(" ")
    return found === what ? Math.max(highest, Number(n)) : highest
  }, before)

/** What the directory holds, read as a node reads it at its start. */
const found = (directory: string, kind: "lmdb" | "segments") =>
  Effect.scoped(
    Effect.gen(function*() {
      const { log, state } = yield* openDirectory({ directory, log: kind })
      const recovered = yield* log.recover
      const entries = yield* log.read(1 as LogIndex, recovered.last, Number.MAX_SAFE_INTEGER)
      const meta = yield* state.recover
      return {
        log: entries.map(({ index, term }) => ({ index, term })),
        hardState: recovered.hardState,
        checkpoint: meta?.revision ?? 0,
        rows: [...state.scanUnsafe({ from: null, to: null, prefix: null, reverse: false, keysOnly: false })]
          .map(({ value }) => Buffer.from(value).toString()),
        lastEvent: meta === null ? null : state.eventAtUnsafe(meta.revision)?.historyBytes
      }
    })
  )

const seen = ({ hardState, log }: Model) => ({ hardState, log: log.map(({ index, term }) => ({ index, term })) })

describe.each(["lmdb", "segments"] as const)("a node with its log in %s that is killed while it writes", (kind) => {
  it.live(`has lost nothing that it acknowledged and torn nothing, ${cycles} times`, () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      let model = emptyModel
      let checkpoint = 0
      for (let cycle = 0; cycle < cycles; cycle++) {
        const lines = yield* runUntil(
          "write.ts",
          [directory, String(model.step), String(checkpoint), kind],
          // Killed after another number of acknowledgements each time.
          (sofar) => sofar.length >= 1 + (cycle * 7) % 40
        )
        const acked = acknowledged(lines, "step", model.step)
        const ackedCheckpoint = acknowledged(lines, "checkpoint", checkpoint)
        while (model.step < acked) model = after(model, nextStep(model))

        const there = yield* found(directory, kind)
        const now = { hardState: there.hardState, log: there.log }
        const next = after(model, nextStep(model))
        // The step that was under way is there whole or not at all.
        if (JSON.stringify(now) === JSON.stringify(seen(next))) model = next
        else assert.deepStrictEqual(now, seen(model), `cycle ${cycle}, acknowledged up to step ${acked}`)

        assert.oneOf(there.checkpoint, [ackedCheckpoint, ackedCheckpoint + 1], `cycle ${cycle}`)
        checkpoint = there.checkpoint
        const expectedRows = checkpoint === 0 ? [] : Array.from({ length: numberedKeys }, () => `${checkpoint}`)
        assert.deepStrictEqual(there.rows, expectedRows)
        assert.strictEqual(
          there.lastEvent,
          checkpoint === 0 ? null : numberedCheckpoint(checkpoint).history.at(0)?.historyBytes
        )
      }
      assert.isAbove(model.step, cycles * 5, "too few steps to have proved anything")
      assert.isAbove(checkpoint, cycles, "too few checkpoints to have proved anything")
    }), 180_000)
})
