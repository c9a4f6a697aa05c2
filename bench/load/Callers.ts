/** A closed loop of callers inside a process that carries a node, or a client of one. */
import { Effect, Exit } from "effect"
import { encodeIntoCompressedBase64 } from "hdr-histogram-js"
import { commonPrefix, type Level } from "../Contender.ts"
import { histogram, record } from "./Percentiles.ts"

/** The two calls that are measured; whatever they answer is of no interest. */
export interface Store {
  readonly set: (key: string, value: Uint8Array) => Effect.Effect<unknown, unknown>
  readonly get: (key: string, consistency: Level["consistency"]) => Effect.Effect<unknown, unknown>
}

/** What one process did; `latencies` is a histogram in the compressed form of HdrHistogram. */
export interface Called {
  readonly operations: number
  readonly errors: number
  readonly seconds: number
  readonly latencies: string
}

export const keyOf = (i: number, prefix = commonPrefix): string => `${prefix}${String(i).padStart(8, "0")}`

export const call = Effect.fnUntraced(function*(store: Store, level: Level, ms: number) {
  const value = new Uint8Array(level.valueBytes).fill(120)
  const keys = Array.from({ length: level.keys }, (_, i) => keyOf(i, level.prefix))
  const micros = histogram()
  const began = performance.now()
  const ends = began + ms
  let operations = 0
  let errors = 0
  const caller = Effect.gen(function*() {
    for (let asked = performance.now(); asked < ends;) {
      const key = keys[Math.floor(Math.random() * level.keys)]!
      const reads = level.reads > 0 && Math.random() < level.reads
      const exit = yield* Effect.exit(reads ? store.get(key, level.consistency) : store.set(key, value))
      const answered = performance.now()
      record(micros, answered - asked)
      asked = answered
      if (Exit.isSuccess(exit)) operations++
      else errors++
    }
  })
  yield* Effect.forEach(Array.from({ length: level.clients }), () => caller, {
    concurrency: "unbounded",
    discard: true
  })
  const seconds = (performance.now() - began) / 1000
  return { operations, errors, seconds, latencies: encodeIntoCompressedBase64(micros) } satisfies Called
})

/** Writes every key once, the first `from` excepted. */
export const fill = (store: Store, keys: number, valueBytes: number, from: number): Effect.Effect<void, unknown> => {
  const value = new Uint8Array(valueBytes).fill(120)
  return Effect.forEach(
    Array.from({ length: Math.max(0, keys - from) }, (_, i) => from + i),
    (i) => store.set(keyOf(i), value),
    {
      concurrency: 256,
      discard: true
    }
  )
}
