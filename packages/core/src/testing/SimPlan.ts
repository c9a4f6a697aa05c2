/**
 * What one random run is made of, drawn from its seed: size, timing, workload, and which faults happen how often.
 *
 * Each class of faults is left out of about half of the runs (swarm testing): what never happens together with
 * everything else hides behind it. A class can also be switched off by hand, which is how a failure is shrunk.
 */
import type { SettingsInput } from "../DistKvSettings.ts"
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
  "flap",
  "pause",
  "crash",
  "crashAll",
  "coup",
  "close",
  "slowDisk",
  "hangDisk",
  "failDisk",
  "fullDisk",
  "clockRate",
  "clockJump",
  "transfer",
  "join",
  "forge",
  "tight",
  "fuzz"
] as const
export type FaultClass = (typeof faultClasses)[number]

/** What a user may fix; the rest is drawn. */
export interface PlanOverrides {
  readonly nodes?: number | undefined
  /** Simulated milliseconds of the phase with faults. */
  readonly faultMs?: number | undefined
  readonly off?: ReadonlyArray<FaultClass> | undefined
}

export interface SimPlan {
  readonly seed: number
  readonly overrides: PlanOverrides
  readonly nodes: number
  readonly begin: "founded" | "joined"
  readonly classes: ReadonlySet<FaultClass>
  /** T, in milliseconds. */
  readonly electionTimeoutMs: number
  readonly settings: SettingsInput
  readonly clientsPerNode: number
  /** Whether each node has one more client that only reads: it goes on where those that write wait for an answer. */
  readonly hasReaders: boolean
  readonly workload: Workload
  readonly faultMs: number
  /** Mean milliseconds between two events of the adversary. */
  readonly eventEveryMs: number
  readonly network: NetworkFaults
  /** Mean of a disk write's time in milliseconds. */
  readonly diskMs: number
  readonly fuzz: { readonly preemptEvery: number } | undefined
}

/** Draws the plan of a seed. */
export const drawPlan = (seed: number, overrides: PlanOverrides = {}): SimPlan => {
  const random = makePrng(seed).fork("plan")
  const drawn = random.fork("classes")
  const classes = new Set(faultClasses.filter(() => drawn.chance(0.5)))
  for (const off of overrides.off ?? []) classes.delete(off)
  const size = random.fork("size")
  const nodes = overrides.nodes ?? size.pick([1, 2, 3, 3, 3, 3, 4, 5, 5, 5])
  const [electionTimeoutMs, heartbeatMs] = size.pick([[150, 30], [300, 60], [300, 60], [1000, 100]] as const)
  const begin = nodes > 1 && size.chance(0.25) ? "joined" : "founded"
  return {
    seed,
    overrides,
    nodes,
    begin,
    classes,
    electionTimeoutMs,
    settings: {
      electionTimeout: electionTimeoutMs,
      heartbeat: heartbeatMs,
      ...drawSettings(random.fork("settings"), classes.has("tight"))
    },
    clientsPerNode: size.int(1, nodes > 3 ? 2 : 3),
    hasReaders: random.fork("readers").chance(0.6),
    workload: drawWorkload(random.fork("workload")),
    faultMs: overrides.faultMs ?? size.int(10, 30) * electionTimeoutMs,
    eventEveryMs: size.between(0.5, 5) * electionTimeoutMs,
    network: drawNetwork(random.fork("network"), classes, electionTimeoutMs),
    diskMs: random.fork("disk").exponential(classes.has("slowDisk") ? electionTimeoutMs / 10 : 0.5),
    fuzz: classes.has("fuzz") ? { preemptEvery: random.fork("fuzz").pick([20, 100, 500]) } : undefined
  }
}

const drawSettings = (random: Prng, isTight: boolean): SettingsInput => ({
  checkpointInterval: random.pick([50, 200, 1000]),
  commitTimeout: random.int(1000, 3000),
  ...(isTight
    ? {
      checkpointBytes: random.pick([256, 4096]),
      limits: {
        pendingWrites: random.pick([4, 64]),
        pendingReads: random.pick([4, 64]),
        uncommittedBytes: random.pick([512, 4096]),
        inflightBytes: random.pick([256, 2048]),
        logWindowBytes: random.pick([1, 2048]),
        historyRevisions: random.pick([10, 100]),
        historyBytes: random.pick([1024, 65_536])
      }
    }
    : {})
})

const drawWorkload = (random: Prng): Workload => ({
  keys: random.pick([1, 3, 10]),
  thinkMs: random.pick([5, 20, 60]),
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
  timeoutMs: random.pick([[300, 2000], [1000, 5000], [50, 5000]] as const),
  valueLength: random.pick([1, 20, 300])
})

const drawNetwork = (random: Prng, classes: ReadonlySet<FaultClass>, electionTimeoutMs: number): NetworkFaults => ({
  ...calmNetwork(),
  minDelayMs: classes.has("delay") ? random.between(0, 0.03 * electionTimeoutMs) : random.between(0.05, 0.5),
  meanDelayMs: classes.has("delay") ? random.between(0.01, 0.1) * electionTimeoutMs : random.between(0.05, 1),
  spikeChance: classes.has("delay") ? random.between(0, 0.05) : 0,
  spikeMs: random.between(0.1, 3) * electionTimeoutMs,
  dropChance: classes.has("drop") ? random.between(0, 0.3) : 0,
  dropTypes: classes.has("dropType")
    ? new Map([[
      random.pick(["AppendReply", "AppendRequest", "VoteReply", "VoteRequest", "ForwardReply", "ReadIndexReply"]),
      random.between(0.3, 0.9)
    ]])
    : new Map(),
  duplicateChance: classes.has("duplicate") ? random.between(0, 0.5) : 0,
  replayChance: classes.has("replay") ? random.between(0, 0.1) : 0,
  replayMs: 100 * electionTimeoutMs,
  reorders: classes.has("reorder")
})

/** A plan as a word: the seed, and what was fixed by hand. */
export const tokenOf = ({ overrides, seed }: SimPlan): string => {
  const { faultMs, nodes, off } = overrides
  return [
    String(seed),
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
