import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as MemoryStateStore from "../../src/MemoryStateStore.ts"
import type { StateStoreHarness } from "../../src/testing/laws/StateStoreLaws.ts"
import { stateStoreLaws } from "../../src/testing/laws/StateStoreLaws.ts"

/** Rows are held as they are and not as bytes, so there is nothing to damage. */
const harness = (): StateStoreHarness => {
  const state = new MemoryStateStore.MemoryState()
  return { open: Effect.sync(() => MemoryStateStore.make(state)), damage: null }
}

describe("the state in memory", () => {
  for (const { check, name } of stateStoreLaws) it.effect(name, () => check(harness()))
})
