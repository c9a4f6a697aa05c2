/** The checker's verdicts on histories whose verdict is known, and against a search that tries every order. */
import { assert, describe, it } from "@effect/vitest"
import { type EntryInput, entryModel, type EntryOutput } from "../../src/testing/EntryModel.ts"
import { checkLinearizable, type Model, type Operation } from "../../src/testing/Linearizability.ts"
import { makePrng } from "../../src/testing/Prng.ts"

type Op = Operation<EntryInput, EntryOutput>

const read = (called: number, returned: number, value: string | null, modRevision = 0): Op => ({
  called,
  returned,
  input: { op: "get", key: "k" },
  output: { _tag: "Read", revision: modRevision, entry: value === null ? null : { value, modRevision } }
})

const set = (called: number, returned: number, value: string, revision: number, created = false): Op => ({
  called,
  returned,
  input: { op: "set", key: "k", value, ifRevision: null },
  output: Number.isFinite(returned) ? { _tag: "Set", revision, created, previous: undefined } : undefined
})

const verdictOf = (history: ReadonlyArray<Op>) => checkLinearizable(entryModel, history)._tag

describe("checker", () => {
  it("accepts the empty history and a sequential one", () => {
    assert.strictEqual(verdictOf([]), "Linearizable")
    assert.strictEqual(verdictOf([read(0, 1, null), set(2, 3, "a", 1, true), read(4, 5, "a", 1)]), "Linearizable")
  })

  it("rejects a read of a value that was overwritten before the read began", () => {
    const history = [set(0, 1, "a", 1, true), set(2, 3, "b", 2), read(4, 5, "a", 1)]
    assert.strictEqual(verdictOf(history), "Illegal")
  })

  it("rejects a read that misses an acknowledged write", () => {
    assert.strictEqual(verdictOf([set(0, 1, "a", 1, true), read(2, 3, null)]), "Illegal")
  })

  it("rejects a value that nobody wrote, and a right value under a wrong revision", () => {
    assert.strictEqual(verdictOf([read(0, 1, "ghost", 1)]), "Illegal")
    assert.strictEqual(verdictOf([set(0, 1, "a", 1, true), read(2, 3, "a", 2)]), "Illegal")
  })

  it("lets overlapping operations take effect in either order, but all readers see one order", () => {
    const writes = [set(0, 10, "a", 1, true), set(0, 10, "b", 2)]
    assert.strictEqual(verdictOf([...writes, read(11, 12, "b", 2)]), "Linearizable")
    assert.strictEqual(verdictOf([...writes, read(2, 3, "a", 1), read(4, 5, "b", 2)]), "Linearizable")
    assert.strictEqual(verdictOf([...writes, read(2, 3, "b", 2), read(4, 5, "a", 1)]), "Illegal")
  })

  it("lets a write without an answer take effect late, or never, but not be undone", () => {
    const lost = set(1, Infinity, "x", 0)
    const first = set(0, 0.5, "a", 1, true)
    assert.strictEqual(verdictOf([first, lost, read(5, 6, "a", 1)]), "Linearizable")
    assert.strictEqual(verdictOf([first, lost, read(5, 6, "a", 1), read(7, 8, "x", 2)]), "Linearizable")
    assert.strictEqual(verdictOf([first, lost, read(5, 6, "x", 2), read(7, 8, "a", 1)]), "Illegal")
    assert.strictEqual(verdictOf([first, lost, read(5, 6, "x", 2), read(7, 8, "x", 3)]), "Illegal")
  })

  it("lets at most one compare-and-set win on one revision", () => {
    const cas = (value: string, ifRevision: number, revision: number): Op => ({
      called: 1,
      returned: 9,
      input: { op: "set", key: "k", value, ifRevision },
      output: { _tag: "Set", revision, created: false, previous: undefined }
    })
    const first = set(0, 0.5, "a", 1, true)
    assert.strictEqual(verdictOf([first, cas("b", 1, 2)]), "Linearizable")
    assert.strictEqual(verdictOf([first, cas("b", 1, 2), cas("c", 1, 3)]), "Illegal")
    const failed: Op = {
      called: 1,
      returned: 9,
      input: { op: "set", key: "k", value: "c", ifRevision: 1 },
      output: { _tag: "CompareFailed", revision: 1, current: { value: "a", modRevision: 1 } }
    }
    assert.strictEqual(verdictOf([first, failed]), "Illegal", "a guard that holds cannot fail")
  })

  it("checks each key on its own", () => {
    const other = { ...read(2, 3, null), input: { op: "get", key: "other" } } as Op
    assert.strictEqual(verdictOf([set(0, 1, "a", 1, true), other]), "Linearizable")
  })

  it("gives up at its limit, and does not call that a yes", () => {
    const writes = Array.from({ length: 12 }, (_, i) => ({
      called: 0,
      returned: 100,
      input: { op: "write", value: i + 1 } as const,
      output: 0
    }))
    const impossible = { called: 101, returned: 102, input: { op: "read" } as const, output: 99 }
    const verdict = checkLinearizable(register, [...writes, impossible], { maxSteps: 1000 })
    assert.strictEqual(verdict._tag, "Unknown")
  })

  it("tries no orders among looks that show the same", () => {
    const write = (called: number, returned: number, value: number) => ({
      called,
      returned,
      input: { op: "write", value } as const,
      output: 0
    })
    const looks = Array.from({ length: 30 }, (_, i) => ({
      called: 2,
      returned: 100 + i,
      input: { op: "read" } as const,
      output: 1
    }))
    const impossible = { called: 201, returned: 202, input: { op: "read" } as const, output: 99 }
    const verdict = checkLinearizable(register, [write(0, 1, 1), ...looks, impossible], { maxSteps: 10_000 })
    assert.strictEqual(verdict._tag, "Illegal")
  })

  it("agrees with a search that tries every order, on random small histories", () => {
    const random = makePrng(5)
    const seen = { yes: 0, no: 0 }
    for (let round = 0; round < 3000; round++) {
      const history = randomRegisterHistory(random)
      const expected = bruteForce(register, register.initial, history)
      const verdict = checkLinearizable(register, history)._tag
      assert.strictEqual(verdict, expected ? "Linearizable" : "Illegal", JSON.stringify(history))
      seen[expected ? "yes" : "no"]++
    }
    assert.isAbove(seen.yes, 300)
    assert.isAbove(seen.no, 300)
  })
})

type RegisterInput = { readonly op: "read" } | { readonly op: "write"; readonly value: number }

const register: Model<number, RegisterInput, number> = {
  initial: 0,
  step: (state, input, output) =>
    input.op === "write" ? input.value : output === undefined || output === state ? state : undefined,
  stateKey: String,
  isLook: (input) => input.op === "read"
}

const randomRegisterHistory = (random: ReturnType<typeof makePrng>): ReadonlyArray<Operation<RegisterInput, number>> =>
  Array.from({ length: random.int(1, 6) }, () => {
    const called = random.int(0, 8)
    const returned = random.chance(0.15) ? Infinity : called + random.int(1, 5)
    const isRead = random.chance(0.6)
    const value = random.int(0, 2)
    return {
      called,
      returned,
      input: isRead ? { op: "read" as const } : { op: "write" as const, value },
      output: Number.isFinite(returned) ? value : undefined
    }
  })

/** Places operations in every order that real time allows; unanswered ones may stay out. */
const bruteForce = <S, I, O>(model: Model<S, I, O>, state: S, left: ReadonlyArray<Operation<I, O>>): boolean => {
  if (left.every((operation) => operation.returned === Infinity)) return true
  const firstReturn = Math.min(...left.map((operation) => operation.returned))
  return left.some((operation, i) => {
    if (operation.called > firstReturn) return false
    const after = model.step(state, operation.input, operation.output)
    return after !== undefined && bruteForce(model, after, left.filter((_, j) => j !== i))
  })
}
