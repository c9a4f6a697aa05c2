import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Thresholds } from "../../src/state/Thresholds.ts"

const small = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 50 }))
const Step = Schema.TaggedUnion({ Add: { at: small }, Reach: { at: small }, Prune: { odd: Schema.Boolean } })

describe("what waits for a number", () => {
  it.prop("is handed over once, when the number is reached, the least first", [Schema.Array(Step)], ([steps]) => {
    const thresholds = new Thresholds<{ readonly at: number; readonly id: number }>()
    let model: Array<{ readonly at: number; readonly id: number }> = []
    let ids = 0
    for (const step of steps) {
      switch (step._tag) {
        case "Add": {
          const item = { at: step.at, id: ids++ }
          thresholds.add(step.at, item)
          model.push(item)
          break
        }
        case "Reach": {
          const taken: Array<{ readonly at: number; readonly id: number }> = []
          thresholds.reach(step.at, (item) => taken.push(item))
          const due = model.filter((item) => item.at <= step.at).sort((a, b) => a.at - b.at || a.id - b.id)
          assert.deepStrictEqual(taken, due)
          model = model.filter((item) => item.at > step.at)
          break
        }
        case "Prune": {
          const isOver = (item: { readonly id: number }) => item.id % 2 === (step.odd ? 1 : 0)
          thresholds.prune(isOver)
          model = model.filter((item) => !isOver(item))
        }
      }
      assert.strictEqual(thresholds.isEmpty, model.length === 0)
    }
  }, { arbitrary: { runs: 1000, size: 80 } })
})
