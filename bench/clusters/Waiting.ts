/** Waiting for something that is about to be so. */
import { setTimeout as sleep } from "node:timers/promises"

/** As long as nothing lasts that is well. */
const usualLimitMs = 30_000

/** For what has to read all its data first. */
export const longLimitMs = 600_000

/** Asks again and again until there is an answer; a failure to ask is no answer yet. */
export const until = async <A>(
  what: string,
  ask: () => Promise<A | undefined>,
  { everyMs = 50, limitMs = usualLimitMs }: { readonly everyMs?: number; readonly limitMs?: number } = {}
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
  throw new Error(`waited ${limitMs / 1000} s in vain: ${what}`, { cause: last })
}
