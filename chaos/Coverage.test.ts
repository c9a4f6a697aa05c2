/** A run that was long enough says which of its faults were never made, took no effect, or cannot be made at all. */
import { assert, describe, it } from "vitest"
import { faultsMade, leftOut, uncovered } from "./Coverage.ts"
import { type Fault, type Site, Tally } from "./Fault.ts"

const fault = (name: string, effect?: string, weight = 1): Fault => ({
  name,
  weight: () => weight,
  run: () => Promise.resolve(),
  ...(effect === undefined ? {} : { effect })
})

/** A place where this was counted; the rules look at nothing else of it. */
const siteWith = (counts: Readonly<Record<string, number>>): Site => {
  const tally = new Tally()
  for (const [what, times] of Object.entries(counts)) tally.note(what, times)
  const site: Partial<Site> = { tally }
  return site as Site
}

const cut = fault("a cut")
const slow = fault("slow writes", "writes that were held up")

describe("the coverage of a run", () => {
  it("is whole where each fault was made and took effect", () => {
    const site = siteWith({ "a cut": 6, "slow writes": 6, "writes that were held up": 1 })
    assert.deepStrictEqual(uncovered(site, [cut, slow]), [])
    assert.strictEqual(faultsMade(site, [cut, slow]), 12)
  })

  it("lacks what took no effect, once it was drawn often enough", () => {
    assert.deepStrictEqual(uncovered(siteWith({ "a cut": 1, "slow writes": 2 }), [cut, slow]), [])
    assert.match(uncovered(siteWith({ "a cut": 1, "slow writes": 3 }), [cut, slow]).join(), /slow writes.*no effect/)
  })

  it("lacks what was never drawn, once there were many faults", () => {
    assert.deepStrictEqual(uncovered(siteWith({ "a cut": 11 }), [cut, slow]), [])
    assert.match(uncovered(siteWith({ "a cut": 12 }), [cut, slow]).join(), /there was no "slow writes"/)
  })

  it("asks for nothing that cannot be made, and tells of it", () => {
    const impossible = { ...fault("a full disk", undefined, 0), needs: "it needs mounts" }
    const site = siteWith({ "a cut": 100 })
    assert.deepStrictEqual(uncovered(site, [cut, impossible]), [])
    assert.deepStrictEqual(leftOut(site, [cut, impossible]), ["a full disk: it needs mounts"])
  })
})
