/**
 * Services that are loaded from inside: distkv in the processes that use it (three nodes in one process in memory, or
 * one in each of three on disk), and the same service with the `etcd3` client of npm.
 */
import { Keys } from "@distkv/transport-ssh"
import { Effect } from "effect"
import type { ChildProcess } from "node:child_process"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { At, Cluster, Contender, Level, LoadResult } from "../Contender.ts"
import type { Called } from "../load/Callers.ts"
import { latencyOf, merged } from "../load/Percentiles.ts"
import type { EtcdCluster } from "./EtcdCluster.ts"
import { end, pidOf, startProgram } from "./Processes.ts"
import type { Answer, Assignment, NodeReport, Question } from "./Protocol.ts"
import { until } from "./Waiting.ts"

/** n1, n2, … */
export const nodeIds = (count: number): ReadonlyArray<string> => Array.from({ length: count }, (_, i) => `n${i + 1}`)

/** Makes a directory with keys for every node; each accepts the keys of all. Answers with the directories. */
export const makeDirectories = async (folder: string, nodes: number): Promise<ReadonlyArray<string>> => {
  const directories = nodeIds(nodes).map((id) => join(folder, id))
  for (const directory of directories) {
    mkdirSync(directory, { recursive: true })
    await Effect.runPromise(Keys.init(directory))
  }
  const all = directories.map((directory) => readFileSync(join(directory, "id_ed25519.pub"), "utf8")).join("")
  for (const directory of directories) writeFileSync(join(directory, "authorized.keys"), all, { mode: 0o600 })
  return directories
}

const ownProgram = new URL("service.ts", import.meta.url)

const launch = (assignment: Assignment, program = ownProgram, env: Readonly<Record<string, string>> = {}) =>
  startProgram(program, [JSON.stringify(assignment)], env)

/** Above what a fill of millions takes. */
const patienceMs = 600_000

const put = (child: ChildProcess, question: Question, limitMs = patienceMs): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const settle = (settled: () => void) => {
      clearTimeout(timer)
      child.off("exit", gone).off("message", answered)
      settled()
    }
    const gone = (code: number | null) => settle(() => reject(new Error(`a service ended with ${String(code)}`)))
    const answered = (answer: Answer) =>
      settle(() => answer.answer === "failed" ? reject(new Error(answer.message)) : resolve(answer))
    const timer = setTimeout(
      () => settle(() => reject(new Error(`a service does not answer: ${question.ask}`))),
      limitMs
    )
    child.on("exit", gone).on("message", answered)
    child.send(question)
  })

const statusOf = async (child: ChildProcess): Promise<NodeReport> => {
  const answer = await put(child, { ask: "status" }, 30_000)
  if (answer.answer !== "status") throw new Error("not the answer")
  return answer.report
}

/** What several processes did at the same time, as one result. */
const together = (all: ReadonlyArray<Called>): LoadResult => ({
  operations: all.reduce((sum, { operations }) => sum + operations, 0),
  errors: all.reduce((sum, { errors }) => sum + errors, 0),
  seconds: Math.max(...all.map(({ seconds }) => seconds)),
  latency: latencyOf(merged(all.map(({ latencies }) => latencies)))
})

/** Spreads the callers as evenly as they can be. */
const loadAll = async (children: ReadonlyArray<ChildProcess>, level: Level, ms: number): Promise<LoadResult> => {
  const shares = children.map((child, i) => ({
    child,
    clients: Math.floor((level.clients + children.length - 1 - i) / children.length)
  }))
  const answers = await Promise.all(
    shares.filter(({ clients }) => clients > 0)
      .map(({ child, clients }) => put(child, { ask: "load", level: { ...level, clients }, ms }))
  )
  return together(answers.flatMap((answer) => answer.answer === "load" ? [answer.result] : []))
}

/** Three nodes, in one process or in three. */
export interface Services extends Cluster {
  readonly load: (at: At, level: Level, ms: number) => Promise<LoadResult>
}

const make = (name: string, begin: (children: Array<ChildProcess>) => Promise<void>): Services => {
  const children: Array<ChildProcess> = []
  let leader: ChildProcess | undefined
  const led = () => {
    if (leader === undefined) throw new Error(`${name} has no leader`)
    return leader
  }
  return {
    name,
    start: () => begin(children),
    ready: async () => {
      leader = await until(`${name} elects a leader`, async () => {
        const reports = await Promise.all(children.map(statusOf))
        const agreed = reports.every(({ leader, ready, voters }) =>
          ready && voters === 3 && leader !== null && leader === reports[0]?.leader
        )
        return agreed ? children[reports.findIndex(({ leads }) => leads)] : undefined
      })
    },
    fill: async (keys, valueBytes, from = 0) => {
      await put(led(), { ask: "fill", keys, valueBytes, from })
    },
    load: (at, level, ms) => {
      const others = at === "all" ? children.filter((child) => child !== leader) : []
      return loadAll([led(), ...others], level, ms)
    },
    processes: () =>
      [...children.filter((child) => child === leader), ...children.filter((child) => child !== leader)]
        .map((child) => ({
          name: children.length === 1 ? "all" : `n${children.indexOf(child) + 1}`,
          pid: pidOf(child)
        })),
    stop: async () => {
      await Promise.all(children.splice(0).map(end))
    }
  }
}

/** `program` is another checkout's `service.ts`; this one's unless told otherwise. */
export const inMemory = (
  { env, name = "memory", program }: {
    readonly name?: string
    readonly program?: URL
    readonly env?: Readonly<Record<string, string>>
  } = {}
): Services =>
  make(name, async (children) => {
    children.push(launch({ kind: "memory" }, program, env))
  })

const known = new Map<string, Services>()

/** Asked for again for the same folder, it is the same cluster: sections of a quick run share theirs. */
export const onDisk = (folder: string): Services => {
  const cluster = known.get(folder) ?? makeOnDisk(folder)
  known.set(folder, cluster)
  return cluster
}

const makeOnDisk = (folder: string): Services =>
  make("embedded", async (children) => {
    let first: string | null = null
    const directories = await makeDirectories(folder, 3)
    for (const [i, directory] of directories.entries()) {
      const child = launch({ kind: "node", directory, nodeId: `n${i + 1}`, join: first })
      children.push(child)
      first ??= await until("the first node founds a cluster", async () => {
        const { address, leads } = await statusOf(child)
        return leads ? address : undefined
      })
    }
  })

/** distkv under its own process' callers, in memory. */
export const memoryOf = (services: Services): Contender => ({
  name: services.name,
  describe: "distkv, three nodes and the callers in one process, in memory, every message encoded",
  clusters: [services],
  load: (level, ms) => services.load("leader", level, ms)
})

/** distkv under callers in the processes that carry it. */
export const embeddedOf = (services: Services, at: At): Contender => ({
  name: at === "leader" ? "embedded" : "embedded, spread",
  describe: `distkv, three processes over SSH, on disk, the callers in ${
    at === "leader" ? "the leader's" : "all three"
  }`,
  clusters: [services],
  load: (level, ms) => services.load(at, level, ms)
})

/** Three services that use etcd through the `etcd3` client: the callers are in them, as they are in ours. */
export const etcd3Of = (etcd: EtcdCluster): Contender => {
  const contender = clientsOf.get(etcd) ?? makeEtcd3(etcd)
  clientsOf.set(etcd, contender)
  return contender
}

/** Of a cluster the same ones again. */
const clientsOf = new WeakMap<EtcdCluster, Contender>()

const makeEtcd3 = (etcd: EtcdCluster): Contender => {
  const children: Array<ChildProcess> = []
  const clients: Cluster = {
    name: "etcd3",
    start: async () => {
      const hosts = etcd.endpoints("all").map((endpoint) => `http://${endpoint}`)
      for (let i = 0; i < 3; i++) children.push(launch({ kind: "etcd3", hosts }))
      await Promise.all(children.map(statusOf))
    },
    ready: async () => {
      await Promise.all(children.map(statusOf))
    },
    fill: (keys, valueBytes, from) => etcd.fill(keys, valueBytes, from),
    processes: () => children.map((child, i) => ({ name: `s${i + 1}`, pid: pidOf(child) })),
    stop: async () => {
      await Promise.all(children.splice(0).map(end))
    }
  }
  return {
    name: "etcd3",
    describe: "three services on the etcd3 client of npm, beside three etcd nodes",
    clusters: [etcd, clients],
    load: (level, ms) => loadAll(children, level, ms)
  }
}
