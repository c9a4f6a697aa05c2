import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as MemoryLogStore from "../../src/MemoryLogStore.ts"
import type { LogStoreHarness } from "../../src/testing/laws/LogStoreLaws.ts"
import { logStoreLaws } from "../../src/testing/laws/LogStoreLaws.ts"

const harness = (): LogStoreHarness => {
  const log = new MemoryLogStore.MemoryLog()
  return {
    open: Effect.sync(() => MemoryLogStore.make(log)),
    damage: (index) =>
      Effect.sync(() =>
        log.damage(index, (record) => record.map((byte, i) => i === record.length - 1 ? byte ^ 4 : byte))
      )
  }
}

describe("the log in memory", () => {
  for (const { check, name } of logStoreLaws) it.effect(name, () => check(harness()))
})
