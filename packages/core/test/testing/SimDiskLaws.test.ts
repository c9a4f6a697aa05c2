/** The laws of the stores, on the disks of the simulation. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, type Effect as AnyEffect, Exit } from "effect"
import type { NodeId } from "../../src/domain/Identity.ts"
import { type LogStoreHarness, logStoreLaws } from "../../src/testing/laws/LogStoreLaws.ts"
import { meta } from "../../src/testing/laws/StateSamples.ts"
import { type StateStoreHarness, stateStoreLaws } from "../../src/testing/laws/StateStoreLaws.ts"
import { SimDisk } from "../../src/testing/SimDisk.ts"
import { SimWorld } from "../../src/testing/SimWorld.ts"

/** Why the check failed; null when it held. */
const flawOf = (world: SimWorld, check: AnyEffect.Effect<void, unknown>): string | null => {
  const exit = world.runEffect(check, 600_000)
  if (exit === undefined) return "it did not end"
  return Exit.isFailure(exit) ? Cause.pretty(exit.cause) : null
}

describe("the simulated log", () => {
  for (const { check, name } of logStoreLaws) {
    it(`holds that ${name}`, () => {
      const world = new SimWorld({ seed: 1 })
      const disk = new SimDisk(world, "n1" as NodeId)
      const harness: LogStoreHarness = {
        open: Effect.sync(() => disk.attach(world.host("n1")).log),
        damage: (index) => Effect.sync(() => disk.flipBit(index, 400)),
        cover: (applied) => Effect.sync(() => (disk.state.meta = meta(0, { applied })))
      }
      assert.isNull(flawOf(world, check(harness)))
    })
  }
})

describe("the simulated state", () => {
  for (const { check, name } of stateStoreLaws) {
    it(`holds that ${name}`, () => {
      const world = new SimWorld({ seed: 1 })
      const disk = new SimDisk(world, "n1" as NodeId)
      const harness: StateStoreHarness = {
        open: Effect.sync(() => disk.attach(world.host("n1")).state),
        damage: (key) => Effect.sync(() => disk.state.flipRow(key))
      }
      assert.isNull(flawOf(world, check(harness)))
    })
  }
})
