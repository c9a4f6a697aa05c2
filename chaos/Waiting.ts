/** Waiting for something that is about to be so. */
import { setTimeout as sleep } from "node:timers/promises"

/** What did not happen in time, or happened and must not. */
export class Violation extends Error {}

/** Monotonic microseconds, the same in every process of the machine. */
export const nowMicros = (): number => Number(process.hrtime.bigint() / 1000n)

/** Asks again and again until there is an answer; a failure to ask is no answer yet. */
export const until = async <A>(
  what: string,
  limitMs: number,
  ask: () => Promise<A | undefined> | A | undefined,
  everyMs = 20
): Promise<A> => {
  const deadline = performance.now() + limitMs
  let last: unknown
  while (performance.now() < deadline) {
    try {
      const answer = await ask()
      if (answer !== undefined) return answer
    } catch (error) {
      last = error
    }
    await sleep(everyMs)
  }
  throw new Violation(`not within ${limitMs / 1000} s: ${what}`, { cause: last })
}
