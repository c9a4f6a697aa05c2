/** Waiting for something that is about to be so. */
import { setTimeout as sleep } from "node:timers/promises"

const limitMs = 30_000

/** Asks again and again until there is an answer; a failure to ask is no answer yet. */
export const until = async <A>(what: string, ask: () => Promise<A | undefined>): Promise<A> => {
  const deadline = performance.now() + limitMs
  let last: unknown
  while (performance.now() < deadline) {
    try {
      const answer = await ask()
      if (answer !== undefined) return answer
    } catch (error) {
      last = error
    }
    await sleep(50)
  }
  throw new Error(`waited ${limitMs / 1000} s in vain: ${what}`, { cause: last })
}
