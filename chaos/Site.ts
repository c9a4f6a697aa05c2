/** The options that every command has, and the place where it runs. */
import { tmpdir } from "node:os"
import { parseArgs, type ParseArgsOptionsConfig } from "node:util"
import { namespacesWork } from "./Namespaces.ts"
import type { NetworkKind } from "./Network.ts"
import { makeDirectory, removeLeftovers } from "./Resources.ts"

const common = {
  nodes: { type: "string", default: "3" },
  network: { type: "string" },
  seed: { type: "string" },
  dir: { type: "string", default: tmpdir() },
  "election-timeout": { type: "string", default: "300" },
  keep: { type: "boolean", default: false }
} as const satisfies ParseArgsOptionsConfig

/** How they read in a help text. */
export const commonHelp = `  --nodes N              3 unless told otherwise
  --network KIND         namespaces (needs root; where they can be made) or proxy
  --election-timeout MS  300 unless told otherwise; the heartbeat is a fifth of it
  --seed N               what is drawn is drawn from it; printed at the start
  --dir DIR              where the data go (default: the system's temporary folder)
  --keep                 keep the data and the logs of the nodes (they are kept anyway when something is wrong)
`

export interface Place {
  readonly directory: string
  readonly nodes: number
  readonly network: NetworkKind
  readonly seed: number
  readonly electionTimeoutMs: number
  readonly heartbeatMs: number
  /** Keeps the directory when the run ends. */
  readonly keep: () => void
}

/** The command line cannot be understood. */
export class UsageError extends Error {}

/** A positive number of the command line. */
export const numberOf = (text: string | undefined, name: string): number => {
  const value = Number(text)
  if (text === undefined || !(value > 0)) throw new UsageError(`--${name} is a positive number`)
  return value
}

/** Reads the options, those of `more` too; prints `help` and answers undefined when that was asked for. */
export const readOptions = <O extends ParseArgsOptionsConfig>(
  args: ReadonlyArray<string>,
  more: O,
  help: string
) => {
  if (args.includes("--help")) {
    console.log(help)
    return undefined
  }
  try {
    return parseArgs({ args: [...args], options: { ...common, ...more } }).values
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : String(error)}\n\n${help}`)
  }
}

/** Prepares a place for a run, after tidying up after runs that could not. */
export const makePlace = (values: {
  readonly nodes?: unknown
  readonly network?: unknown
  readonly seed?: string | boolean | undefined
  readonly dir?: unknown
  readonly "election-timeout"?: unknown
  readonly keep?: unknown
}): Place => {
  const parent = String(values.dir)
  removeLeftovers(parent)
  let kept = values.keep === true
  const electionTimeoutMs = numberOf(String(values["election-timeout"]), "election-timeout")
  const { network = namespacesWork() ? "namespaces" : "proxy" } = values
  if (network !== "namespaces" && network !== "proxy") throw new UsageError("--network is namespaces or proxy")
  const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : numberOf(String(values.seed), "seed")
  const place: Place = {
    directory: makeDirectory(parent, () => kept),
    nodes: numberOf(String(values.nodes), "nodes"),
    network,
    seed,
    electionTimeoutMs,
    heartbeatMs: electionTimeoutMs / 5,
    keep: () => {
      if (!kept) console.log(`the data and logs stay in ${place.directory}`)
      kept = true
    }
  }
  console.log(`seed ${seed}, ${place.nodes} nodes, network: ${network}, T = ${electionTimeoutMs} ms`)
  return place
}
