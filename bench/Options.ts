/** The options that every benchmark understands. */
import { tmpdir } from "node:os"
import { parseArgs } from "node:util"

export interface Options {
  readonly clients: ReadonlyArray<number> | undefined
  readonly rounds: number | undefined
  readonly seconds: number | undefined
  readonly warmUp: number | undefined
  readonly only: ReadonlyArray<string> | undefined
  readonly at: "leader" | "all"
  readonly keys: ReadonlyArray<number> | undefined
  readonly writes: number | undefined
  readonly minutes: number | undefined
  readonly mib: number | undefined
  readonly quick: boolean
  /** Where the data go. */
  readonly dir: string
  readonly json: string | undefined
  readonly install: boolean
  readonly against: string | undefined
  readonly prove: boolean
  readonly from: string | undefined
  readonly help: boolean
  /** As they were given. */
  readonly args: ReadonlyArray<string>
}

export const help = `npm run bench -- [NAME,…] [options]     without a name: all of them, one after the other

  --quick          short turns, and clusters that the sections share: shows that everything works, and nothing more
  --clients LIST   how many clients call at once
  --keys LIST      growth: how many keys
  --mib N          stress: how large the state is that a follower installs (default 256)
  --minutes N      begin no further section after so many minutes
  --writes N       endurance: how many writes (default 10 million)
  --rounds N       how often everybody has a turn
  --seconds N      of each measurement
  --warm-up N      seconds of the same load before a contender's first measurement (a second before the later ones)
  --only LIST      of the contenders
  --at leader|all  commit: to which nodes the clients of http and etcd talk (default leader)
  --dir DIR        where the data go (default: the system's temporary folder)
  --json FILE      where the results go (default bench/results/NAME.json, NAME-native.json with the addon;
                   bench/results/quick with --quick)
  --install        first install wrk, etcd and the Go that its client needs (Debian, root)
  --against COMMIT check: what this checkout is compared with (default HEAD)
  --prove          check: compare this checkout with itself, and with itself slowed down by 10 %
  --from DIR       document: where the results are (default bench/results)
`

const config = {
  clients: { type: "string" },
  keys: { type: "string" },
  rounds: { type: "string" },
  writes: { type: "string" },
  minutes: { type: "string" },
  mib: { type: "string" },
  seconds: { type: "string" },
  "warm-up": { type: "string" },
  only: { type: "string" },
  at: { type: "string", default: "leader" },
  quick: { type: "boolean", default: false },
  dir: { type: "string", default: tmpdir() },
  json: { type: "string" },
  install: { type: "boolean", default: false },
  against: { type: "string" },
  prove: { type: "boolean", default: false },
  from: { type: "string" },
  help: { type: "boolean", default: false }
} as const

const positive = (name: string, text: string): number => {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name}: ${text} is no whole number from 1 on`)
  return value
}

/** Throws where they cannot be understood. */
export const parseOptions = (args: ReadonlyArray<string>): Options => {
  const { values } = parseArgs({ args: [...args], options: config })
  const number = (name: "rounds" | "seconds" | "warm-up" | "writes" | "minutes" | "mib") => {
    const text = values[name]
    return text === undefined ? undefined : positive(name, text)
  }
  const numbers = (name: "clients" | "keys") => values[name]?.split(",").map((text) => positive(name, text))
  if (values.at !== "leader" && values.at !== "all") throw new Error("--at is leader or all")
  return {
    clients: numbers("clients"),
    keys: numbers("keys"),
    rounds: number("rounds"),
    writes: number("writes"),
    minutes: number("minutes"),
    mib: number("mib"),
    seconds: number("seconds"),
    warmUp: number("warm-up"),
    only: values.only?.split(","),
    at: values.at,
    quick: values.quick,
    dir: values.dir,
    json: values.json,
    install: values.install,
    against: values.against,
    prove: values.prove,
    from: values.from,
    help: values.help,
    args
  }
}
