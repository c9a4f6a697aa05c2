/**
 * Committed writes per second, and how long one takes: distkv in memory, embedded and as a server, beside etcd.
 *
 * The machine is shared and its speed moves, so only what was measured in one round is compared. In a round every
 * contender has its turn at every level, in another order each time, while the others are stopped (SIGSTOP); before
 * each measurement it is warmed up at that level.
 */
import { encryption } from "@distkv/transport-ssh"
import { execFileSync, spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs"
import { cpus, release, tmpdir, totalmem } from "node:os"
import { dirname, join } from "node:path"
import { parseArgs } from "node:util"
import type { Contender, Measurement } from "./Contender.ts"
import { memory, onDisk } from "./Embedded.ts"
import * as Etcd from "./Etcd.ts"
import * as Http from "./Http.ts"
import { cpuMicros } from "./Processes.ts"
import { summarize, table } from "./Table.ts"

const help = `npm run bench -- commit [options]

  --only LIST      of memory, embedded, http, etcd (default: all that this machine can run)
  --clients LIST   how many clients write at once (default 1,64,256)
  --rounds N       default 3
  --seconds N      of each measurement (default 5)
  --warm-up N      seconds before each measurement (default 5)
  --quick          one round, 2 s each after 1 s: shows that everything works, and nothing more
  --at leader|all  to which nodes the clients of http and etcd talk (default leader)
  --dir DIR        where the data go (default: the system's temporary folder)
  --json FILE      where the results go (default bench/results/commit-<time>.json)
  --install        first install wrk, etcd and the Go that its client needs (Debian, root)
`

const options = {
  only: { type: "string" },
  clients: { type: "string", default: "1,64,256" },
  rounds: { type: "string" },
  seconds: { type: "string" },
  "warm-up": { type: "string" },
  quick: { type: "boolean", default: false },
  at: { type: "string", default: "leader" },
  dir: { type: "string", default: tmpdir() },
  json: { type: "string" },
  install: { type: "boolean", default: false },
  help: { type: "boolean", default: false }
} as const

const isThere = (command: string, ...args: ReadonlyArray<string>) => spawnSync(command, args).error === undefined

/** What cannot be measured here, and how to change that. */
const missing = (): ReadonlyMap<string, string> => {
  const install = (packages: ReadonlyArray<string>) => `apt-get install ${packages.join(" ")}, or --install`
  const gaps = new Map<string, string>()
  if (!isThere("wrk", "--version")) gaps.set("http", `wrk is not installed: ${install(Http.packages)}`)
  if (!isThere("etcd", "--version") || !isThere("go", "version")) {
    gaps.set("etcd", `etcd or Go is not installed: ${install(Etcd.packages)}`)
  }
  return gaps
}

const installPackages = () => {
  const packages = [...Http.packages, ...Etcd.packages]
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" }
  execFileSync("apt-get", ["update", "-q"], { stdio: ["ignore", 2, 2], env })
  execFileSync("apt-get", ["install", "-y", "-q", "--no-install-recommends", ...packages], {
    stdio: ["ignore", 2, 2],
    env
  })
}

const signal = (contender: Contender, name: "SIGSTOP" | "SIGCONT") => {
  for (const { pid } of contender.processes()) process.kill(pid, name)
}

interface Plan {
  readonly clients: ReadonlyArray<number>
  readonly rounds: number
  readonly seconds: number
  readonly warmUp: number
}

const measure = async (contender: Contender, plan: Plan, round: number, clients: number): Promise<Measurement> => {
  const level = { clients, keys: 10_000, valueBytes: 256 }
  await contender.ready()
  await contender.load(level, plan.warmUp * 1000)
  await contender.ready()
  const processes = contender.processes()
  const before = processes.map(({ pid }) => cpuMicros(pid))
  const result = await contender.load(level, plan.seconds * 1000)
  const used = processes.map(({ name, pid }, i) => ({
    name,
    perOperation: (cpuMicros(pid) - (before[i] ?? 0)) / Math.max(1, result.operations)
  }))
  return {
    contender: contender.name,
    round,
    clients,
    perSecond: result.operations / result.seconds,
    cpuMicros: used,
    ...result
  }
}

/** Every contender has its turn at every level; each round begins with another one. */
const run = async (contenders: ReadonlyArray<Contender>, plan: Plan): Promise<ReadonlyArray<Measurement>> => {
  const measurements: Array<Measurement> = []
  for (let round = 0; round < plan.rounds; round++) {
    for (const clients of plan.clients) {
      for (const turn of contenders.keys()) {
        const contender = contenders[(turn + round) % contenders.length]
        if (contender === undefined) continue
        signal(contender, "SIGCONT")
        const measurement = await measure(contender, plan, round + 1, clients)
        signal(contender, "SIGSTOP")
        measurements.push(measurement)
        console.error(
          `round ${round + 1}, ${clients} clients, ${contender.name}: ${Math.round(measurement.perSecond)} writes/s` +
            (measurement.errors > 0 ? `, ${measurement.errors} errors` : "")
        )
      }
    }
  }
  return measurements
}

const machine = () => ({
  cpus: cpus().length,
  cpu: cpus()[0]?.model ?? "unknown",
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  kernel: release(),
  node: process.version,
  ssh: encryption
})

const isInMemory = (folder: string) => statfsSync(folder).type === 0x01021994 // tmpfs

const choose = (only: string | undefined, folder: string, atAll: boolean): ReadonlyArray<Contender> => {
  const gaps = missing()
  const all = [
    memory(),
    onDisk(join(folder, "embedded")),
    Http.http(join(folder, "http"), atAll),
    Etcd.etcd(join(folder, "etcd"), atAll)
  ]
  const wanted = only?.split(",") ?? all.map(({ name }) => name)
  const unknown = wanted.find((name) => !all.some((contender) => contender.name === name))
  if (unknown !== undefined) throw new Error(`there is no contender ${unknown}\n\n${help}`)
  return all.filter(({ name }) => {
    const gap = gaps.get(name)
    if (wanted.includes(name) && gap !== undefined) console.error(`not measured: ${name}: ${gap}`)
    return wanted.includes(name) && gap === undefined
  })
}

export const commit = async (args: ReadonlyArray<string>): Promise<void> => {
  const { values } = parseArgs({ args: [...args], options })
  if (values.help) return console.log(help)
  const plan: Plan = {
    clients: values.clients.split(",").map(Number),
    rounds: Number(values.rounds ?? (values.quick ? 1 : 3)),
    seconds: Number(values.seconds ?? (values.quick ? 2 : 5)),
    warmUp: Number(values["warm-up"] ?? (values.quick ? 1 : 5))
  }
  const numbers = [...plan.clients, plan.rounds, plan.seconds, plan.warmUp]
  if (!numbers.every((number) => Number.isInteger(number) && number > 0)) throw new Error(help)
  if (values.at !== "leader" && values.at !== "all") throw new Error(help)
  if (values.install) installPackages()

  const folder = mkdtempSync(join(values.dir, "distkv-bench-"))
  if (isInMemory(folder)) {
    console.error(`${folder} is in memory: there a commit costs no disk; choose another with --dir`)
  }
  const contenders = choose(values.only, folder, values.at === "all")
  try {
    for (const contender of contenders) {
      console.error(`starting ${contender.name}: ${contender.describe}`)
      await contender.start()
      await contender.ready()
      signal(contender, "SIGSTOP")
    }
    const measurements = await run(contenders, plan)
    const summaries = summarize(measurements, "etcd")
    const file = values.json ??
      join(import.meta.dirname, "results", `commit-${new Date().toISOString().replaceAll(":", "")}.json`)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(
      file,
      `${
        JSON.stringify(
          { at: new Date().toISOString(), machine: machine(), plan, clientsAt: values.at, summaries, measurements },
          null,
          2
        )
      }\n`
    )
    console.log(`ssh2 encrypts in ${encryption === "native" ? "native code" : `${encryption}; see npm run native`}`)
    for (const { describe, name } of contenders) console.log(`${name}: ${describe}`)
    console.log(
      `256-byte values, 10,000 keys, ${plan.rounds} rounds of ${plan.seconds} s after ${plan.warmUp} s; ratio to etcd; ` +
        `CPU per write: leader's process / all\n\n${table(summaries)}\n\n${file}`
    )
  } finally {
    await Promise.all(contenders.map((contender) => contender.stop()))
    rmSync(folder, { recursive: true, force: true })
  }
}
