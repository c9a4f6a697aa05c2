/**
 * How long to leave somebody alone with whom something costly has failed again and again, such as a follower that finds
 * each snapshot it gets damaged (thesis §5.3 sends them; it does not say what to do with one that never arrives whole).
 *
 * Invariant: waits double from the first one on, and never exceed `waitsMost` of it: who has recovered is helped soon.
 */
const waitsMost = 64

/** How long to wait after so many failures in a row, from 1 on; in the unit of `first`. */
export const backOff = (failures: number, first: number): number => first * Math.min(2 ** (failures - 1), waitsMost)
