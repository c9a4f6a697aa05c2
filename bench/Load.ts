/** A closed loop of writers inside a process that carries a node. */
import type { DistKv } from "@distkv/core"
import { Effect, Exit } from "effect"
import { build, type Histogram } from "hdr-histogram-js"
import type { Latency, Level, LoadResult } from "./Contender.ts"

/** Microseconds up to a minute, three digits. */
const histogram = (): Histogram =>
  build({ lowestDiscernibleValue: 1, highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: 3 })

const latencyOf = (micros: Histogram): Latency => {
  const at = (percentile: number) => micros.getValueAtPercentile(percentile) / 1000
  return { p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: micros.maxValue / 1000 }
}

export const load = Effect.fnUntraced(function*(kv: DistKv["Service"], level: Level, ms: number) {
  const value = new Uint8Array(level.valueBytes).fill(120)
  const micros = histogram()
  const began = performance.now()
  const ends = began + ms
  let operations = 0
  let errors = 0
  const client = Effect.gen(function*() {
    while (performance.now() < ends) {
      const key = `key-${String(Math.floor(Math.random() * level.keys)).padStart(8, "0")}`
      const asked = performance.now()
      const exit = yield* Effect.exit(kv.set(key, value))
      micros.recordValue(Math.max(1, Math.round((performance.now() - asked) * 1000)))
      if (Exit.isSuccess(exit)) operations++
      else errors++
    }
  })
  yield* Effect.forEach(Array.from({ length: level.clients }), () => client, {
    concurrency: "unbounded",
    discard: true
  })
  const seconds = (performance.now() - began) / 1000
  return { operations, errors, seconds, latency: latencyOf(micros) } satisfies LoadResult
})
