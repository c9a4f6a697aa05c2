import { assert, describe, it } from "@effect/vitest"
import { Remembering } from "../../src/state/Remembering.ts"

/** How many reads of the store it takes until one is to be remembered. */
const readsUntilTaken = (habit: Remembering): number => {
  for (let reads = 1;; reads++) if (habit.takes()) return reads
}

/** So many entries are remembered, each of which then answers so many reads; at the end there is no place for more. */
const fill = (habit: Remembering, entries: number, answers: number) => {
  for (let i = 0; i < entries; i++) {
    readsUntilTaken(habit)
    habit.remembered()
    for (let j = 0; j < answers; j++) habit.answered()
  }
  habit.forgets()
}

describe("what of the reads is remembered", () => {
  it("is one in a few", () => {
    const habit = new Remembering()
    for (let i = 0; i < 10; i++) assert.strictEqual(readsUntilTaken(habit), 4)
  })

  it("gets rarer while little of it is read again, and no rarer than one in 256", () => {
    const habit = new Remembering()
    const paces: Array<number> = []
    for (let i = 0; i < 5; i++) {
      fill(habit, 1024, 0)
      readsUntilTaken(habit)
      paces.push(readsUntilTaken(habit))
    }
    assert.deepStrictEqual(paces, [16, 64, 256, 256, 256])
  })

  it("does not get rarer for a few entries, or where each is read again", () => {
    const habit = new Remembering()
    fill(habit, 1023, 0)
    fill(habit, 2000, 1)
    assert.strictEqual(readsUntilTaken(habit), 4)
  })

  it("gets more again as soon as it helps, step by step", () => {
    const habit = new Remembering()
    for (let i = 0; i < 3; i++) fill(habit, 1024, 0)
    const paces: Array<number> = []
    for (let i = 0; i < 5; i++) {
      fill(habit, 1024, 5)
      readsUntilTaken(habit)
      paces.push(readsUntilTaken(habit))
    }
    assert.deepStrictEqual(paces, [64, 16, 4, 4, 4])
  })
})
