/** Callers without types: whatever they hand over is refused by name, and nothing ends in a defect. */
import { assert, it } from "@effect/vitest"
import { Cause, Effect, Exit, Option } from "effect"
import { DistKv, DistKvLayer } from "../../src/index.ts"

const nonsense: ReadonlyArray<unknown> = [
  null,
  undefined,
  0,
  -1,
  Number.NaN,
  1e308,
  5n,
  true,
  "",
  "text",
  "\ud800",
  Symbol("s"),
  () => 1,
  [],
  [null],
  [[]],
  [["a"]],
  [["a", null]],
  [["a", "x", "more"]],
  {},
  { length: 1 },
  { timeout: null },
  { timeout: {} },
  { timeout: [] },
  { timeout: "soon" },
  { timeout: Symbol("t") },
  { timeout: Number.NaN },
  { timeout: -1n },
  { timeout: [1, "a"] },
  { consistency: 1 },
  { consistency: null },
  { minRevision: "1" },
  { minRevision: 1.5 },
  { ifRevision: -1 },
  { ifRevision: 2n },
  { previous: 1 },
  { prefix: 1 },
  { prefix: null },
  { prefix: ["a"] },
  { from: 1, to: {} },
  { all: "yes" },
  { limit: "10" },
  { limit: 1n },
  { reverse: "no" },
  { keysOnly: 0 },
  { after: null },
  { learner: "yes" },
  { id: 1, address: 2, publicKey: 3 },
  { id: "n2", address: "127.0.0.1:1", publicKey: "ssh-ed25519 AAAA", voter: true },
  { id: "n2", address: "127.0.0.1:1", publicKey: null, learner: null },
  new Date(Number.NaN),
  new Uint8Array(3)
]

type Loose = (...args: ReadonlyArray<unknown>) => Effect.Effect<unknown, { readonly _tag: string }>

// scenario: H15
it.live("no argument that a caller without types can give ends in a defect", () =>
  Effect.gen(function*() {
    const kv = yield* DistKv
    const calls: Record<string, Loose> = {
      get: kv.get as Loose,
      set: kv.set as Loose,
      setMany: kv.setMany as Loose,
      delete: kv.delete as Loose,
      deleteRange: kv.deleteRange as Loose,
      list: kv.list as Loose,
      join: kv.join as Loose,
      add: kv.members.add as Loose,
      transferLeadership: kv.transferLeadership as Loose
    }
    const quick = { timeout: 50 }
    for (const [name, call] of Object.entries(calls)) {
      for (const one of nonsense) {
        for (const args of [[one], [one, quick], ["a", one], ["a", "x", one], [one, one, one]]) {
          const exit = yield* Effect.exit(Effect.suspend(() => call(...args)))
          if (Exit.isSuccess(exit)) continue
          const error = Option.getOrNull(Cause.findErrorOption(exit.cause))
          const text = `${name}(${args.map((arg) => typeof arg === "symbol" ? "symbol" : show(arg)).join(", ")})`
          assert.isNotNull(error, `${text}: ${Cause.pretty(exit.cause)}`)
        }
      }
    }
    // What the calls themselves ask for is refused as such, and writes nothing.
    for (const one of [null, 0, "text", [null], [["a"]], [["a", null]], { length: 1 }]) {
      assert.strictEqual((yield* Effect.flip(calls["setMany"]!(one)))._tag, "InvalidRequest")
    }
    for (const one of [null, 0, "text", [], { previous: 1 }, { timeout: {} }]) {
      const refused = yield* Effect.flip(calls["set"]!("untouched", "x", one))
      assert.strictEqual(refused._tag, "InvalidRequest")
    }
    assert.strictEqual((yield* Effect.flip(kv.get("untouched")))._tag, "KeyNotFound")
  }).pipe(Effect.provide(DistKvLayer.memory)), 60_000)

const show = (value: unknown): string => {
  if (typeof value === "bigint") return `${value}n`
  if (typeof value !== "object" || value === null) return String(value)
  return `{${Object.entries(value).map(([key, one]) => `${key}: ${typeof one}`).join(", ")}}`
}
