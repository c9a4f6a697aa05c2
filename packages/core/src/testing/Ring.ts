/** A partition in which everybody reaches a majority, and no two the same one. */
import { majority } from "./GlobalView.ts"

/**
 * Which links fail for that: of a ring of these nodes each reaches only those next to it, so many that they are a
 * majority with it. None fails where everybody is next to everybody.
 */
export const cutsOfRing = <A>(ring: ReadonlyArray<A>): ReadonlyArray<readonly [A, A]> => {
  const reach = Math.ceil((majority(ring) - 1) / 2)
  return ring.flatMap((a, i) =>
    ring.slice(i + 1).flatMap((b, j) => {
      const distance = Math.min(j + 1, ring.length - (j + 1))
      return distance > reach ? [[a, b] as const] : []
    })
  )
}
