import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { cp, readFile, truncate, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { runChild } from "./child.ts"
import { flipRow, indexKey, overwrite } from "./damage.ts"
import { aCheckpoint, hardState, noOps, openDirectory, someIdentity, temporaryDirectory } from "./directories.ts"

/** A node with 1,000 entries of ten terms, and checkpoints of 300 keys up to index 901. */
const used = Effect.fnUntraced(function*() {
  const directory = yield* temporaryDirectory
  yield* Effect.scoped(
    Effect.gen(function*() {
      const { log, state } = yield* openDirectory({ directory })
      yield* log.saveIdentity(someIdentity)
      for (let from = 1; from <= 1000; from += 100) {
        yield* log.write({ hardState: hardState(from, "n1"), entries: noOps(from, from, from + 99) })
      }
      for (const index of [101, 501, 901]) yield* state.checkpoint(aCheckpoint(index, index, 300))
    })
  )
  return directory
})

/** What a process of its own finds in the directories: damage can end a whole process with a signal. */
const inspect = Effect.fnUntraced(function*(directories: ReadonlyArray<string>) {
  const { code, signal, stderr, stdout } = yield* runChild("inspect.ts", directories)
  assert.strictEqual(signal, null, `ended by ${signal}: ${stdout}${stderr}`)
  assert.strictEqual(code, 0, stderr)
  const found: unknown = JSON.parse(stdout)
  assert.isArray(found)
  return found as ReadonlyArray<unknown>
})

/** One kind of damage, and the words with which it is to be refused. */
interface Damage {
  readonly file: string
  readonly damage: (path: string) => Effect.Effect<void>
  readonly words: RegExp
}

/** Inflicts each damage on a copy of one sound directory; all must be refused, cleanly and for the right reason. */
const expectRefused = Effect.fnUntraced(function*(damages: ReadonlyArray<Damage>) {
  const sound = yield* used()
  const copies: Array<string> = []
  for (const { damage, file } of damages) {
    const copy = yield* temporaryDirectory
    yield* Effect.promise(() => cp(sound, copy, { recursive: true }))
    yield* damage(join(copy, file))
    copies.push(copy)
  }
  const found = yield* inspect(copies)
  for (const [i, { words }] of damages.entries()) {
    assert.propertyVal(found[i], "error", "StorageFailed", `damage ${i}: ${JSON.stringify(found[i])}`)
    assert.match(JSON.stringify(found[i]), words)
  }
})

const rewrite = (change: (whole: Buffer) => Buffer) => (path: string) =>
  Effect.promise(async () => {
    await writeFile(path, change(await readFile(path)))
  })

describe("a damaged directory", () => {
  it.live("is told from a sound one, which is read whole", () =>
    Effect.gen(function*() {
      const [found] = yield* inspect([yield* used()])
      assert.deepStrictEqual(found, { last: 1000, entries: 1000, rows: Array.from({ length: 300 }, () => "901") })
    }))

  for (const file of ["log.mdb", "state.mdb"]) {
    it.live(`is refused when ${file} is garbage, zeros, a text, or hardly there`, () =>
      expectRefused(
        [
          (whole: Buffer) => Buffer.alloc(whole.length, 0xa5),
          (whole: Buffer) => Buffer.alloc(whole.length),
          (whole: Buffer) => Buffer.alloc(whole.length, "no database\n"),
          (whole: Buffer) => whole.subarray(0, 100)
        ].map((change) => ({ file, damage: rewrite(change), words: /is damaged: / }))
      ))

    // scenario: D10
    // fails-with: opens-what-was-cut-short
    it.live(`is refused when ${file} is cut short, by a page or to nothing`, () =>
      expectRefused(
        [(size: number) => size - 4096, (size: number) => Math.floor(size / 8192) * 4096, () => 8192, () => 0].map((
          cut
        ) => ({
          file,
          damage: (path: string) =>
            Effect.promise(async () => {
              await truncate(path, cut((await readFile(path)).length))
            }),
          words: /was cut short/
        }))
      ))

    // scenario: D10
    // fails-with: opens-what-has-no-meta-page
    it.live(`is refused when meta pages of ${file} are zeroed`, () =>
      expectRefused([[0], [1], [0, 1]].map((pages) => ({
        file,
        damage: (path: string) =>
          Effect.forEach(pages, (page) => overwrite(path, page * 4096, Buffer.alloc(4096)), { discard: true }),
        words: /meta page is not one of LMDB/
      }))))
  }

  // scenario: D06
  it.live("fails when a bit of a log record has flipped, and is no shorter log", () =>
    expectRefused([1, 500, 1000].map((index) => ({
      file: "log.mdb",
      damage: (path: string) => flipRow(path, "log", indexKey(index)),
      words: new RegExp(`log is damaged: the entry of index ${index}: the checksum is wrong`)
    }))))

  // scenario: D08
  // fails-with: rows-without-checksums
  it.live("fails when a bit of a row has flipped, and shows no other value", () =>
    expectRefused([
      {
        file: "state.mdb",
        damage: (path) => flipRow(path, "kv", Buffer.from("key150")),
        words: /row of key .*key150.* is damaged: its checksum is wrong/
      },
      ...([["log.mdb", "hard state"], ["log.mdb", "owner"], ["state.mdb", "state"]] as const).map(([file, row]) => ({
        file,
        damage: (path: string) => flipRow(path, "meta", Buffer.from(row)),
        words: new RegExp(`row .*${row}.* is damaged: its checksum is wrong`)
      }))
    ]))
})
