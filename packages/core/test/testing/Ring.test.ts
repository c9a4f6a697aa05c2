/** The partition in which everybody reaches a majority. */
import { assert, describe, it } from "@effect/vitest"
import { cutsOfRing } from "../../src/testing/Ring.ts"

describe("a ring", () => {
  for (const nodes of [4, 5, 6, 7]) {
    it(`of ${nodes} lets each reach a majority, and no two the same one`, () => {
      const ids = Array.from({ length: nodes }, (_, i) => i)
      const cuts = cutsOfRing(ids)
      const reached = (id: number) =>
        ids.filter((other) => !cuts.some((cut) => cut.includes(id) && cut.includes(other) && other !== id))
      for (const id of ids) assert.isAbove(reached(id).length, nodes / 2)
      assert.isAbove(cuts.length, 0)
      assert.lengthOf(new Set(ids.map((id) => reached(id).join())), nodes)
    })
  }

  it("of three is whole", () => assert.lengthOf(cutsOfRing(["a", "b", "c"]), 0))
})
