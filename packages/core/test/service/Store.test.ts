import { assert, it } from "@effect/vitest"
import { Effect, Fiber, type Result } from "effect"
import { DistKv, DistKvLayer } from "../../src/index.ts"

/** One node in memory, made for each test, in real time: it leads within a few hundred milliseconds. */
const onOneNode = (
  name: string,
  body: (kv: DistKv["Service"]) => Effect.Effect<void, unknown>
) => it.live(name, () => DistKv.use(body).pipe(Effect.provide(DistKvLayer.memory)))

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

/** Numbers and fields without their brands, to compare them with literals. */
const same = (actual: unknown, expected: unknown) => assert.deepStrictEqual(actual, expected)

const tagOf = <A, E extends { readonly _tag: string }>(result: Result.Result<A, E>) =>
  result._tag === "Failure" ? result.failure._tag : "Success"

onOneNode("a set entry carries its revisions, and its version counts its changes", (kv) =>
  Effect.gen(function*() {
    same(yield* kv.set("a", "1"), { revision: 1, created: true })
    yield* kv.set("b", "x")
    same(yield* kv.set("a", "1"), { revision: 3, created: false })
    const entry = yield* kv.get("a")
    same(
      [text(entry.value), entry.createRevision, entry.modRevision, entry.version, entry.leaseId, entry.revision],
      ["1", 1, 3, 2, null, 3]
    )
  }))

onOneNode("a deleted and re-created entry begins again at version 1", (kv) =>
  Effect.gen(function*() {
    yield* kv.set("a", "1")
    same(yield* kv.delete("a"), { revision: 2, deleted: true })
    same(yield* kv.delete("a"), { revision: 2, deleted: false })
    yield* kv.set("a", "2")
    const entry = yield* kv.get("a")
    same([entry.createRevision, entry.version], [3, 1])
  }))

onOneNode("a guard that fails carries the current entry and uses no revision", (kv) =>
  Effect.gen(function*() {
    const absent = yield* Effect.flip(kv.set("a", "1", { ifRevision: 7 }))
    assert(absent._tag === "CompareFailed")
    same([absent.current, absent.revision], [null, 0])
    yield* kv.set("a", "1", { ifRevision: 0 })
    const taken = yield* Effect.flip(kv.set("a", "2", { ifRevision: 0 }))
    assert(taken._tag === "CompareFailed" && taken.current !== null)
    assert.strictEqual(taken.current.modRevision, 1)
    assert.strictEqual(text(taken.current.value), "1")
    assert.strictEqual(tagOf(yield* Effect.result(kv.delete("a", { ifRevision: 9 }))), "CompareFailed")
    same(yield* kv.delete("a", { ifRevision: 1 }), { revision: 2, deleted: true })
  }))

onOneNode("the previous entry comes back only where it is asked for", (kv) =>
  Effect.gen(function*() {
    assert.strictEqual((yield* kv.set("a", "1", { previous: true })).previous, null)
    const replaced = yield* kv.set("a", "2", { previous: true })
    assert(replaced.previous)
    assert.strictEqual(text(replaced.previous.value), "1")
    assert.notProperty(yield* kv.set("a", "3"), "previous")
  }))

onOneNode("what a caller does with a value later changes nothing stored", (kv) =>
  Effect.gen(function*() {
    const value = new Uint8Array([1, 2, 3])
    yield* kv.set("a", value)
    value[0] = 9
    const first = yield* kv.get("a")
    same([...first.value], [1, 2, 3])
    first.value[1] = 9
    same([...(yield* kv.get("a")).value], [1, 2, 3])
  }))

onOneNode("several keys are set at one revision, or none is", (kv) =>
  Effect.gen(function*() {
    same(yield* kv.setMany([["a", "1"], ["b", "2"]]), { revision: 1 })
    const { entries } = yield* kv.list()
    same(entries.map((entry) => [entry.key, entry.modRevision]), [["a", 1], ["b", 1]])
    assert.strictEqual(tagOf(yield* Effect.result(kv.setMany([["c", "1"], ["c", "2"]]))), "InvalidRequest")
    assert.strictEqual(tagOf(yield* Effect.result(kv.setMany([]))), "InvalidRequest")
    assert.strictEqual((yield* kv.list()).revision, 1)
  }))

onOneNode("pages follow each other in the order of UTF-8 bytes, in both directions", (kv) =>
  Effect.gen(function*() {
    // U+FF41 sorts before U+1F600 in UTF-8, and after it in UTF-16.
    const keys = ["a", "b", "c", "\uff41", "\u{1f600}"]
    for (const key of ["\u{1f600}", "c", "\uff41", "a", "b"]) yield* kv.set(key, key)
    const pages = (reverse: boolean) =>
      Effect.gen(function*() {
        const seen: Array<string> = []
        let after: string | undefined
        while (true) {
          const page = yield* kv.list({ limit: 2, reverse, after })
          seen.push(...page.entries.map((entry) => entry.key))
          if (!page.more) return seen
          after = page.entries.at(-1)!.key
        }
      })
    same(yield* pages(false), keys)
    same(yield* pages(true), keys.toReversed())
    const some = yield* kv.list({ from: "b", to: "\uff41", keysOnly: true })
    same(some.entries.map((entry) => [entry.key, entry.value.length]), [["b", 0], ["c", 0]])
  }))

onOneNode("a page ends before it weighs more than 4 MiB", (kv) =>
  Effect.gen(function*() {
    const value = new Uint8Array(1024 * 1024)
    for (const key of ["a", "b", "c", "d", "e"]) yield* kv.set(key, value)
    const page = yield* kv.list()
    same([page.entries.length, page.more], [3, true])
    assert.strictEqual((yield* kv.list({ keysOnly: true })).entries.length, 5)
  }))

onOneNode(
  "a range delete takes one revision, and refuses more than 10,000 entries without deleting any",
  (kv) =>
    Effect.gen(function*() {
      const keys = Array.from({ length: 10_001 }, (_, i) => `k${i}`)
      for (let i = 0; i < keys.length; i += 128) {
        yield* kv.setMany(keys.slice(i, i + 128).map((key) => [key, ""] as const))
      }
      const { revision } = yield* kv.list({ limit: 1 })
      assert.strictEqual(tagOf(yield* Effect.result(kv.deleteRange({ all: true }))), "InvalidRequest")
      assert.strictEqual((yield* kv.list({ limit: 1 })).revision, revision)
      same(yield* kv.deleteRange({ prefix: "k1" }), { revision: revision + 1, deleted: 1112 })
      same(yield* kv.deleteRange({ from: "k", to: "l" }), { revision: revision + 2, deleted: 8889 })
      same(yield* kv.deleteRange({ all: true }), { revision: revision + 2, deleted: 0 })
    })
)

onOneNode("everything outside the limits is refused before it enters the log", (kv) =>
  Effect.gen(function*() {
    const refused = [
      kv.set("", "x"),
      kv.set("\ud800", "x"),
      kv.set("k".repeat(1025), "x"),
      kv.set("\uff41".repeat(342), "x"),
      kv.set("a", new Uint8Array(1024 * 1024 + 1)),
      kv.set("a", "half a pair: \ud800"),
      kv.setMany([["a", "\udc00"]]),
      kv.set("a", "x", { ifRevision: -1 }),
      kv.set("a", "x", { ifRevision: 1.5 }),
      kv.set("a", "x", { timeout: "61 seconds" }),
      kv.set("a", "x", { timeout: 0 }),
      kv.delete("a", { ifRevision: 0 }),
      kv.get("a", { minRevision: -1 }),
      kv.list({ limit: 0 }),
      kv.list({ limit: 10_001 }),
      kv.list({ prefix: "a", from: "b" }),
      kv.deleteRange({}),
      kv.deleteRange({ prefix: "" }),
      kv.deleteRange({ prefix: "a", all: true })
    ]
    for (const [index, call] of refused.entries()) {
      assert.strictEqual(
        tagOf(yield* Effect.result<unknown, { readonly _tag: string }, never>(call)),
        "InvalidRequest",
        `call ${index}`
      )
    }
    yield* kv.set("k".repeat(1024), new Uint8Array(1024 * 1024))
    assert.strictEqual((yield* kv.status).revision, 1)
  }))

onOneNode("an option that is misspelled, or not there yet, is refused and not ignored", (kv) =>
  Effect.gen(function*() {
    const misspelled: object = { timeOut: "1 second" }
    const calls: Record<string, Effect.Effect<unknown, { readonly _tag: string }>> = {
      get: kv.get("a", misspelled),
      set: kv.set("a", "x", { ttl: "5 seconds" } as object),
      setMany: kv.setMany([["a", "x"]], { previous: true } as object),
      delete: kv.delete("a", { previous: true } as object),
      list: kv.list({ ...misspelled, prefix: "a" }),
      deleteRange: kv.deleteRange({ ...misspelled, prefix: "a" }),
      join: kv.join("127.0.0.1:1", { voter: true } as object),
      transferLeadership: kv.transferLeadership(undefined, { force: true } as object)
    }
    for (const [name, call] of Object.entries(calls)) {
      assert.strictEqual(tagOf(yield* Effect.result(call)), "InvalidRequest", name)
    }
    assert.strictEqual((yield* kv.status).revision, 0)
  }))

onOneNode("nobody is admitted with a text that cannot be a public key", (kv) =>
  Effect.gen(function*() {
    const member = { id: "n2", address: "127.0.0.1:1", publicKey: "ssh-ed25519 AAAA" }
    assert.strictEqual(tagOf(yield* Effect.result(kv.members.add(member))), "InvalidRequest")
    assert.lengthOf(yield* kv.members.list, 1)
  }))

onOneNode("a read waits for the revision it asks for, and no longer than its deadline", (kv) =>
  Effect.gen(function*() {
    yield* kv.set("a", "1")
    const early = yield* Effect.flip(kv.get("a", { consistency: "stale", minRevision: 2, timeout: "50 millis" }))
    assert.strictEqual(early._tag, "DeadlineExceeded")
    const waiting = yield* Effect.forkChild(kv.get("a", { consistency: "stale", minRevision: 2 }))
    yield* kv.set("a", "2")
    const entry = yield* Fiber.join(waiting)
    same([text(entry.value), entry.consistency], ["2", "stale"])
    assert.strictEqual((yield* kv.get("a", { consistency: "lease" })).consistency, "linearizable")
  }))

// fails-with: takes-calls-after-its-end
it.live("a call after release is Shutdown (H15)", () =>
  Effect.gen(function*() {
    const kv = yield* DistKv.pipe(Effect.provide(DistKvLayer.memory))
    assert.strictEqual(tagOf(yield* Effect.result(kv.set("a", "1"))), "Shutdown")
    assert.strictEqual(tagOf(yield* Effect.result(kv.get("a", { consistency: "stale" }))), "Shutdown")
    assert.strictEqual(tagOf(yield* Effect.result(kv.status)), "Shutdown")
    assert.strictEqual(tagOf(yield* Effect.result(kv.join("127.0.0.1:1"))), "Shutdown")
    yield* kv.stopped
  }))
