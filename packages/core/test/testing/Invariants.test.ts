/** The list of what is checked, and of what is suffered, is kept in step with the code. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { GlobalView } from "../../src/testing/GlobalView.ts"
import { allInvariants } from "../../src/testing/invariants/index.ts"
import { faultClasses } from "../../src/testing/SimPlan.ts"
import { SimWorld } from "../../src/testing/SimWorld.ts"

const list = readFileSync(new URL("../../../../docs/INVARIANTS.md", import.meta.url), "utf8")

describe("docs/INVARIANTS.md", () => {
  it("lists every invariant that is checked at each step", () => {
    const view = new GlobalView(new SimWorld({ seed: 1 }))
    const ids = new Set(allInvariants.map((invariant) => invariant(view).id))
    assert.deepStrictEqual([...ids].filter((id) => !list.includes(`| ${id} |`) && !list.includes(`\`${id}\``)), [])
  })

  it("lists every class of faults", () => {
    assert.deepStrictEqual(faultClasses.filter((name) => !list.includes(`\`${name}\``)), [])
  })
})
