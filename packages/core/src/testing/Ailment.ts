/** What may be wrong with one member while all others are well. */
export const ailments = [
  "none",
  "comesAndGoes",
  "deaf",
  "mute",
  "unseenByLeader",
  "standsStill",
  "slowDisk",
  "slowLink"
] as const

export type Ailment = (typeof ailments)[number]
