/** Whether a run did what it was asked for: a fault that takes no effect tests nothing, however often it is drawn. */
import type { Fault, Site } from "./Fault.ts"

/** So many faults for each kind of them, and every kind must have been drawn: half of them are drawn among the new. */
const perKind = 6
/** So often drawn, a fault must have been seen to take effect. */
const oftenEnough = 3

/** The faults that cannot be made here. */
export const leftOut = (site: Site, among: ReadonlyArray<Fault>): ReadonlyArray<string> =>
  among.filter((fault) => fault.weight(site) === 0).map(({ name, needs }) =>
    `${name}: ${needs ?? "it cannot be made on this machine"}`
  )

/** How many faults of these were made. */
export const faultsMade = ({ tally }: Site, among: ReadonlyArray<Fault>): number =>
  among.reduce((sum, { name }) => sum + tally.of(name), 0)

/** What a run of this length should have shown and did not; empty where it was too short. */
export const uncovered = (site: Site, among: ReadonlyArray<Fault>): ReadonlyArray<string> => {
  const { tally } = site
  const possible = among.filter((fault) => fault.weight(site) > 0)
  const total = faultsMade(site, possible)
  return possible.flatMap(({ effect, name }) => {
    const drawn = tally.of(name)
    if (drawn === 0) return total < perKind * possible.length ? [] : [`among ${total} faults there was no "${name}"`]
    if (effect === undefined || drawn < oftenEnough || tally.of(effect) > 0) return []
    return [`"${name}" took no effect in ${drawn} times: no ${effect}`]
  })
}
