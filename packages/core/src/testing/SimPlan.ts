/**
 * What one random run is made of, drawn from its seed: size, timing, workload, and which faults happen how often.
 *
 * Each class of faults is left out of about half of the runs (swarm testing): what never happens together with
 * everything else hides behind it. A class can also be switched off by hand, which is how a failure is shrunk.
 */
import type { SettingsInput } from "../DistKvSettings.ts"
import { feature, ownFeatures } from "../domain/Features.ts"
import { calmNetwork, type NetworkFaults } from "./NetworkFaults.ts"
import { makePrng, type Prng } from "./Prng.ts"
import type { Workload } from "./SimClient.ts"

export const faultClasses = [
  "drop",
  "dropType",
  "delay",
  "duplicate",
  "replay",
  "reorder",
  "clog",
  "isolate",
  "partition",
  "oneWay",
  "partial",
  "bridge",
  "swizzle",
  "flap",
  "slowLink",
  "pause",
  "stall",
  "crash",
  "crashPoint",
  "crashAll",
  "rolling",
  "coup",
  "close",
  "slowDisk",
  "hangDisk",
  "failDisk",
  "fullDisk",
  "noSpace",
  "wipe",
  "rot",
  "clockRate",
  "clockJump",
  "transfer",
  "join",
  "address",
  "forge",
  "burst",
  "tight",
  "fuzz",
  "remove",
  "standing",
  "freeze",
  "sick",
  "lag",
  "rollback",
  "upgrade",
  "ring",
  "strobe",
  "clockFar",
  "narrow",
  "crashRare",
  "rotRow",
  "rotStart",
  "rotSnapshot",
  "replace"
] as const
export type FaultClass = (typeof faultClasses)[number]

/** What a user may fix; the rest is drawn. */
export interface PlanOverrides {
  readonly nodes?: number | undefined
  /** Simulated milliseconds of the phase with faults. */
  readonly faultMs?: number | undefined
  readonly off?: ReadonlyArray<FaultClass> | undefined
  /** Power fails again and again, on single nodes and everywhere, and little else happens. */
  readonly power?: boolean | undefined
}

/** The classes of a run of power cuts: each cut, and what makes it meet unfinished work. */
const powerClasses: ReadonlyArray<FaultClass> = ["crash", "crashPoint", "crashAll", "coup", "crashRare"]
const maybeWithPower: ReadonlyArray<FaultClass> = ["slowDisk", "tight", "fuzz", "delay", "join"]

/**
 * How a run alternates between storms, dense with calls and faults, and quiet stretches with few of both: long enough
 * that what only silence or slow drift brings about has its chance, and cheap, since nothing happens most of the time.
 * Times in milliseconds.
 */
export interface Pace {
  readonly stormMs: number
  /** How long the quiet after each storm lasts; 0 where there is none. */
  readonly quietMs: number
  /** Mean time between two events of the adversary, in a storm and in quiet. */
  readonly stormEventMs: number
  readonly quietEventMs: number
  /** Mean time between two calls of all clients together, in quiet. */
  readonly quietCallMs: number
}

/** Whether it is quiet so many milliseconds after the faults began. */
export const isQuiet = ({ quietMs, stormMs }: Pace, sinceMs: number): boolean =>
  quietMs > 0 && sinceMs % (stormMs + quietMs) >= stormMs

export interface SimPlan {
  readonly seed: number
  readonly overrides: PlanOverrides
  readonly nodes: number
  readonly begin: "founded" | "joined"
  readonly classes: ReadonlySet<FaultClass>
  /** What programs can do before they are upgraded. */
  readonly features: number
  /** T, in milliseconds. */
  readonly electionTimeoutMs: number
  readonly heartbeatMs: number
  readonly settings: SettingsInput
  readonly clientsPerNode: number
  /** Whether each node has one more client that only reads: it goes on where those that write wait for an answer. */
  readonly hasReaders: boolean
  readonly workload: Workload
  readonly faultMs: number
  /** Whether a calm stretch follows, in which one member at most is unwell. */
  readonly hasCalm: boolean
  readonly pace: Pace
  readonly network: NetworkFaults
  /** Mean of a disk write's time in milliseconds. */
  readonly diskMs: number
  readonly fuzz: { readonly preemptEvery: number } | undefined
}

/** Draws the plan of a seed. */
export const drawPlan = (seed: number, overrides: PlanOverrides = {}): SimPlan => {
  const random = makePrng(seed).fork("plan")
  const drawn = random.fork("classes")
  const isPower = overrides.power === true
  const classes = new Set(
    faultClasses.filter((name) => drawn.chance(0.5) && (!isPower || maybeWithPower.includes(name)))
  )
  if (isPower) { for (const name of powerClasses) classes.add(name) }
  // Who is lost for good and who is removed might be a quorum together, which nobody could survive.
  const isShrinking = classes.has("remove") || classes.has("standing")
  const losing = ["wipe", "rot", "rollback"] as const
  if (isShrinking && losing.some((name) => classes.has(name))) {
    for (const name of random.fork("shrink").pick([["remove", "standing"], losing] as const)) classes.delete(name)
  }
  if (classes.has("remove") || classes.has("standing")) {
    for (const name of ["rotRow", "rotStart"] as const) classes.delete(name)
  }
  for (const off of overrides.off ?? []) classes.delete(off)
  const size = random.fork("size")
  const nodes = overrides.nodes ?? size.pick([1, 2, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7])
  const [electionTimeoutMs, heartbeatMs] = size.pick([[150, 30], [300, 60], [300, 60], [1000, 100]] as const)
  const pace = isPower ? powerPace(electionTimeoutMs) : drawPace(random.fork("pace"), electionTimeoutMs)
  const begin = nodes > 1 && size.chance(0.25) ? "joined" : "founded"
  return {
    seed,
    overrides,
    nodes,
    begin,
    classes,
    features: begin === "founded" && classes.has("upgrade") ? drawFeatures(random.fork("features")) : ownFeatures,
    electionTimeoutMs,
    heartbeatMs,
    settings: {
      electionTimeout: electionTimeoutMs,
      heartbeat: heartbeatMs,
      // The bound is true: it covers the fastest and the slowest clock that the run may draw.
      clockDrift: random.fork("lease").chance(0.5) ? rateRatio(classes) - 1 : undefined,
      ...drawSettings(random.fork("settings"), classes.has("tight"))
    },
    clientsPerNode: size.int(1, nodes > 3 ? 2 : 3),
    hasReaders: random.fork("readers").chance(0.6),
    workload: drawWorkload(random.fork("workload")),
    faultMs: overrides.faultMs ?? pace.stormMs + pace.quietMs,
    hasCalm: !isPower && random.fork("calm").chance(0.3),
    pace,
    network: drawNetwork(random.fork("network"), classes, electionTimeoutMs),
    diskMs: random.fork("disk").exponential(classes.has("slowDisk") ? electionTimeoutMs / 10 : 0.5),
    fuzz: classes.has("fuzz") ? { preemptEvery: random.fork("fuzz").pick([20, 100, 500]) } : undefined
  }
}

/** In most runs of old programs they know everything but sessions, or nothing but how to be administered. */
const drawFeatures = (random: Prng): number =>
  random.pick([ownFeatures, ownFeatures & ~feature.sessions, feature.administration | feature.snapshots])

/** Some runs are one storm; in the others a quiet stretch follows it. */
const drawPace = (random: Prng, electionTimeoutMs: number): Pace => ({
  stormMs: random.int(10, 25) * electionTimeoutMs,
  quietMs: random.chance(0.3) ? 0 : random.int(60, 450) * 1000,
  stormEventMs: random.between(0.5, 5) * electionTimeoutMs,
  quietEventMs: random.between(3000, 10_000),
  quietCallMs: 450
})

const powerPace = (electionTimeoutMs: number): Pace => ({
  stormMs: 100 * electionTimeoutMs,
  quietMs: 0,
  stormEventMs: 2 * electionTimeoutMs,
  quietEventMs: 0,
  quietCallMs: 0
})

/** The slowest and the fastest clock that a run may draw. */
export const clockRates = (classes: ReadonlySet<FaultClass>): readonly [slowest: number, fastest: number] =>
  classes.has("clockFar") ? [0.5, 2] : classes.has("clockRate") ? [0.6, 1.7] : [0.999, 1.001]

const rateRatio = (classes: ReadonlySet<FaultClass>): number => {
  const [slowest, fastest] = clockRates(classes)
  return fastest / slowest
}

const drawSettings = (random: Prng, isTight: boolean): SettingsInput => ({
  checkpointInterval: random.pick([50, 200, 1000, 1000]),
  commitTimeout: random.int(1000, 3000),
  ...(isTight ? { checkpointBytes: random.pick([256, 4096]) } : {}),
  limits: {
    ...(isTight
      ? {
        pendingWrites: random.pick([4, 64]),
        pendingReads: random.pick([4, 64]),
        uncommittedBytes: random.pick([512, 4096]),
        inflightBytes: random.pick([256, 2048]),
        logWindowBytes: random.pick([1, 2048]),
        historyRevisions: random.pick([10, 100]),
        historyBytes: random.pick([1024, 65_536])
      }
      : {}),
    ...drawLogLimits(random.fork("log"))
  }
})

/** Most runs compact early and often, so that followers need snapshots. */
const drawLogLimits = (random: Prng): SettingsInput["limits"] => ({
  logEntries: random.pick([3, 3, 10, 10, 30, 100, 100_000]),
  ...(random.chance(0.3) ? { logBytes: random.pick([1000, 10_000]) } : {}),
  ...(random.chance(0.5) ? { snapshotBytesPerSecond: random.pick([100_000, 300_000, 3_000_000]) } : {})
})

const drawWorkload = (random: Prng): Workload => ({
  keys: random.pick([1, 3, 10]),
  thinkMs: random.pick([10, 30, 80]),
  impatience: random.pick([0, 0.5, 1]),
  mix: {
    get: random.between(0, 3),
    staleGet: random.between(0, 1),
    set: random.between(1, 4),
    compareAndSet: random.between(0, 2),
    delete: random.between(0, 1),
    list: random.between(0, 0.5),
    deleteRange: random.between(0, 0.3),
    setMany: random.between(0, 0.5)
  },
  leaseReads: random.fork("lease").pick([0, 0.5, 1]),
  keyed: random.fork("keyed").pick([0, 0.3, 1]),
  timeoutMs: random.pick([[300, 2000], [1000, 5000], [50, 5000]] as const),
  valueLength: random.pick([1, 20, 300])
})

const drawNetwork = (random: Prng, classes: ReadonlySet<FaultClass>, electionTimeoutMs: number): NetworkFaults => ({
  ...calmNetwork(),
  minDelayMs: classes.has("delay") ? random.between(0, 0.03 * electionTimeoutMs) : random.between(0.05, 0.5),
  meanDelayMs: classes.has("delay") ? random.between(0.01, 0.1) * electionTimeoutMs : random.between(0.05, 1),
  spikeChance: classes.has("delay") ? random.between(0, 0.05) : 0,
  spikeMs: random.between(0.1, 3) * electionTimeoutMs,
  ...(classes.has("narrow") ? { linkBytes: random.fork("narrow").pick([300, 2000, 20_000]) } : {}),
  dropChance: classes.has("drop") ? random.between(0, 0.3) : 0,
  dropTypes: classes.has("dropType")
    ? new Map([[
      random.pick(["AppendReply", "AppendRequest", "VoteReply", "VoteRequest", "ForwardReply", "ReadIndexReply"]),
      random.between(0.3, 0.9)
    ]])
    : new Map(),
  duplicateChance: classes.has("duplicate") ? random.between(0, 0.5) : 0,
  replayChance: classes.has("replay") ? random.between(0, 0.1) : 0,
  replayMs: random.fork("replay").pick([3, 10, 100]) * electionTimeoutMs,
  reorders: classes.has("reorder")
})

/** A plan as a word: the seed, and what was fixed by hand. */
export const tokenOf = ({ overrides, seed }: SimPlan): string => {
  const { faultMs, nodes, off, power } = overrides
  return [
    String(seed),
    power === true ? "power" : "",
    nodes === undefined ? "" : `n${nodes}`,
    faultMs === undefined ? "" : `d${faultMs}`,
    off === undefined || off.length === 0 ? "" : `off-${off.join("-")}`
  ].filter((part) => part !== "").join(".")
}

/** The plan that a word means. Throws when it means none. */
export const planOf = (token: string): SimPlan => {
  const [seed = "", ...parts] = token.split(".")
  if (!/^\d{1,15}$/.test(seed)) throw new Error(`"${token}" is no replay token: it begins with a seed`)
  let overrides: PlanOverrides = {}
  for (const part of parts) {
    if (/^n\d+$/.test(part)) overrides = { ...overrides, nodes: Number(part.slice(1)) }
    else if (/^d\d+$/.test(part)) overrides = { ...overrides, faultMs: Number(part.slice(1)) }
    else if (part === "power") overrides = { ...overrides, power: true }
    else if (part.startsWith("off-")) overrides = { ...overrides, off: part.slice(4).split("-").map(classOf) }
    else throw new Error(`"${part}" in the replay token means nothing`)
  }
  return drawPlan(Number(seed), overrides)
}

const classOf = (name: string): FaultClass => {
  const found = faultClasses.find((known) => known === name)
  if (found === undefined) throw new Error(`there is no class of faults "${name}"`)
  return found
}
