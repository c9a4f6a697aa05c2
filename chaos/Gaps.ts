/** How long no write is acknowledged, whoever made it. */
import type { Call } from "./Protocol.ts"

export const isWrite = ({ input }: Call): boolean => input.op !== "get"

/**
 * The times in milliseconds between one acknowledgement and the next within a window of monotonic microseconds, its
 * ends included: at least one.
 */
export const gapsBetweenWrites = (calls: ReadonlyArray<Call>, from: number, to: number): ReadonlyArray<number> => {
  const times = calls.filter((call) => isWrite(call) && call.outcome._tag === "Answered")
    .map(({ returned }) => returned).filter((at) => at >= from && at <= to).sort((a, b) => a - b)
  return [...times, to].map((at, i) => (at - (times[i - 1] ?? from)) / 1000)
}
